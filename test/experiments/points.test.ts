import { describe, expect, test } from 'vitest';

import { blockOrder, blockSeed } from '../../experiments/core/order.js';
import { expandAxes, expandPart, makePoint, type Identity } from '../../experiments/core/points.js';
import { bisect } from '../../experiments/core/search.js';
import { findExperiment } from '../../experiments/core/registry.js';
import type { SearchAxis } from '../../experiments/core/types.js';
import { sweep } from './helpers.js';

const identity: Identity = { experiment: 'tiny', seed: 1, binary: 'b', traces: [] };

describe('axes', () => {
  test('list, range, log range and zip multiply', () => {
    const points = expandAxes([
      { kind: 'list', name: 'a', values: ['x', 'y'] },
      { kind: 'range', name: 'b', from: 0, to: 0.3, step: 0.1 },
      { kind: 'logRange', name: 'c', from: 8, to: 256, factor: 2 },
      {
        kind: 'zip',
        names: ['d', 'e'],
        rows: [
          [1, 'one'],
          [2, 'two'],
        ],
      },
    ]);
    expect(points.length).toBe(2 * 4 * 6 * 2);
    expect(points[0]).toEqual({ a: 'x', b: 0, c: 8, d: 1, e: 'one' });
    expect(points.at(-1)).toEqual({
      a: 'y',
      b: expect.closeTo(0.3) as number,
      c: 256,
      d: 2,
      e: 'two',
    });
  });

  test('a condition leaves an axis out, a filter leaves points out', () => {
    const points = expandAxes(
      [
        { kind: 'list', name: 'policy', values: ['off', 'fixed'] },
        { kind: 'list', name: 'T', values: [16, 64], when: (p) => p.policy === 'fixed' },
      ],
      (p) => p.T !== 16,
    );
    expect(points).toEqual([{ policy: 'off' }, { policy: 'fixed', T: 64 }]);
  });

  test.each([
    [{ kind: 'range', name: 'x', from: 0, to: 1, step: 0 } as const],
    [{ kind: 'logRange', name: 'x', from: 1, to: 2, factor: 1 } as const],
    [{ kind: 'zip', names: ['x', 'y'], rows: [[1]] } as const],
  ])('an axis without sense is refused: %o', (axis) =>
    expect(() => expandAxes([axis])).toThrow(/axis/),
  );
});

describe('identity', () => {
  const part = sweep();
  const params = { chain: 'paper', contender: 'off' };
  const id = (change: Partial<Identity>, control = false): string =>
    makePoint(part, params, control, { ...identity, ...change }).id;

  test('the same point has the same id, whatever the order of its parameters', () => {
    expect(makePoint(part, { contender: 'off', chain: 'paper' }, false, identity).id).toBe(id({}));
  });
  test('seed, program, specification and control are part of it', () => {
    const other = makePoint(
      { ...part, spec: (p) => ({ ...part.spec(p), queues: 4 }) },
      params,
      false,
      identity,
    ).id;
    expect(new Set([id({}), id({ seed: 2 }), id({ binary: 'c' }), id({}, true), other]).size).toBe(
      5,
    );
  });
  test('a capture counts by its content, not by its path', () => {
    const reads = { ...part, spec: () => ({ source: { file: '/somewhere/x.pcap' } }) };
    const elsewhere = { ...part, spec: () => ({ source: { file: '/elsewhere/x.pcap' } }) };
    const at = (file: string, sha256: string): Identity => ({
      ...identity,
      traces: [{ name: 'x', file, sha256 }],
    });
    const a = makePoint(reads, params, false, at('/somewhere/x.pcap', 'aa')).id;
    expect(makePoint(elsewhere, params, false, at('/elsewhere/x.pcap', 'aa')).id).toBe(a);
    expect(makePoint(reads, params, false, at('/somewhere/x.pcap', 'bb')).id).not.toBe(a);
  });
  test('settings hold the contenders, their baseline and a control', () => {
    const settings = expandPart(part, identity);
    expect(settings.map((s) => s.params)).toEqual([{ chain: 'paper' }, { chain: 'modern' }]);
    for (const s of settings) {
      expect(s.points.map((p) => [p.params.contender, p.control])).toEqual([
        ['off', false],
        ['burst', false],
        ['fixed', false],
        ['off', true],
      ]);
      expect(s.baseline).toBe(s.points[0]);
    }
  });
});

describe('order', () => {
  test('a block is a palindrome of every contender, drawn anew for each block and seed', () => {
    const items = ['a', 'b', 'c', 'd', 'e'];
    const orders = Array.from({ length: 50 }, (_, block) => blockOrder(items, 7, 's', block));
    for (const order of orders) {
      expect(order).toEqual([...order].reverse());
      expect([...order.slice(0, 5)].sort()).toEqual(items);
    }
    expect(new Set(orders.map((o) => o.join(''))).size).toBeGreaterThan(20);
    expect(blockOrder(items, 7, 's', 3)).toEqual(orders[3]);
    expect(blockOrder(items, 8, 's', 3)).not.toEqual(orders[3]);
  });
  test('nobody stands first more often than chance has it', () => {
    const first = Array.from(
      { length: 1000 },
      (_, block) => blockOrder(['a', 'b', 'c', 'd'], 1, 's', block)[0],
    );
    for (const name of 'abcd') expect(first.filter((f) => f === name).length).toBeGreaterThan(190);
  });
  test('traffic is the block’s', () => {
    expect(blockSeed(1, 's', 0)).toBe(blockSeed(1, 's', 0));
    expect(new Set(Array.from({ length: 100 }, (_, b) => blockSeed(1, 's', b))).size).toBe(100);
  });
});

describe('search', () => {
  const axis: SearchAxis = {
    kind: 'search',
    name: 'rate',
    from: 1,
    to: 100,
    resolution: 0.5,
    metric: 'loss',
    atMost: 0,
  };
  const lossAbove =
    (limit: number) =>
    (value: number): Promise<number> =>
      Promise.resolve(value > limit ? 0.1 : 0);

  test('finds the bound to the resolution', async () => {
    const found = await bisect(axis, lossAbove(37.3));
    expect(found.value).toBeLessThanOrEqual(37.3);
    expect(found.value).toBeGreaterThan(36.8);
    expect(found.broken).toBeGreaterThan(37.3);
    expect(found.probes).toBeLessThan(12);
  });
  test('says when the range has no bound', async () => {
    expect((await bisect(axis, lossAbove(1000))).value).toBe(100);
    expect((await bisect(axis, lossAbove(0))).value).toBeNaN();
  });
});

test('the Reframer experiment: metrics, figures and claims name what exists', () => {
  const experiment = findExperiment('reframer');
  const traces = [{ name: 'x.pcap', file: '/x.pcap', sha256: '0'.repeat(64) }];
  const parts = experiment.plan({ profile: 'full', seed: 1, traces }).parts;
  const metrics = new Set(experiment.metrics.map((m) => m.key));
  const names = new Set(parts.map((p) => p.name));
  for (const part of parts)
    for (const key of [part.headline, ...part.metrics]) expect(metrics).toContain(key);
  for (const figure of experiment.figures) {
    expect(names).toContain(figure.part);
    expect(metrics).toContain(figure.metric);
  }
  // A trial that measures several settings in turn has a point for each.
  const points = parts.flatMap((part) =>
    expandPart(part, { ...identity, traces })
      .flatMap((s) => s.points)
      .flatMap((point) =>
        (part.unfold ?? [{ params: {} }]).map((inner) => ({
          ...point,
          params: { ...point.params, ...inner.params },
        })),
      ),
  );
  for (const { measured } of experiment.claims) {
    if (measured === undefined) continue;
    const found = points.filter(
      (p) =>
        p.part === measured.part &&
        !p.control &&
        Object.entries(measured.at).every(([k, v]) => p.params[k] === v),
    );
    expect(found.length, JSON.stringify(measured)).toBe(1);
  }
  for (const row of experiment.published()) expect(names).toContain(row.part);
});
