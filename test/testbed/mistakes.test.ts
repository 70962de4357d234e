// Mistakes that a bed file, or a bed, may have: each is one clear line, nothing is left running.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { processors } from '../helpers/bed.js';
import { reframer, skipSuite, temporaryFolder, type Outcome } from '../helpers/cli.js';
import { environmentOf, leftRunning, markOf } from '../helpers/left-running.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const mark = markOf('mistakes');

let runs = 0;

async function exp(bed: object | string, name = `bed-${++runs}.json`): Promise<Outcome> {
  const file = folder.file(name);
  if (bed !== '') writeFileSync(file, typeof bed === 'string' ? bed : JSON.stringify(bed));
  const out = folder.file(`out-${runs}`);
  const outcome = await reframer(
    ['exp', 'reframer', '--testbed', file, '--only', 'in-chain', '--out', out],
    { env: environmentOf(mark) },
  );
  // A process that was told to end may need a moment.
  await expect.poll(() => leftRunning(mark), { timeout: 10_000 }).toEqual([]);
  return outcome;
}

const memif = (role: 'server' | 'client', name: string, more = ''): string =>
  `net_memif0,role=${role},id=0,socket=${folder.file(name)},socket-abstract=no${more}`;
const dut = (more: object = {}): object => ({ in: memif('server', 'bed.sock'), ...more });
const tester = (more: object = {}): object => ({ tx: memif('client', 'bed.sock'), ...more });
/** Takes a line of a shell, as ssh does, with these words in front. */
const otherHost = (name: string, script: string): object => {
  const file = folder.file(name);
  writeFileSync(file, `#!/bin/sh\n${script}\nexec sh -c "$1"\n`);
  chmodSync(file, 0o755);
  return { host: 'ssh:somebody@elsewhere', via: [file] };
};

const lateDate = (): string => {
  const bin = folder.file('bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'date'), '#!/bin/sh\nexec /bin/date -d "100 seconds ago" "$@"\n');
  chmodSync(join(bin, 'date'), 0o755);
  return `PATH=${bin}:$PATH; export PATH`;
};

const built = existsSync(join(packageRoot, 'native/build/reframer-dpdk'));
if (!built || processors < 2) {
  skipSuite('mistakes in a bed were not tried: needs reframer-dpdk and two processors');
} else {
  const ours = join(packageRoot, 'native/build/reframer-dpdk');
  const hugepages = Number(
    /^HugePages_Total:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0,
  );
  const mistakes: [string, object | string, RegExp][] = [
    ['no such file', '', /--testbed .*no such file or directory/],
    ['no JSON', '{ "dut": ', /bed-\d+\.json: .*JSON/],
    [
      'a member by another name',
      { dut: dut({ ports: 2 }), tester: tester() },
      /dut\.ports is not known/,
    ],
    [
      'a port that is not there',
      { dut: dut({ in: 'net_nothing0' }), tester: tester() },
      /dut: DPDK's EAL does not come up: .*net_nothing0/,
    ],
    [
      'a PCI address of nothing',
      { dut: dut({ in: '0000:ff:1f.7', hugepages: false }), tester: tester() },
      /dut: DPDK has no port '0000:ff:1f\.7'/,
    ],
    [
      'an interface that is not there',
      { dut: dut({ in: 'af_packet:nothing0' }), tester: tester() },
      /dut: .*nothing0|dut: DPDK has no port/,
    ],
    [
      'no ssh',
      { dut: dut({ host: 'ssh:root@127.0.0.1:1' }), tester: tester() },
      /dut \(ssh:root@127\.0\.0\.1:1\): .*(refused|not found)/,
    ],
    [
      'a namespace that is not there',
      { dut: dut({ host: 'namespace:no-such-bed' }), tester: tester() },
      /dut \(namespace:no-such-bed\): .*namespace/,
    ],
    [
      'another build',
      { dut: dut({ program: '/bin/true' }), tester: tester() },
      /dut: \/bin\/true is another build than ours/,
    ],
    [
      'no program',
      { dut: dut({ program: '/nowhere/reframer-dpdk' }), tester: tester() },
      /dut: .*\/nowhere\/reframer-dpdk.*leave program out/,
    ],
    [
      'unequal clocks',
      { dut: dut({ ...otherHost('late', lateDate()), program: ours }), tester: tester() },
      /dut: its clock is \d+ s behind ours/,
    ],
    ['more queues than cores', { dut: dut({ queues: 64 }), tester: tester() }, /dut: .*CPUs/],
    [
      'a key that the port does not take',
      { dut: dut({ rssKey: 'symmetric' }), tester: tester() },
      /dut: net_memif0 does not hash, so it takes no key/,
    ],
    [
      'the other end is not wired',
      { dut: dut(), tester: tester({ tx: memif('client', 'other.sock') }) },
      /tester: net_memif0 .*(has no link|is its other end up)/,
    ],
    [
      'a tester that is not there',
      { dut: dut(), tester: { kind: 'trex', tx: '0', address: '127.0.0.1:1' } },
      /tester: TRex does not answer at 127\.0\.0\.1:1/,
    ],
    [
      'a capture that is not there',
      { dut: dut(), tester: { kind: 'tcpreplay', tx: 'lo', capture: '/nowhere.pcap' } },
      /tester.*(no capture \/nowhere\.pcap|tcpreplay does not run there)/,
    ],
  ];
  if (hugepages === 0)
    mistakes.push([
      'no hugepages',
      { dut: dut({ hugepages: true }), tester: tester() },
      /dut: no hugepages are reserved there/,
    ]);
  else skipSuite('a bed without hugepages was not tried: this machine has some');

  describe('a bed with a mistake', () => {
    test.each(mistakes)('%s', async (_, bed, words) => {
      const { code, stderr } = await exp(bed);
      const said = stderr.trim().split('\n');
      expect(said.at(-1)).toMatch(words);
      expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
      expect(said.filter((line) => line.startsWith('reframer:'))).toHaveLength(1);
      expect([1, 2, 3]).toContain(code);
    });

    test('a socket that a killed process left behind is no mistake', async () => {
      const socket = folder.file('stale.sock');
      const made = spawnSync('python3', [
        '-c',
        'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])',
        socket,
      ]);
      if (made.status !== 0) return;
      const { stderr } = await exp({
        linkGbps: 0.05,
        dut: dut({ in: memif('server', 'stale.sock'), rssKey: 'symmetric' }),
        tester: tester(),
      });
      // Its next mistake is told.
      expect(stderr).toMatch(/does not hash, so it takes no key/);
    });

    test('a tester that dies under way', async () => {
      const dies = otherHost(
        'dies',
        'case $1 in *" tester -"*) exec timeout -s KILL 0.8 sh -c "$1";; esac',
      );
      const { code, stderr } = await exp({
        linkGbps: 0.05,
        dut: dut(),
        tester: tester({ ...dies, program: ours }),
      });
      expect(stderr).toMatch(/tester: .*process ended/);
      expect(code).toBe(1);
    });
  });
}
