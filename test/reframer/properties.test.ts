// Reframer against its model and against its promises, over random traffic, options and clocks.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { describeFrame } from '../../reframer/model-frame.js';
import { ReframerModel } from '../../reframer/model.js';
import { Reframer, type Key, type Released, type ReframerOptions } from '../../reframer/index.js';
import { frame, type FrameOptions } from '../helpers/frames.js';
import { seed } from '../helpers/seed.js';

interface Sent {
  id: number;
  data: Uint8Array;
}

const keys: readonly Key[] = ['5tuple', 'symmetric', 'destination', 'inner'];

const anyFrame: fc.Arbitrary<FrameOptions> = fc
  .record(
    {
      source: fc.integer({ min: 1, max: 6 }),
      destination: fc.integer({ min: 1, max: 6 }),
      sourcePort: fc.constantFrom(53, 1000, 1001),
      destinationPort: fc.constantFrom(1000, 1001, 2000),
      protocol: fc.constantFrom(6 as const, 17 as const),
      flags: fc.constantFrom(0x10, 0x10, 0x10, 0x02, 0x11, 0x14, 0x18),
      sequence: fc.integer({ min: 0, max: 3 }),
      trafficClass: fc.constantFrom(0, 0, 0, 46 << 2, 1),
      version: fc.constantFrom(4 as const, 6 as const),
      vlan: fc.constantFrom(undefined, undefined, 5),
      payload: fc.integer({ min: 18, max: 60 }),
      fragment: fc.option(
        fc
          .record({
            id: fc.integer({ min: 1, max: 2 }),
            offset: fc.constantFrom(0, 0, 24, 48),
            more: fc.boolean(),
          })
          // Neither first nor last is no fragment.
          .filter(({ offset, more }) => offset > 0 || more),
        { nil: undefined, freq: 3 },
      ),
    },
    { requiredKeys: [] },
  )
  .map(
    (options) =>
      Object.fromEntries(
        Object.entries(options).filter(([, value]) => value !== undefined),
      ) as FrameOptions,
  );

const notIp = fc.constant<FrameOptions>({ ethertype: 0x0806 });

type Step =
  { kind: 'push'; frames: FrameOptions[] } | { kind: 'poll' } | { kind: 'wait'; ns: number };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(fc.oneof({ weight: 12, arbitrary: anyFrame }, { weight: 1, arbitrary: notIp }), {
        maxLength: 40,
      })
      .map((frames): Step => ({ kind: 'push', frames })),
  },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: 'poll' }) },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 0, max: 60_000 }).map((ns): Step => ({ kind: 'wait', ns })),
  },
  // The clock steps back: a little (disorder) or a lot (another origin).
  {
    weight: 1,
    arbitrary: fc.constantFrom(-500, -20_000_000).map((ns): Step => ({ kind: 'wait', ns })),
  },
);

const steps = fc.array(anyStep, { minLength: 1, maxLength: 40 });
const start = 1_000_000_000;

/** Plays the steps; `observe` sees what each poll and the last drain gave out. */
function play(
  reframer: Reframer<Sent>,
  script: readonly Step[],
  observe: (
    event:
      | { kind: 'push'; sent: Sent[]; now: number }
      | { kind: 'poll' | 'drain'; out: Released<Sent>; now: number },
  ) => void,
): Sent[] {
  const all: Sent[] = [];
  let now = start;
  for (const step of script) {
    if (step.kind === 'wait') now = Math.max(0, now + step.ns);
    else if (step.kind === 'poll') observe({ kind: 'poll', out: reframer.poll(now), now });
    else {
      const sent = step.frames.map((options, i) => ({ id: all.length + i, data: frame(options) }));
      expect(reframer.push(sent, now)).toBe(sent.length);
      all.push(...sent);
      observe({ kind: 'push', sent, now });
      // Polled after each push, as the contract asks of who wants every packet accepted.
      observe({ kind: 'poll', out: reframer.poll(now), now });
    }
  }
  observe({ kind: 'drain', out: reframer.drain(now), now });
  return all;
}

function withReframer<R>(options: ReframerOptions, use: (reframer: Reframer<Sent>) => R): R {
  const reframer = new Reframer<Sent>(options);
  try {
    return use(reframer);
  } finally {
    reframer.close();
  }
}

const ids = (packets: readonly Sent[]): number[] => packets.map((packet) => packet.id);

function checkRuns({ packets, runs }: Released<Sent>, key: Key): void {
  let next = 0;
  for (const run of runs) {
    expect(run.first).toBe(next);
    expect(run.count).toBeGreaterThan(0);
    next += run.count;
    const members = packets.slice(run.first, run.first + run.count);
    // Fragments behind the first do not say whose they are.
    const keys = members
      .map((packet) => describeFrame(packet.data, key))
      .filter(({ fragment }) => (fragment?.offset ?? 0) === 0);
    expect(new Set(keys.map((described) => described.key)).size).toBeLessThanOrEqual(1);
  }
  expect(next).toBe(packets.length);
}

describe(`Reframer (seed ${seed})`, () => {
  test('releases exactly what the model releases, in the same order', () => {
    const options = fc.record({
      policy: fc.constantFrom('fixed' as const, 'burst' as const),
      key: fc.constantFrom(...keys),
      delayNs: fc.constantFrom(0, 1_000, 64_000),
      maxBurst: fc.constantFrom(1, 2, 5, 128),
      bypass: fc.subarray(['syn', 'dscp-ef', 'ect1', 'dns'] as const),
      early: fc.subarray(['fin', 'rst', 'psh'] as const),
    });
    fc.assert(
      fc.property(options, steps, (chosen, script) => {
        const model = new ReframerModel<Sent>(chosen);
        // Room for everything, headers read at once: what the model leaves out does not happen.
        withReframer({ ...chosen, maxPackets: 8192, lookahead: 0 }, (reframer) => {
          play(reframer, script, (event) => {
            if (event.kind === 'push')
              return model.push(
                event.sent.map((s) => ({ handle: s, frame: s.data })),
                event.now,
              );
            const expected = event.kind === 'poll' ? model.poll(event.now) : model.drain(event.now);
            const found = event.out.runs.map((run) => ({
              ids: ids(event.out.packets.slice(run.first, run.first + run.count)),
              reason: run.reason,
            }));
            expect(found).toEqual(
              expected.map((run) => ({ ids: ids(run.packets), reason: run.reason })),
            );
          });
          expect(reframer.stats().released.capacity).toBe(0);
        });
      }),
      { numRuns: 300 },
    );
  });

  test('keeps every promise under any policy, capacity and clock', () => {
    const options = fc.record({
      policy: fc.constantFrom('fixed' as const, 'burst' as const, 'adaptive' as const),
      key: fc.constantFrom(...keys),
      delayNs: fc.constantFrom(0, 1_000, 64_000),
      maxPackets: fc.constantFrom(32, 33, 64, 4096),
      maxBytes: fc.constantFrom(2_000, 100_000, 8 << 20),
      maxBurst: fc.constantFrom(1, 3, 128),
      lookahead: fc.constantFrom(0, 16, 128),
      bypass: fc.subarray(['syn', 'new-flow', 'dscp-ef', 'ect1', 'dns'] as const),
      early: fc.subarray(['fin', 'rst', 'psh'] as const),
      rules: fc.constantFrom(
        [],
        [{ protocol: 17, delayNs: 0 }],
        [
          { port: 1001, delayNs: 5_000 },
          { dscp: 46, delayNs: 0 },
        ],
      ),
    });
    const burstsWithin = (script: readonly Step[], room: number): boolean =>
      script.every((s) => s.kind !== 'push' || s.frames.length <= room);
    fc.assert(
      fc.property(options, steps, (chosen, script) => {
        fc.pre(burstsWithin(script, chosen.maxPackets));
        withReframer(chosen, (reframer) => {
          const out: Sent[] = [];
          // A latency class may wait longer than the rest.
          const longest = Math.max(1, chosen.delayNs, ...chosen.rules.map((rule) => rule.delayNs));
          const arrival = new Map<number, number>();
          // The stage's clock: a step back of up to 10 ms is none, a longer one is a new origin.
          let clock = 0;
          const all = play(reframer, script, (event) => {
            if (clock - event.now > 10_000_000) {
              clock = event.now;
              arrival.clear();
            }
            clock = Math.max(clock, event.now);
            if (event.kind === 'push') {
              for (const s of event.sent) arrival.set(s.id, clock);
              return;
            }
            checkRuns(event.out, chosen.key);
            out.push(...event.out.packets);
            ids(event.out.packets).forEach((id) => arrival.delete(id));
            // After a poll nothing is left that came T or more ago.
            for (const at of arrival.values()) expect(clock - at).toBeLessThan(longest);
            const { packetsHeld, bytesHeld } = reframer.stats();
            expect(packetsHeld).toBeLessThanOrEqual(chosen.maxPackets);
            expect(bytesHeld).toBeLessThanOrEqual(chosen.maxBytes);
          });
          // Once each, and nothing is left.
          expect(ids(out).sort((a, b) => a - b)).toEqual(ids(all));
          const stats = reframer.stats();
          expect(stats).toMatchObject({
            packetsHeld: 0,
            bytesHeld: 0,
            packetsIn: all.length,
            packetsOut: all.length,
          });
          expect(stats.bytesOut).toBe(stats.bytesIn);
          expect(reframer.nextDeadline()).toBeUndefined();
          // Flows keep their order.
          const last = new Map<string, number>();
          for (const packet of out) {
            const { key, fragment } = describeFrame(packet.data, '5tuple');
            if ((fragment?.offset ?? 0) > 0) continue;
            expect(packet.id).toBeGreaterThan(last.get(key) ?? -1);
            last.set(key, packet.id);
          }
        });
      }),
      { numRuns: 300 },
    );
  });

  test('changing the policy or releasing a bucket in between keeps order and loses nothing', () => {
    const change = fc.oneof(
      fc.record({
        policy: fc.constantFrom('fixed' as const, 'burst' as const, 'adaptive' as const),
        delayNs: fc.constantFrom(0, 500, 128_000),
      }),
      fc.record({ mask: fc.constantFrom(0, 1, 7, 127), value: fc.integer({ min: 0, max: 7 }) }),
    );
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.array(anyFrame, { maxLength: 20 }),
            change,
            fc.integer({ min: 0, max: 50_000 }),
          ),
          { maxLength: 20 },
        ),
        (rounds) => {
          withReframer({ delayNs: 64_000 }, (reframer) => {
            const out: Sent[] = [];
            let now = start;
            let id = 0;
            for (const [frames, what, wait] of rounds) {
              reframer.push(
                frames.map((options) => ({ id: id++, data: frame(options) })),
                now,
              );
              if ('policy' in what) reframer.setPolicy(what.policy, what.delayNs);
              else reframer.releaseBucket(what.mask, what.value);
              out.push(...reframer.poll(now).packets);
              now += wait;
            }
            out.push(...reframer.drain(now).packets);
            expect(ids(out).sort((a, b) => a - b)).toEqual([...Array(id).keys()]);
            const last = new Map<string, number>();
            for (const packet of out) {
              const { key, fragment } = describeFrame(packet.data, '5tuple');
              if ((fragment?.offset ?? 0) > 0) continue;
              expect(packet.id).toBeGreaterThan(last.get(key) ?? -1);
              last.set(key, packet.id);
            }
          });
        },
      ),
      { numRuns: 200 },
    );
  });
});
