// The solver and the balancer with input that is odd: a number in JavaScript is not one of 16 or 32 bits.
import { expect, test } from 'vitest';

import {
  Balancer,
  Balancing,
  Device,
  RssppError,
  solve,
  type Backend,
  type DeviceSpec,
} from '../../rsspp/index.js';

const codeOf = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    if (!(error instanceof RssppError)) throw error;
    return error.code;
  }
  return undefined;
};

test('a problem that 32 bits do not hold is refused as one', () => {
  const owners = [0, 1];
  const problem = { loads: [1, 2], owners, cores: 2 };
  for (const more of [
    { loads: [1e39, 1] },
    { loads: [3e38, 3e38] },
    { tolerance: Number.NaN },
    { tolerance: -1 },
    { nodePenalty: 11 },
    { nodes: [0, -1] },
    { nodes: [0, 65_536] },
    { active: [false, false] },
  ])
    for (const method of ['balanced', 'exact'] as const)
      expect(codeOf(() => solve({ ...problem, ...more }, method))).toBe('bad-problem');
  expect(codeOf(() => solve({ loads: [], owners: [], cores: 1 }))).toBe('bad-problem');
  for (const none of [undefined, null, {}, { loads: [1] }, { loads: 1, owners, cores: 2 }])
    expect(codeOf(() => solve(none as never))).toBe('bad-problem');
});

test('a tolerance of 0 is one, and not the default', () => {
  // The default 0.9 % leaves the heavier core alone.
  const problem = { loads: [50.2, 0.2, 49.6], owners: [0, 0, 1], cores: 2 };
  expect(solve(problem).moves).toEqual([]);
  const exact = solve({ ...problem, tolerance: 0 });
  expect(exact.moves).toEqual([{ bucket: 1, from: 0, to: 1 }]);
});

test('tables, moves and counters that are none are refused', () => {
  using balancer = new Balancer({ cores: 2, buckets: 2 });
  for (const table of [[0, 65_536], [0, Number.NaN], [0, 0.5], [0, -1], [0]])
    expect(codeOf(() => balancer.setTable(table))).toBe('bad-problem');
  expect(codeOf(() => balancer.setTable(undefined as never))).toBe('bad-problem');
  expect(balancer.table()).toEqual([0, 1]);
  for (const none of [undefined, {}, { packets: [0, 0] }, { packets: 1, coreLoads: [0, 0] }])
    expect(codeOf(() => balancer.step(none as never))).toBe('bad-problem');
  const coreLoads = [0.1, 0.1];
  for (const packets of [
    [0, -1],
    [0, 1.5],
    [0, Number.NaN],
    [0, -1n],
    [0, 2n ** 64n],
  ])
    expect(codeOf(() => balancer.step({ packets, coreLoads }))).toBe('bad-problem');
  expect(codeOf(() => balancer.step({ packets: [0, 0], coreLoads, waiting: [0, -1] }))).toBe(
    'bad-problem',
  );
  expect(codeOf(() => balancer.reject([{ bucket: 65_536, from: 0, to: 1 }]))).toBe('bad-problem');
  for (const core of [65_536, Number.NaN, 0.5])
    expect(codeOf(() => balancer.removeCore(core))).toBe('bad-option');
  expect(
    balancer.step({ packets: [0, 0], coreLoads, queueFill: [Number.NaN, 0] }).activeCores,
  ).toBe(2);
});

test('options that contradict each other, or are none, are refused by name', () => {
  for (const [option, options] of [
    ['intervalMs', { intervalNs: 1e8, intervalMs: 50 }],
    ['busyIntervalMs', { busyIntervalNs: 1e6, busyIntervalMs: 1 }],
    ['bucket', { bucket: 128 }],
  ] as const)
    expect(() => new Balancer({ cores: 2, ...options })).toThrow(
      expect.objectContaining({ code: 'bad-option', option }),
    );
});

test('a device that fails at the start leaves no balancer behind', async () => {
  const backend = (table: number[]): Backend => ({
    name: 'odd',
    tableSize: () => 2,
    readTable: () => table,
    writeTable: () => undefined,
    sample: () => {
      throw new Error('no sample');
    },
  });
  await expect(Balancing.start(backend([0, 65_536]), { cores: 2 })).rejects.toMatchObject({
    code: 'bad-problem',
  });
  await expect(Balancing.start(backend([0, 1]), { cores: 2 })).rejects.toThrow('no sample');
});

test('a kind of device that there is not is refused by name', async () => {
  await expect(Device.open({ kind: 'tpa' } as unknown as DeviceSpec)).rejects.toMatchObject({
    code: 'bad-option',
    option: 'kind',
  });
});

test('what has no length is no list', () => {
  const problem = { loads: [1, 2], owners: [0, 1], cores: 2 };
  for (const name of ['active', 'pinned', 'nodes'])
    for (const odd of [new Set([1]), {}, 2])
      expect([name, codeOf(() => solve({ ...problem, [name]: odd }))]).toEqual([
        name,
        'bad-problem',
      ]);
});
