// The check of the virtual NIC: that it runs, says what it compared, and adds up. What comes out of
// real threads depends on the machine, so no verdict on them is asked for.
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';

import { tryLab } from '../../experiments/cli/lab.js';
import { reframer } from '../helpers/cli.js';

interface Record {
  md1?: { rho: number; expectedNs: number; meanNs: number; verdict: string };
  threads?: { chain: string; policy: string; virtualPps: number; threadsPps: number; ratio: number; ratioLow: number; ratioHigh: number; verdict: string };
  skipped?: string;
  verdict?: { agree: number; differ: number; undecided: number; notTested: number };
}

test('compares both engines on each chain, and M/D/1 agrees', async () => {
  const { records, error } = await tryLab<Record>('validate', { blocks: 1, packets: 100_000, scale: 0.1 });
  const md1 = records.flatMap((r) => r.md1 ?? []);
  expect(md1.map((m) => m.rho)).toEqual([0.2, 0.5, 0.8, 0.9]);
  expect(md1.every((m) => m.verdict === 'agrees')).toBe(true);
  const threads = records.flatMap((r) => r.threads ?? []);
  if (availableParallelism() >= 2) {
    expect(threads.map((t) => `${t.chain} ${t.policy}`)).toEqual(['paper off', 'paper fixed', 'modern off', 'modern fixed']);
    for (const t of threads) {
      expect(t.ratioLow).toBeLessThanOrEqual(t.ratio);
      expect(t.ratio).toBeLessThanOrEqual(t.ratioHigh);
      expect(Math.min(t.virtualPps, t.threadsPps)).toBeGreaterThan(0);
      expect(['agrees', 'differs', 'undecided', 'not overloaded']).toContain(t.verdict);
    }
  }
  const verdict = records.find((r) => r.verdict !== undefined)?.verdict;
  expect((verdict?.agree ?? 0) + (verdict?.differ ?? 0) + (verdict?.undecided ?? 0) + (verdict?.notTested ?? 0)).toBe(8);
  expect(error?.code).toBe((verdict?.differ ?? 0) > 0 ? 'check-failed' : undefined);
});

test('refuses what is no seed', async () => {
  expect((await reframer(['validate', '--seed', 'x'])).code).toBe(2);
});
