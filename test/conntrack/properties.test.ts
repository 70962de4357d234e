// The tracker against its model: the same calls, the same answers, whatever the order of calls and times.
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { FlowModel } from '../../conntrack/model.js';
import {
  FlowTracker,
  keyBytes,
  type FlowBurst,
  type FlowEntry,
  type FlowTable,
  type KeyKind,
} from '../../conntrack/index.js';
import '../helpers/seed.js';

type Step =
  | { kind: 'find' | 'findOrInsert' | 'remove'; flows: number[] }
  | { kind: 'wait'; ns: number }
  | { kind: 'classes'; classes: number[] }
  | { kind: 'expire' }
  | { kind: 'flows' };

// Few keys, so that they meet again; enough at a time that tables of 64 grow.
const flows = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 1, max: 150 }))
      .map(([from, count]) => Array.from({ length: count }, (_, i) => from + i)),
  },
);
const calls = fc.constantFrom(
  'find' as const,
  'findOrInsert' as const,
  'findOrInsert' as const,
  'remove' as const,
);
// Around the timeouts, to either side of their ticks, and leaps that the 16-bit deadlines must survive.
const waits = fc.oneof(
  fc.integer({ min: 0, max: 3e7 }),
  fc.constantFrom(5e7, 6e7, 1e9, 2e9, 2.01e9, 2.001e9, 3e9, 1e11, 1.01e11),
  fc.constantFrom(-5e6, 9e10, 1e13, 2e15),
);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: calls, flows }) },
    { weight: 3, arbitrary: waits.map((ns): Step => ({ kind: 'wait', ns })) },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 8 })
        .map((classes): Step => ({ kind: 'classes', classes })),
    },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'expire' }, { kind: 'flows' }) },
  ),
  { minLength: 1, maxLength: 40 },
);

const tables = fc.record({
  keys: fc.constantFrom<KeyKind>('ipv4', 'ipv6'),
  stateBytes: fc.constantFrom(8, 16, 24, 64, 192),
  tickNs: fc.constantFrom(1e6, 1e7, 1e9),
  // Never, short, and longer than the 16-bit deadlines of the table reach.
  timeoutsNs: fc.array(fc.constantFrom(0, 1, 5e7, 2e9, 1e11), { minLength: 16, maxLength: 16 }),
  seed: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
});

function keysOf(numbers: readonly number[], kind: KeyKind): Uint8Array {
  const keys = new Uint8Array(numbers.length * keyBytes[kind]);
  const view = new DataView(keys.buffer);
  // Only the last bytes differ: all bytes must count.
  numbers.forEach((n, i) => view.setUint16(i * keyBytes[kind] + keyBytes[kind] - 3, n));
  return keys;
}

const rows = (burst: FlowBurst): unknown => ({
  found: [...burst.found.subarray(0, burst.count)],
  isNew: [...burst.isNew.subarray(0, burst.count)],
  states: [...burst.states.subarray(0, burst.count * burst.stateBytes)],
});

const sorted = (entries: readonly FlowEntry[]): string[] =>
  entries
    .map(({ key, state, timeoutClass }) => `${key.join('.')} ${state.join('.')} ${timeoutClass}`)
    .sort();

/** What a script shows on one table; packet n of the script writes n into the states that it finds. */
function play(
  table: FlowTable,
  kind: KeyKind,
  script: readonly Step[],
  expire: (now: number) => void,
): unknown[] {
  const seen: unknown[] = [];
  let now = 1e9;
  let last: FlowBurst | undefined;
  script.forEach((step, n) => {
    switch (step.kind) {
      case 'wait':
        now = Math.max(0, now + step.ns);
        break;
      case 'expire':
        expire(now);
        last = undefined;
        break;
      case 'flows':
        seen.push(sorted(table.flows(now)));
        last = undefined;
        break;
      case 'classes':
        for (const [i, timeoutClass] of step.classes.entries())
          if (last !== undefined && i < last.count && last.found[i] === 1)
            table.setClass(last, i, timeoutClass, now);
        break;
      case 'remove':
        seen.push(table.remove(keysOf(step.flows, kind), now));
        last = undefined;
        break;
      default:
        last = table[step.kind](keysOf(step.flows, kind), now);
        seen.push(rows(last));
        for (let i = 0; i < last.count; i++)
          last.view.setUint32(i * last.stateBytes + last.stateBytes - 4, n + 1);
        table.store(last);
    }
  });
  seen.push(sorted(table.flows(now)));
  return seen;
}

test('any calls at any times give what the model gives', () => {
  fc.assert(
    fc.property(tables, steps, (options, script) => {
      const tracker = new FlowTracker({ ...options, initialFlows: 64 });
      try {
        const got = play(tracker, options.keys, script, (now) => tracker.expire(now));
        expect(got).toEqual(play(new FlowModel(options), options.keys, script, () => undefined));
      } finally {
        tracker.close();
      }
    }),
    { numRuns: 150 },
  );
});

test('flows that move between trackers are those of one table', () => {
  const groups = 8;
  const moves = fc.array(
    fc.record({
      group: fc.nat(groups - 1),
      to: fc.nat(1),
      flows: fc.array(fc.nat(200), { maxLength: 60 }),
      ns: fc.integer({ min: 0, max: 1e9 }),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(moves, (script) => {
      const options = { initialFlows: 64, groups, nicHash: true, seed: 7, timeoutsNs: 3e9 };
      const trackers = [new FlowTracker(options), new FlowTracker(options)] as const;
      const model = new FlowModel({ timeoutsNs: 3e9 });
      const owner = new Array<number>(groups).fill(0);
      // Each starts with all groups; the second gives its own up.
      for (let group = 0; group < groups; group++) trackers[1].detach(group, 0).close();
      let now = 0;
      for (const { group, to, flows: numbers, ns } of script) {
        now += ns;
        const from = owner[group] ?? 0;
        if (from !== to) {
          trackers[to]?.attach(trackers[from]?.detach(group, now) ?? expect.unreachable(), now);
          owner[group] = to;
        }
        for (const side of [0, 1] as const) {
          const mine = numbers.filter((n) => owner[n % groups] === side);
          const keys = keysOf(mine, 'ipv4');
          expect(
            rows(trackers[side].findOrInsert(keys, now, { hashes: Uint32Array.from(mine) })),
          ).toEqual(rows(model.findOrInsert(keys, now)));
        }
      }
      expect(sorted([...trackers[0].flows(now), ...trackers[1].flows(now)])).toEqual(
        sorted(model.flows(now)),
      );
      trackers.forEach((tracker) => tracker.close());
    }),
    { numRuns: 60 },
  );
});

test('a full table refuses, or evicts what it reports, and loses nothing else', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(fc.array(fc.nat(2000), { minLength: 1, maxLength: 64 }), { maxLength: 40 }),
      (evict, bursts) => {
        const gone: string[] = [];
        const tracker = new FlowTracker({
          initialFlows: 64,
          loadPercent: 95,
          fixedSize: true,
          evict,
          timeoutsNs: 0,
          onRemoved: (key, _state, reason) => gone.push(`${key.join('.')} ${reason}`),
        });
        const live = new Set<string>();
        for (const numbers of bursts) {
          const keys = keysOf(numbers, 'ipv4');
          const { found, isNew } = tracker.findOrInsert(keys, 0);
          numbers.forEach((_, i) => {
            const name = keys.subarray(i * 16, (i + 1) * 16).join('.');
            // In order, so a key that repeats is new at most once unless evicted in between.
            if (found[i] === 1) live.add(name);
            else expect(isNew[i]).toBe(0);
          });
          for (const name of gone.splice(0)) {
            expect(evict).toBe(true);
            expect(name).toMatch(/ evicted$/);
            live.delete(name.replace(/ \w+$/, ''));
          }
          const now = new Set(tracker.flows(0).map(({ key }) => key.join('.')));
          // What was evicted may have come again later in the same burst.
          for (const name of live) expect(now).toContain(name);
          for (const name of now) live.add(name);
        }
        const stats = tracker.stats();
        expect(stats.flows).toBe(live.size);
        expect(stats.inserted - stats.evicted).toBe(stats.flows);
        tracker.close();
      },
    ),
    { numRuns: 60 },
  );
});
