// An experiment on a bed: device and tester are two processes in two network namespaces with a memif
// between them, ssh is a local command. Then each of ten mistakes in the bed's file.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { missingPrograms, Spaces } from '../../experiments/cli/linux/spaces.js';
import { readJournal } from '../../experiments/core/journal.js';
import type { SampleRecord } from '../../experiments/core/records.js';
import { parseBed } from '../../experiments/testbed/bed.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, skipSuite, temporaryFolder, type Outcome } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const memif = (role: 'server' | 'client'): string =>
  `net_memif0,role=${role},id=0,socket=${folder.file('bed.sock')},socket-abstract=no`;

type Member = Record<string, unknown>;

const write = (name: string, bed: unknown): string => {
  const file = folder.file(`${name}.json`);
  writeFileSync(file, typeof bed === 'string' ? bed : JSON.stringify(bed));
  return file;
};

const bedOf = (dut: Member = {}, tester: Member = {}, more: Member = {}): Member => ({
  linkGbps: 0.5,
  dut: { in: memif('server'), queues: 2, ...dut },
  tester: { tx: memif('client'), queues: 2, ...tester },
  ...more,
});

const exp = (bed: string, ...args: string[]): Promise<Outcome> =>
  reframer(['exp', 'reframer', '--testbed', bed, '--ci', ...args]);

/** Programs of a bed that still run. */
const left = (): string[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const ours = words.some((word) => /reframer-dpdk$/.test(word));
        const job = words.some((word) => word === 'live-trial' || word === 'tester');
        // Its specification is not in its command line: its working files tell whose it is.
        const files = readFileSync(`/proc/${pid}/net/unix`, 'utf8');
        return ours && job && files.includes(folder.path) ? [words.join(' ')] : [];
      } catch {
        return [];
      }
    });

test.each([
  ['{', /Expected property name|JSON/],
  ['[]', /must be an object with dut and tester/],
  [{ tester: { tx: 'a' } }, /: dut is missing$/],
  [{ dut: { in: 'a' } }, /: tester is missing$/],
  [{ dut: {}, tester: { tx: 'a' } }, /: dut\.in is missing$/],
  [{ dut: { in: 'a', queues: 0 }, tester: { tx: 'a' } }, /dut\.queues must be a whole number/],
  [{ dut: { in: 'a', qeues: 2 }, tester: { tx: 'a' } }, /dut\.qeues is not known here/],
  [{ dut: { in: 'a', host: 'dut' }, tester: { tx: 'a' } }, /dut\.host is 'dut'; write local/],
  [{ dut: { in: 'a' }, tester: { tx: 'a', kind: 'ixia' } }, /tester\.kind is 'ixia'/],
  [{ dut: { in: 'a' }, tester: { tx: 'a', kind: 'tcpreplay' } }, /capture is missing/],
])('a bed file %j is refused by its member', (bed, words) => {
  expect(() => parseBed(typeof bed === 'string' ? bed : JSON.stringify(bed), 'bed.json')).toThrow(
    words,
  );
});

test('ports of a bed become options of EAL', () => {
  const { dut, tester } = parseBed(
    JSON.stringify({ dut: { in: '0000:3b:00.0' }, tester: { tx: 'af_packet:veth0' } }),
    'bed.json',
  );
  expect([dut.hugepages, tester.hugepages]).toEqual([true, false]);
  expect(dut.eal.join(' ')).toContain('-a 0000:3b:00.0');
  expect(tester.eal.join(' ')).toContain('--vdev=net_af_packet0,iface=veth0');
  expect([tester.tx, tester.rx]).toEqual(['net_af_packet0', 'net_af_packet0']);
});

const missing = missingPrograms({ ip: 'iproute2', ethtool: 'ethtool' });
if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite('beds were not tested: needs reframer-dpdk');
} else if (missing.length > 0) {
  skipSuite(`beds were not tested: needs ${missing.join(', ')}`);
} else {
  describe('a bed of two namespaces', { timeout: 240_000 }, () => {
    let spaces: Spaces<'dut' | 'tester'>;
    beforeAll(() => {
      spaces = new Spaces('reframer-bed-', ['dut', 'tester']);
    });
    afterAll(() => {
      spaces.close();
      expect(left()).toEqual([]);
    });
    const inSpaces = (dut: Member = {}, tester: Member = {}): Member =>
      bedOf(
        { host: `namespace:${spaces.name('dut')}`, ...dut },
        { host: `namespace:${spaces.name('tester')}`, ...tester },
      );

    test('the in-chain part ends with a report; interrupted, it goes on; counts agree', async () => {
      const out = folder.file('run');
      const bed = write('bed', inSpaces());
      const args = ['--only', 'in-chain', '--out', out];
      const first = await reframer(['exp', 'reframer', '--testbed', bed, ...args], {
        started: (kill) => {
          const timer = setInterval(() => {
            const journal = join(out, 'journal.jsonl');
            const text = existsSync(journal) ? readFileSync(journal, 'utf8') : '';
            if (text.split('"type":"sample"').length <= 3) return;
            clearInterval(timer);
            kill('SIGINT');
          }, 50);
        },
      });
      expect(first.stderr).toContain('resume with: npx reframer exp reframer --testbed');
      expect(left()).toEqual([]);
      const kept = readJournal(join(out, 'journal.jsonl')).records.length;
      const { code, stderr, stdout } = await exp(bed, ...args);
      expect(stderr).toContain('resuming');
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      expect(stdout).not.toBe('');
      const { records } = readJournal(join(out, 'journal.jsonl'));
      expect(records.length).toBeGreaterThan(kept);
      const samples = records.filter((r): r is SampleRecord => r.type === 'sample');
      expect(samples.length).toBeGreaterThanOrEqual(24);
      for (const { record } of samples) {
        expect(record.engine).toBe('testbed');
        const { bed: counts, tester } = record as unknown as {
          bed: Record<string, number | boolean>;
          tester: Record<string, number>;
        };
        expect(counts).toMatchObject({ agree: true, onTheWay: 0, onTheWayBack: 0 });
        expect(tester.sentInAll).toBe(Number(counts.deviceReceived) + Number(counts.deviceMissed));
        expect(tester.outOfOrder).toBe(0);
        expect(tester.sent).toBeGreaterThan(100);
      }
      const csv = readFileSync(join(out, 'points.csv'), 'utf8');
      for (const line of csv.trim().split('\n').slice(1))
        expect(line).toContain('in-chain,testbed,');
      const context = JSON.parse(readFileSync(join(out, 'context.json'), 'utf8')) as Member;
      const machines = context.bed as Record<string, Member>;
      expect(context.engine).toBe('testbed');
      expect(typeof machines.tester?.kernel).toBe('string');
      expect(typeof machines.dut?.cpu).toBe('string');
    });

    test('a part that the bed cannot run is left out, with the reason', async () => {
      const one = write('one', inSpaces({ queues: 1 }, { queues: 1 }));
      const { stderr } = await exp(one, '--only', 'cores', '--out', folder.file('left-out'));
      expect(stderr).toContain(
        'cores is left out: needs 2 receive queues of the device under test, a core each; the bed has 1',
      );
      expect(readFileSync(folder.file('left-out/report.md'), 'utf8')).toContain(
        'needs 2 receive queues',
      );
    });

    /** In place of ssh: a program that takes a line of a shell. */
    const fakeSsh = (name: string, body: string): string => {
      const file = folder.file(name);
      writeFileSync(file, `#!/bin/sh\n${body}\n`);
      chmodSync(file, 0o755);
      return file;
    };
    const ssh = { host: 'ssh:nobody@nowhere' };

    test('over what stands for ssh, the program is copied, and runs', async () => {
      const home = folder.file('home');
      const via = [fakeSsh('ssh-ok', `HOME=${home} XDG_CACHE_HOME= exec sh -c "$1"`)];
      const bed = write('over-ssh', bedOf({ ...ssh, via }, {}));
      const out = folder.file('over-ssh-run');
      const { code, stderr } = await exp(bed, '--only', 'own-core', '--out', out);
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      expect(
        spawnSync('find', [home, '-name', 'reframer-dpdk'], { encoding: 'utf8' }).stdout,
      ).toContain('/reframer/');
    });

    test.each<[string, () => Member, RegExp]>([
      [
        'wrong port',
        () => bedOf({ in: '0000:ff:1f.7', hugepages: false }),
        /dut: DPDK has no port|dut: .*EAL/,
      ],
      [
        'no such namespace',
        () => bedOf({ host: 'namespace:none-such' }),
        /dut \(namespace:none-such\): .*none-such/,
      ],
      [
        'no ssh',
        () =>
          bedOf({
            ...ssh,
            via: [fakeSsh('ssh-no', 'echo "Permission denied (publickey)." >&2; exit 255')],
          }),
        /dut \(ssh:nobody@nowhere\): Permission denied/,
      ],
      [
        'missing hugepages',
        () =>
          bedOf({
            ...ssh,
            hugepages: true,
            via: [fakeSsh('ssh-pages', 'exec sh -c "$1" | sed "s/^hugepages=.*/hugepages=0/"')],
          }),
        /dut: no hugepages are reserved there/,
      ],
      [
        'other binary',
        () => {
          writeFileSync(folder.file('other'), 'other');
          return bedOf({ program: folder.file('other') });
        },
        /dut: .*other is another build than ours/,
      ],
      [
        'program that is not there',
        () =>
          bedOf({ ...ssh, via: [fakeSsh('ssh-gone', 'exec sh -c "$1"')], program: '/none/such' }),
        /dut: .*\/none\/such/,
      ],
      [
        'unequal clocks',
        () =>
          bedOf({
            ...ssh,
            via: [
              fakeSsh(
                'ssh-clock',
                'exec sh -c "$1" | sed "s/^time=\\([0-9]*\\).*/time=1000000000/"',
              ),
            ],
          }),
        /dut: its clock is \d+ s behind ours/,
      ],
      [
        'a tester that is not there',
        () => bedOf({}, { kind: 'trex', address: '127.0.0.1:1', tx: '0' }),
        /tester: TRex does not answer at 127\.0\.0\.1:1/,
      ],
      [
        'more queues than the port has',
        () => bedOf({ in: 'net_null0', queues: 64 }),
        /dut: .*64|at most/,
      ],
      [
        'the other end is not up',
        () => bedOf({ in: 'net_null0' }),
        /tester: net_memif0 has no link after 10 s: is the other end up\?/,
      ],
      [
        'a tester that dies',
        () =>
          bedOf(
            {},
            {
              ...ssh,
              via: [
                fakeSsh(
                  'ssh-dies',
                  'case "$1" in *tester*-) exec timeout -s KILL 1 sh -c "$1";; *) exec sh -c "$1";; esac',
                ),
              ],
            },
          ),
        /tester: (its process ended|.*ended)/,
      ],
    ])('%s: one clear line, and nothing is left running', async (name, bed, words) => {
      const file = write(`mistake-${name.replaceAll(' ', '-')}`, bed());
      const { code, stderr } = await exp(
        file,
        '--only',
        'own-core',
        '--out',
        folder.file(`out-${name.replaceAll(' ', '-')}`),
      );
      expect(code).not.toBe(0);
      const lines = stderr.split('\n').filter((line) => words.test(line));
      expect([lines.length > 0, stderr]).toEqual([true, stderr]);
      expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
      expect(left()).toEqual([]);
    });
  });
}
