// Balancing.run(): epochs by a clock that moves only where a test says so.
import { beforeEach, expect, test, vi } from 'vitest';

import { Balancing, type Backend } from '../../rsspp/index.js';

// Timers ring `lateMs` after their time; what waits for them waits no real time.
const clock = vi.hoisted(() => ({ now: 0, lateMs: 0 }));
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => {
    clock.now += ms + clock.lateMs;
    return Promise.resolve();
  },
}));

beforeEach(() => {
  Object.assign(clock, { now: 1000, lateMs: 0 });
});

/** When each epoch began, in ms after the first, where sampling takes so long. */
async function begins(tookMs: readonly number[]): Promise<number[]> {
  const table = [0, 1, 0, 1, 0, 1, 0, 1];
  const starts: number[] = [];
  const ending = new AbortController();
  const device: Backend = {
    name: 'slow',
    tableSize: () => table.length,
    readTable: () => table,
    writeTable: () => undefined,
    sample: () => {
      starts.push(clock.now);
      clock.now += tookMs[starts.length - 2] ?? 0;
      return { packets: table.map(() => 0n), coreLoads: [0.1, 0.1] };
    },
  };
  const balancing = await Balancing.start(device, { cores: 2, intervalMs: 100 });
  const now = vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  try {
    await balancing.run({
      signal: ending.signal,
      onEpoch: () => {
        if (starts.length > tookMs.length) ending.abort();
      },
    });
  } finally {
    now.mockRestore();
  }
  // The first sample is that of the start, before any epoch.
  return starts.slice(1).map((at) => at - (starts[1] ?? 0));
}

test('what an epoch takes is no part of the period', async () => {
  expect(await begins([30, 30, 60, 0, 99])).toEqual([0, 100, 200, 300, 400]);
});

test('nor does it grow by what timers are late', async () => {
  clock.lateMs = 2;
  expect(await begins([30, 30, 30, 30])).toEqual([0, 102, 202, 302]);
});

test('an epoch that takes longer than the period is not made up for', async () => {
  expect(await begins([250, 10, 10, 10])).toEqual([0, 250, 350, 450]);
});
