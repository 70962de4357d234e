// A device under test over ssh: an sshd of our own on loopback, with its own keys and configuration. What
// runs there is copied there, counts are told, and nothing is left when the harness is killed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { sleep } from '../../experiments/testbed/tester.js';
import { packageRoot } from '../../native/loader.js';
import { processors } from '../helpers/bed.js';
import { leftRunning, markOf } from '../helpers/left-running.js';
import { reframer, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { brief, expectSound, measure, samplesOf } from './measure.js';

const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((file) => existsSync(file));
const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => resolve(true)).once('error', () => resolve(false));
    socket.once('data', () => socket.destroy());
  });

if (
  sshd === undefined ||
  !has('ssh') ||
  !has('unshare') ||
  process.getuid?.() !== 0 ||
  processors < 2 ||
  !existsSync(join(packageRoot, 'native/build/reframer-dpdk'))
) {
  skipSuite(
    'a bed over ssh was not run: needs root, sshd (openssh-server), reframer-dpdk and two processors',
  );
} else {
  describe('a bed over ssh', () => {
    const folder = temporaryFolder();
    let server: ChildProcess | undefined;
    let via: string[] = [];
    const mark = markOf('ssh');

    beforeAll(async () => {
      for (const key of ['host', 'user'])
        spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', folder.file(key)]);
      const port = await freePort();
      writeFileSync(
        folder.file('sshd_config'),
        [
          `Port ${port}`,
          'ListenAddress 127.0.0.1',
          `HostKey ${folder.file('host')}`,
          `AuthorizedKeysFile ${folder.file('user')}.pub`,
          'StrictModes no',
          'UsePAM no',
          'PasswordAuthentication no',
          'PermitRootLogin prohibit-password',
          'PidFile none',
          'AcceptEnv XDG_CACHE_HOME REFRAMER_TEST_BED',
          '',
        ].join('\n'),
      );
      // Its folder for separated privileges is its own, too: of the machine's nothing is changed.
      server = spawn(
        'unshare',
        [
          ...['-m', 'sh', '-c'],
          `mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec ${sshd} -D -e -f ${folder.file('sshd_config')}`,
        ],
        { stdio: 'ignore' },
      );
      for (let tries = 0; tries < 200 && !(await answers(port)); tries++) await sleep(100);
      writeFileSync(
        folder.file('known_hosts'),
        `[127.0.0.1]:${port} ${readFileSync(`${folder.file('host')}.pub`, 'utf8')}`,
      );
      via = [
        'ssh',
        ...['-F', 'none', '-i', folder.file('user'), '-o', 'BatchMode=yes'],
        ...['-o', `UserKnownHostsFile=${folder.file('known_hosts')}`, '-o', 'IdentitiesOnly=yes'],
        ...['-o', `SetEnv=XDG_CACHE_HOME=${folder.file('cache')} ${mark}`],
        ...['-p', String(port), `${userInfo().username}@127.0.0.1`],
      ];
    });
    afterAll(() => {
      server?.kill();
      folder.remove();
    });

    const bed = (): object => {
      const memif = (role: string): string =>
        `net_memif0,role=${role},id=0,socket=${folder.file('bed.sock')},socket-abstract=no`;
      return {
        linkGbps: 0.05,
        dut: { host: 'ssh:root@elsewhere', via, in: memif('server'), queues: 2 },
        tester: { tx: memif('client'), queues: 2 },
      };
    };

    test('the program is copied once, the part runs to its end', async () => {
      const { out, complete } = await measure(folder, brief('reframer'), bed(), ['in-chain']);
      expect(complete).toBe(true);
      expectSound(samplesOf(out));
      const copies = spawnSync('find', [folder.file('cache'), '-name', 'reframer-dpdk'], {
        encoding: 'utf8',
      });
      expect(copies.stdout.trim().split('\n')).toHaveLength(1);
      await expect.poll(() => leftRunning(mark), { timeout: 10_000 }).toEqual([]);
    });

    test('a harness that is killed leaves nothing there', async () => {
      const file = folder.file('bed.json');
      writeFileSync(file, JSON.stringify(bed()));
      const { code } = await reframer(
        [
          ...['exp', 'reframer', '--testbed', file, '--only', 'in-chain'],
          ...['--out', folder.file('killed')],
        ],
        {
          started: (kill) => {
            const timer = setInterval(() => {
              if (leftRunning(mark).length === 0) return;
              clearInterval(timer);
              // It sends by now, or is about to.
              setTimeout(() => kill('SIGKILL'), 1500);
            }, 100);
          },
        },
      );
      expect(code).toBe(null);
      await expect.poll(() => leftRunning(mark), { timeout: 20_000 }).toEqual([]);
    });
  });
}
