// States as numbers with names, and counting without copies.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';

import { ConntrackError, encodeKey, FlowTracker } from '../../conntrack/index.js';

const key = (n: number): Uint8Array =>
  encodeKey({
    source: `10.0.0.${n}`,
    destination: '10.1.0.1',
    sourcePort: 1,
    destinationPort: 2,
    protocol: 6,
  });
const keys = (...all: number[]): Uint8Array => Buffer.concat(all.map(key));

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof ConntrackError) return error.code;
    throw error;
  }
  return undefined;
};

describe('a described state', () => {
  test('has its members at their places', () => {
    using tracker = new FlowTracker({
      state: { port: 'u16', packets: 'u64', load: 'f64', low: 'i32' },
    });
    expect(tracker.stateBytes).toBe(32);
    const burst = tracker.findOrInsert(keys(1, 2), 0);
    burst.set(0, 'port', 443);
    burst.set(0, 'packets', 1n << 60n);
    burst.set(0, 'load', 0.25);
    burst.set(0, 'low', -3);
    tracker.store(burst);
    const again = tracker.find(keys(1), 0);
    expect(again.get(0, 'packets')).toBe(1n << 60n);
    expect(again.view.getUint16(0, true)).toBe(443);
    expect(tracker.flows(0).map(({ values }) => values)).toContainEqual({
      port: 443,
      packets: 1n << 60n,
      load: 0.25,
      low: -3,
    });
  });

  test('refuses what it cannot be', () => {
    expect(codeOf(() => new FlowTracker({ state: { a: 'u63' as 'u64' } }))).toBe('bad-option');
    expect(codeOf(() => new FlowTracker({ state: { a: 'u64' }, stateBytes: 8 }))).toBe(
      'bad-option',
    );
    const many = Object.fromEntries(
      Array.from({ length: 65 }, (_, i) => [`m${i}`, 'u64' as const]),
    );
    expect(codeOf(() => new FlowTracker({ state: many }))).toBe('bad-option');
    using plain = new FlowTracker({ timeoutsNs: 1_000_000_000n });
    const burst = plain.findOrInsert(keys(1), 0);
    expect(codeOf(() => burst.get(0, 'packets'))).toBe('bad-option');
    using tracker = new FlowTracker({ state: { packets: 'u64' } });
    const named = tracker.findOrInsert(keys(1), 0);
    expect(codeOf(() => named.get(0, 'bytes' as 'packets'))).toBe('bad-option');
    expect(codeOf(() => named.get(1, 'packets'))).toBe('bad-burst');
  });
});

describe('add', () => {
  test('counts each packet of a flow, also within a burst', () => {
    using tracker = new FlowTracker({ state: { packets: 'u32', bytes: 'u64' } });
    const lengths = Uint32Array.of(100, 200, 0xffff_ffff, 1);
    expect(tracker.add(keys(1, 2, 1, 1), 0, { packets: 1, bytes: lengths })).toBe(4);
    expect(tracker.add(keys(2), 0, { packets: 1, bytes: lengths })).toBe(1);
    expect(Object.fromEntries(tracker.flows(0).map((flow) => [flow.key[3], flow.values]))).toEqual({
      1: { packets: 3, bytes: 100n + 0xffff_ffffn + 1n },
      2: { packets: 2, bytes: 300n },
    });
    expect([...tracker.entries(0)]).toHaveLength(2);
  });

  test('takes bursts of any length', () => {
    using tracker = new FlowTracker({ state: { packets: 'u64' }, keys: 'ipv4' });
    const many = keys(...Array.from({ length: 1000 }, (_, i) => i % 50));
    expect(tracker.add(many, 0, { packets: 2 })).toBe(1000);
    expect(tracker.flows(0).every(({ values }) => values.packets === 40n)).toBe(true);
    expect(tracker.add(new Uint8Array(), 0, { packets: 1 })).toBe(0);
  });

  test('says what does not fit', () => {
    using tracker = new FlowTracker({ state: { packets: 'u64', mark: 'u8' } });
    const one = keys(1);
    const wrong = { mark: 1 } as unknown as { packets: number };
    expect(codeOf(() => tracker.add(one, 0, wrong))).toBe('bad-option');
    expect(codeOf(() => tracker.add(one, 0, { packets: -1 }))).toBe('bad-burst');
    expect(codeOf(() => tracker.add(one, 0, { packets: new Uint32Array() }))).toBe('bad-burst');
    expect(codeOf(() => tracker.add(one, 0.5, { packets: 1 }))).toBe('bad-time');
    expect(codeOf(() => tracker.add(one.subarray(1), 0, { packets: 1 }))).toBe('bad-burst');
    using plain = new FlowTracker();
    expect(codeOf(() => plain.add(one, 0, { packets: 1 }))).toBe('bad-option');
  });
});

test('a tracker prints and serializes as what it is', () => {
  const tracker = new FlowTracker();
  tracker.findOrInsert(keys(1), 0);
  expect(inspect(tracker)).toBe('FlowTracker { flows: 1, keyBytes: 16, stateBytes: 8 }');
  expect(JSON.stringify(tracker)).toBe('{"flows":1,"keyBytes":16,"stateBytes":8}');
  tracker.close();
  expect(inspect(tracker)).toBe('FlowTracker { closed: true }');
});
