// The state of a chain: one entry of the flow table for what all functions keep.
import { describe, expect, test } from 'vitest';

import { chainState, FlowTracker, sliceOf } from '../../conntrack/index.js';

const slices = {
  counter: { packets: 'u64', bytes: 'u64' },
  nat: { address: 'u32', port: 'u16' },
  limiter: { fullAt: 'u64' },
} as const;

describe('the state of a chain', () => {
  test('holds the slices of all functions, and each is read by itself', () => {
    using tracker = new FlowTracker({ state: chainState(slices) });
    expect(tracker.stateBytes).toBe(32);
    const key = new Uint8Array(16);
    key.set([10, 0, 0, 1, 192, 168, 0, 1, 0, 80, 1, 187, 6]);
    tracker.add(key, 0, { 'counter.packets': 1, 'counter.bytes': 60 });
    tracker.add(key, 0, { 'counter.packets': 1, 'counter.bytes': 40 });
    tracker.add(key, 0, { 'nat.address': 7 });
    const [flow] = [...tracker.flows(0)];
    expect(flow).toBeDefined();
    if (flow === undefined) return;
    const counter = sliceOf(flow.values, 'counter');
    const packets: bigint = counter.packets;
    expect(packets).toBe(2n);
    expect(counter).toEqual({ packets: 2n, bytes: 100n });
    expect(sliceOf(flow.values, 'nat')).toEqual({ address: 7, port: 0 });
    expect(sliceOf(flow.values, 'limiter')).toEqual({ fullAt: 0n });
  });

  test('lays slices out at multiples of eight bytes, as the C interface does', () => {
    using tracker = new FlowTracker({
      state: chainState({ a: { x: 'u8' }, b: { y: 'u8' }, c: { z: 'u32' } } as const),
    });
    expect(tracker.stateBytes).toBe(24);
  });
});
