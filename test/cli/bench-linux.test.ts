// `reframer bench linux`: in namespaces of its own, counted to the byte, and gone afterwards.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';

import { missingForLinux } from '../../experiments/cli/linux/path.js';
import type { TrialRecord } from '../../experiments/cli/linux/trial-job.js';
import { makeRunner } from '../../experiments/core/runner.js';
import { labProgram, locate, packageRoot } from '../../native/loader.js';
import { reframer, reframerJson, skipSuite, temporaryFolder } from '../helpers/cli.js';

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
      ['--live', 'net_null'],
      ['--traffic', 'web'],
    ] as const) {
      const { code, stderr } = await reframer(['bench', 'linux', option, value]);
      expect(code, `${option} ${value}`).toBe(2);
      expect(stderr).toContain(option);
    }
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
        cpus: [0, 1],
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
      expect(rows[1]?.windowPackets).toBeCloseTo(20, 6);
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
