// `reframer bench linux`: in namespaces of its own, counted to the byte, and gone afterwards.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';

import { highestLossless } from '../../experiments/cli/linux/lossless.js';
import { missingForLinux } from '../../experiments/cli/linux/path.js';
import type { TrialRecord } from '../../experiments/cli/linux/trial-job.js';
import { makeRunner } from '../../experiments/core/runner.js';
import { labProgram, locate, packageRoot } from '../../native/loader.js';
import { reframer, reframerJson, runProgram, skipSuite, temporaryFolder } from '../helpers/cli.js';

interface Row {
  delayUs: number;
  slf: number;
  windowPackets: number;
  nsPerPacket: number;
  segmentsPerMerged: number;
  maxKpps: number;
  sent: number;
  lost: number;
  outOfOrder: number;
}

interface LiveRow extends Row {
  mode: string;
  offeredGbps: number;
  boxNsPerPacket: number;
  holdUs: number;
}

const ours = (): string[] =>
  spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout.match(/reframer-linux-\S+/g) ??
  [];
const small = [
  ...['bench', 'linux', '--quick', '--quiet', '--slf', '1,8', '--delays', '64us'],
  ...['--offered', '70Gbps,10Gbps'],
];

describe('bench linux', () => {
  test('wrong options are refused before anything is made', async () => {
    for (const [option, value] of [
      ['--cpus', '0,0'],
      ['--cpus', '0'],
      ['--offered', 'native'],
      ['--slf', '0'],
      ['--functions', 'router'],
      ['--kernels', 'timer64-fast'],
      ['--kernels', 'hash99'],
      ['--kernels', 'hash1'],
      ['--kernels', 'hash-hash2'],
      ['--kernels', 'hash-busy'],
      ['--kernels', 'busy'],
      // Of something that was not asked for.
      ['--pace', '1k'],
      ['--box-cpu', '0'],
      ['--wire-queues', '4'],
      ['--live', 'net_null'],
      ['--traffic', 'web'],
    ] as const) {
      const { code, stderr } = await reframer(['bench', 'linux', option, value]);
      expect(code, `${option} ${value}`).toBe(2);
      expect(stderr).toContain(option);
    }
  });

  test('options that others would make useless are refused', async () => {
    for (const [words, option] of [
      [['--live', 'af_xdp', '--slf', '1,4'], '--slf'],
      [['--live', 'af_xdp', '--offered', '10Gbps'], '--offered'],
      [['--live', 'af_xdp', '--kernels', 'software-hash'], '--live'],
      [['--live', 'af_packet', '--kernels', 'hash'], '--live'],
      [['--live', 'af_packet', '--traffic', 'campus'], '--live'],
      [['--lossless', '--functions', 'bridge', '--kernels', 'busy'], '--kernels'],
      [['--lossless', '--live', 'af_xdp'], '--lossless'],
      [['--traffic', 'campus', '--slf', '1'], '--slf'],
      [['--traffic', 'campus', '--flows', '64'], '--flows'],
      [['--traffic', 'campus', '--offered', '1Gbps,2Gbps'], '--offered'],
    ] as const) {
      const { code, stderr } = await reframer(['bench', 'linux', ...words]);
      expect(code, words.join(' ')).toBe(2);
      expect(stderr).toContain(option);
    }
  });

  test('one processor, or root without its rights: exit 3 and the reason', async () => {
    const command = join(packageRoot, 'experiments/cli/reframer.mjs');
    const bench = [process.execPath, command, 'bench', 'linux', '--quick', '--quiet'];
    const one = await runProgram('taskset', ['-c', '0', ...bench]);
    expect([one.code, one.stdout]).toEqual([3, '']);
    expect(one.stderr).toContain('two processors');
    if (process.getuid?.() !== 0)
      return skipSuite('root without rights was not tested: needs root');
    const bare = ['--bounding-set=-net_admin,-sys_admin', '--inh-caps=-all'];
    const { code, stdout, stderr } = await runProgram('setpriv', [...bare, ...bench]);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/needs the right to make network namespaces \(.+\)/);
  });

  const missing = missingForLinux();
  if (missing.length > 0) return skipSuite(`bench linux needs ${missing.join(', ')}`);

  test('longer rows are merged, nothing is lost, nothing stays', { timeout: 120_000 }, async () => {
    const { rows } = await reframerJson<{ rows: Row[] }>([...small, '--json']);
    expect(rows.map(({ delayUs }) => delayUs)).toEqual([0, 0, 64, 64]);
    const [single, eight, held, slow] = rows;
    expect(single?.slf).toBeCloseTo(1, 1);
    expect(eight?.slf).toBeCloseTo(8, 0);
    expect(held?.windowPackets).toBeCloseTo(64_000 / (((1066 + 24) * 8) / 70), 3);
    expect(slow?.windowPackets).toBeCloseTo((held?.windowPackets ?? 0) / 7, 6);
    expect(slow?.slf).toBeLessThan(held?.slf ?? 0);
    expect(single?.segmentsPerMerged).toBeLessThan(1.2);
    // Rings are always full, so all that stands together in a poll is merged.
    expect(eight?.segmentsPerMerged).toBeGreaterThan(6);
    expect(held?.segmentsPerMerged).toBeGreaterThan(1.5);
    for (const row of rows) {
      expect(row.sent).toBeGreaterThan(0);
      expect(row.lost).toBe(0);
      expect(row.outOfOrder).toBe(0);
      expect(row.nsPerPacket).toBeGreaterThan(0);
      expect(row.maxKpps).toBeGreaterThan(0);
    }
    expect(ours()).toEqual([]);
  });

  test(
    'a kernel that may not merge does not, a program may poll; the highest rate without loss is one that it took',
    { timeout: 120_000 },
    async () => {
      const { rows, notTestable } = await reframerJson<{
        rows: (Row & { gro: boolean; losslessKpps: number | null })[];
        notTestable: { row: string; reason: string }[];
      }>([
        ...['bench', 'linux', '--quick', '--quiet', '--kernels', 'nogro,busy', '--slf', '16'],
        ...['--delays', '', '--lossless', '--rounds', '1', '--time', '100ms'],
      ]);
      expect(rows.map(({ gro }) => gro)).toEqual([false, false, true, true]);
      for (const row of rows) {
        if (!row.gro) expect(row.segmentsPerMerged).toBeCloseTo(1, 6);
        expect(row.outOfOrder).toBe(0);
        expect(row.nsPerPacket).toBeGreaterThan(0);
        // On a machine that does something else it may find none.
        if (row.losslessKpps !== null) expect(row.losslessKpps).toBeLessThan(1.6 * row.maxKpps);
      }
      // A program's polls merge, too: the core never sleeps, and finds what came meanwhile.
      expect(rows[3]?.slf).toBeCloseTo(16, 0);
      expect(rows[3]?.segmentsPerMerged).toBeGreaterThan(2);
      expect(notTestable).toHaveLength(1);
      expect(notTestable[0]?.reason).toContain('no guest');
      expect(ours()).toEqual([]);
    },
  );

  test('bisection ends between the last rate that was carried and the first that was not', async () => {
    const asked: number[] = [];
    const carries = (most: number, refuses: boolean) => (pps: number) => {
      asked.push(pps);
      const over = pps > most;
      return Promise.resolve({
        ...{ flows: 1, slf: 1, windowPackets: 0, nsPerPacket: 1, segmentsPerMerged: 1 },
        ...{ packetsPerSecond: Math.min(pps, most), refused: over && refuses ? 9 : 0 },
        ...{ sent: 1e6, lost: over && refuses ? 5e4 : 900, outOfOrder: 0 },
      });
    };
    const path = await highestLossless(1e6, carries(700e3, true));
    expect(path.senderIsLimit).toBe(false);
    expect(path.kpps).toBeGreaterThan(675);
    expect(path.kpps).toBeLessThanOrEqual(700);
    expect(Math.max(...asked)).toBe(1.5e6);
    expect((await highestLossless(1e6, carries(700e3, false))).senderIsLimit).toBe(true);
    expect((await highestLossless(1e6, carries(2e6, true))).kpps).toBe(1500);
    expect((await highestLossless(1e6, carries(1, true))).kpps).toBeNaN();
  });

  test(
    'a trial of the experiment tells what each setting saves',
    { timeout: 120_000 },
    async () => {
      let told: TrialRecord;
      const spec = {
        function: 'forward',
        traffic: 'campus',
        wireQueues: 4,
        flows: 256,
        offeredBps: 40e9,
        seconds: 0.1,
        warmSeconds: 0.05,
        seed: 3,
        baseline: 'default',
        settings: {
          plain: { kernel: 'default' },
          // Names that are numbers come first, wherever they stand: the baseline must not be the first.
          64: { kernel: 'timer64' },
          held: { kernel: 'default', windowPackets: 500 },
        },
      };
      const folder = temporaryFolder();
      try {
        vi.stubEnv('REFRAMER_NO_SETUP', '1');
        const logFile = folder.file('log');
        const runTrial = makeRunner({ program: locate(labProgram), cpus: undefined, logFile });
        const { records, error } = await runTrial('command:bench linux-trial', spec, 100);
        expect(error).toBeUndefined();
        told = records[0] as unknown as TrialRecord;
        const settings = { plain: { kernel: 'fast' } };
        const wrong = await runTrial('command:bench linux-trial', { ...spec, settings }, 100);
        expect(wrong.error).toMatchObject({ exitCode: 2 });
      } finally {
        vi.unstubAllEnvs();
        folder.remove();
      }
      const { nsPerPacket, at } = told;
      expect(Object.keys(at).sort()).toEqual(['64', 'held', 'plain']);
      expect(nsPerPacket).toBeGreaterThan(0);
      expect(at['plain']?.savedPercent).toBe(0);
      expect(at['held']?.overBestPercent).toBeLessThan(100);
      expect(at['plain']?.overBestPercent).toBeUndefined();
      // T is for the packets of the wire; a quarter of them come to this core.
      expect(at['held']?.windowPackets).toBeGreaterThan(75);
      expect(at['held']?.windowPackets).toBeLessThan(200);
      for (const { lost, outOfOrder } of Object.values(at))
        expect([lost, outOfOrder]).toEqual([0, 0]);
      expect(at['held']?.slf).toBeGreaterThan(at['plain']?.slf ?? Number.NaN);
      expect(ours()).toEqual([]);
    },
  );

  const dpdkBuilt = existsSync(join(packageRoot, 'native/build/reframer-dpdk'));
  if (!dpdkBuilt) skipSuite('bench linux --live was not tested: reframer-dpdk was not built');
  test.skipIf(!dpdkBuilt)(
    'a box in the path keeps order, and tells what it took',
    { timeout: 120_000 },
    async () => {
      const { rows } = await reframerJson<{ rows: LiveRow[] }>([
        ...['bench', 'linux', '--quick', '--quiet', '--live', 'af_xdp', '--pace', '5k'],
        ...['--flows', '8', '--delays', '4ms', '--rounds', '1'],
      ]);
      expect(rows.map(({ delayUs }) => delayUs)).toEqual([0, 4000]);
      // What passes, not what was asked for: a busy machine's pace is lower.
      const passing = rows[1]?.windowPackets ?? Number.NaN;
      expect(passing).toBeGreaterThan(0);
      expect(passing).toBeLessThan(20.5);
      const kpps = (1e6 * (rows[1]?.offeredGbps ?? Number.NaN)) / (8 * (1066 + 24));
      expect(passing).toBeLessThan(4 * kpps + 0.5);
      for (const row of rows) {
        expect(row.mode).toBe('live');
        expect(row.outOfOrder).toBe(0);
        expect(row.sent).toBeGreaterThan(row.lost);
        expect(row.boxNsPerPacket).toBeGreaterThan(0);
      }
      // 20 packets of 8 flows.
      expect(rows[1]?.slf).toBeGreaterThan(1.5);
      expect(rows[1]?.holdUs).toBeGreaterThan(1000);
      expect(ours()).toEqual([]);
    },
  );

  test.skipIf(!dpdkBuilt)(
    'a box over af_packet gives each packet a hash, by which GRO finds 32 flows',
    { timeout: 120_000 },
    async () => {
      const { rows } = await reframerJson<{ rows: LiveRow[] }>([
        ...['bench', 'linux', '--quick', '--quiet', '--live', 'af_packet', '--pace', '20k'],
        ...['--flows', '32', '--delays', '', '--rounds', '1'],
        ...['--kernels', 'software-timer8000,software-hash-timer8000'],
      ]);
      const [without, hashed] = rows;
      expect(hashed?.segmentsPerMerged).toBeGreaterThan(2 * (without?.segmentsPerMerged ?? 9));
    },
  );

  test('what a killed run left behind goes at the next start', { timeout: 120_000 }, async () => {
    await reframer([...small, '--time', '5s'], {
      started: (kill) => {
        const timer = setInterval(() => {
          if (ours().length < 3) return;
          clearInterval(timer);
          kill('SIGKILL');
        }, 20);
      },
    });
    expect(ours().length).toBeGreaterThan(0);
    const { code } = await reframer(small);
    expect(code).toBe(0);
    expect(ours()).toEqual([]);
  });
});
