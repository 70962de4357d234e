// Iterating the flows of a tracker: a piece at a time, and each of the beginning once, whatever is
// done to the tracker meanwhile.
import { describe, expect, test } from 'vitest';

import { ConntrackError, FlowTracker } from '../../conntrack/index.js';

/** Keys of flows `first` up to `first + count`. */
function keysOf(first: number, count: number): Uint8Array {
  const keys = new Uint8Array(count * 16);
  const view = new DataView(keys.buffer);
  for (let i = 0; i < count; i++) view.setUint32(i * 16, first + i);
  return keys;
}

const number = (key: Uint8Array): number => new DataView(key.buffer, key.byteOffset).getUint32(0);

/** A tracker with flows 0 up to `count`, each with its number as its count of bytes. */
function filled(count: number): FlowTracker<{ bytes: 'u64' }> {
  const tracker = new FlowTracker({ state: { bytes: 'u64' }, timeoutsNs: 0 });
  for (let first = 0; first < count; first += 1000) {
    const numbers = Uint32Array.from({ length: 1000 }, (_, i) => first + i);
    tracker.add(keysOf(first, 1000), 0, { bytes: numbers });
  }
  return tracker;
}

describe('entries', () => {
  test('gives every flow once, with its state', () => {
    using tracker = filled(50_000);
    const seen = new Set<number>();
    let wrong = 0;
    for (const { key, values } of tracker.entries(0)) {
      if (Number(values.bytes) !== number(key)) wrong++;
      seen.add(number(key));
    }
    expect([seen.size, wrong]).toEqual([50_000, 0]);
  });

  test('copies some flows at a time, not all', () => {
    using tracker = filled(200_000);
    const before = process.memoryUsage().arrayBuffers;
    const entries = tracker.entries(0);
    entries.next();
    // All of them would be 5 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(500_000);
    entries.return(undefined);
  });

  test('flows that are removed or inserted meanwhile change nothing', () => {
    using tracker = filled(20_000);
    const seen: number[] = [];
    for (const { key } of tracker.entries(0)) {
      seen.push(number(key));
      tracker.remove(key, 0);
      // Enough to make the table grow.
      if (seen.length % 100 === 0) tracker.findOrInsert(keysOf(1e6 + seen.length * 1000, 500), 0);
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20_000 }, (_, i) => i));
    expect(tracker.stats().flows).toBe(200 * 500);
  });

  test('two passes at a time, one given up', () => {
    using tracker = filled(5000);
    const given = tracker.entries(0);
    given.next();
    given.return(undefined);
    const passes = [tracker.entries(0), tracker.entries(0)] as const;
    const first = passes.map((pass) => pass.next().value?.key[3]);
    tracker.remove(keysOf(0, 5000), 0);
    expect(passes.map((pass) => 1 + [...pass].length)).toEqual([5000, 5000]);
    expect(first[0]).toBe(first[1]);
    expect(tracker.flows(0)).toEqual([]);
  });

  test('a tracker that is closed meanwhile says so', () => {
    const tracker = filled(5000);
    const entries = tracker.entries(0);
    entries.next();
    tracker.close();
    expect(() => [...entries]).toThrow(ConntrackError);
  });
});
