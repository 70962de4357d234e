// The check of the virtual NIC: what it compared, that its verdicts add up, and that its exit code is
// what they say. What comes out of real threads depends on the machine: no verdict on them is asked for.
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';

import { tryLab } from '../../experiments/cli/lab.js';
import { reframer } from '../helpers/cli.js';

type Verdict = 'agrees' | 'differs' | 'undecided' | 'not overloaded';

interface Quantile {
  virtualNs: number;
  threadsNs: number;
  ratio: number;
  low: number | null;
  high: number | null;
  verdict: Verdict;
}

interface Record {
  md1?: { rho: number; verdict: Verdict };
  threads?: {
    chain: string;
    policy: string;
    virtualPps: number;
    threadsPps: number;
    ratio: number;
    ratioLow: number | null;
    ratioHigh: number | null;
    verdict: Verdict;
  };
  latency?: {
    chain: string;
    policy: string;
    load: number;
    p50: Quantile;
    p99: Quantile;
    verdict: Verdict;
  };
  skipped?: string;
  verdict?: { agree: number; differ: number; undecided: number; notTested: number };
}

// As many packets as bring the sampling error of M/D/1 at a load of 0.9 well below 3 %.
const spec = { packets: 1_000_000, scale: 0.1 };

test('compares both engines on each chain, and M/D/1 agrees', async () => {
  const { records, error } = await tryLab<Record>('validate', {
    ...spec,
    blocks: 6,
    chains: ['modern'],
  });
  const md1 = records.flatMap((r) => r.md1 ?? []);
  expect(md1.map((m) => m.rho)).toEqual([0.2, 0.5, 0.8, 0.9]);
  expect(md1.map((m) => m.verdict)).toEqual(['agrees', 'agrees', 'agrees', 'agrees']);
  const threads = records.flatMap((r) => r.threads ?? []);
  const latency = records.flatMap((r) => r.latency ?? []);
  if (availableParallelism() >= 2) {
    expect(threads.map((t) => `${t.chain} ${t.policy}`)).toEqual(['modern off', 'modern fixed']);
    for (const { ratio, ratioLow: low, ratioHigh: high, verdict } of threads) {
      expect(low).toBeLessThanOrEqual(ratio);
      expect(high).toBeGreaterThanOrEqual(ratio);
      if (verdict !== 'not overloaded') expect(verdict).toBe(verdictOf(low, high));
    }
    expect(latency.map((l) => `${l.policy} ${l.load}`)).toEqual([
      'off 0.5',
      'off 0.8',
      'fixed 0.5',
      'fixed 0.8',
    ]);
    for (const { p50, p99, verdict } of latency) {
      for (const q of [p50, p99]) expect(q.verdict).toBe(verdictOf(q.low, q.high));
      const words = [p50.verdict, p99.verdict];
      expect(verdict).toBe(
        words.includes('differs')
          ? 'differs'
          : words.includes('undecided')
            ? 'undecided'
            : 'agrees',
      );
    }
  }
  // The counts are those of the records, and the exit code is what they say.
  const words = [...md1, ...threads, ...latency].map((r) => r.verdict);
  const total = records.find((r) => r.verdict !== undefined)?.verdict;
  const count = (word: Verdict): number => words.filter((w) => w === word).length;
  expect(total).toMatchObject({
    agree: count('agrees'),
    differ: count('differs'),
    undecided: count('undecided'),
  });
  expect(
    (total?.agree ?? 0) + (total?.differ ?? 0) + (total?.undecided ?? 0) + (total?.notTested ?? 0),
  ).toBe(10);
  const outcome = [error?.code, error?.exitCode];
  if ((total?.differ ?? 0) > 0) expect(outcome).toEqual(['check-failed', 1]);
  else if (total?.agree === 10) expect(outcome).toEqual([undefined, undefined]);
  else expect(outcome).toEqual(['not-decided', 3]);
}, 240_000);

test('undecided is not agreement: too few blocks exit with 3', async () => {
  const { records, error } = await tryLab<Record>('validate', {
    ...spec,
    blocks: 1,
    chains: ['modern'],
    policies: ['off'],
  });
  const unsure = records.flatMap((r) => r.threads ?? r.latency ?? []).map((r) => r.verdict);
  expect(unsure.every((verdict) => verdict === 'undecided' || verdict === 'not overloaded')).toBe(
    true,
  );
  expect([error?.code, error?.exitCode]).toEqual(['not-decided', 3]);
}, 120_000);

function verdictOf(low: number | null, high: number | null): Verdict {
  if (low === null || high === null) return 'undecided';
  if (low >= 0.97 && high <= 1.03) return 'agrees';
  return low > 1.03 || high < 0.97 ? 'differs' : 'undecided';
}

test('refuses what is no seed', async () => {
  expect((await reframer(['validate', '--seed', 'x'])).code).toBe(2);
});
