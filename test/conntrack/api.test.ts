// The API's promises one by one: states, classes, groups, removal reports, keys, errors.
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  ConntrackError,
  decodeKey,
  encodeKey,
  FlowBurst,
  FlowGroup,
  FlowTracker,
  makeSymmetric,
  type FiveTuple,
  type FlowTrackerOptions,
  type KeyKind,
} from '../../conntrack/index.js';
import { packageRoot } from '../../native/loader.js';
import { codeOf, keys } from '../helpers/conntrack.js';
import { addressBytes, addressText } from '../../native/address.js';
import '../helpers/seed.js';

describe('flows', () => {
  test('states are stored by burst, and a key that repeats has one state', () => {
    const tracker = new FlowTracker({ stateBytes: 16 });
    const first = tracker.findOrInsert(keys(1, 2, 1), 0);
    expect([...first.found]).toEqual([1, 1, 1]);
    expect([...first.isNew]).toEqual([1, 1, 0]);
    first.state(0).fill(1);
    first.state(1).fill(2);
    first.state(2).fill(3); // the same flow as the first, stored after it
    tracker.store(first);
    const again = tracker.find(keys(2, 1, 9), 1);
    expect([...again.found]).toEqual([1, 1, 0]);
    expect([...again.states]).toEqual([
      ...new Array<number>(16).fill(2),
      ...new Array<number>(16).fill(3),
      ...new Array<number>(16).fill(0),
    ]);
    tracker.close();
  });

  test('a burst filled again allocates nothing and has the new count', () => {
    const tracker = new FlowTracker();
    const burst = new FlowBurst(32, 8);
    expect(tracker.findOrInsert(keys(1, 2, 3), 0, { into: burst })).toBe(burst);
    expect(burst.count).toBe(3);
    tracker.find(keys(4), 0, { into: burst });
    expect(burst.count).toBe(1);
    expect(burst.found[0]).toBe(0);
    tracker.close();
  });

  test('states of an older burst are not written where they may have moved', () => {
    const tracker = new FlowTracker();
    const old = tracker.findOrInsert(keys(1), 0);
    tracker.store(old);
    tracker.setClass(old, 0, 3, 0);
    tracker.stats();
    tracker.store(old);
    tracker.find(keys(2), 0);
    expect(codeOf(() => tracker.store(old))).toBe('stale');
    expect(codeOf(() => tracker.setClass(old, 0, 1, 0))).toBe('stale');
    expect(codeOf(() => new FlowTracker().store(old))).toBe('stale');
    tracker.close();
  });

  test('timeouts by class, sweeps, and what left is told after the call, when the table may be used', () => {
    const told: string[] = [];
    const tracker: FlowTracker = new FlowTracker({
      tickNs: 1e6,
      timeoutsNs: [1e9, 60e9],
      onRemoved: (key, state, reason) =>
        told.push(`${key[3]} ${state[0]} ${reason}, ${tracker.stats().flows} left`),
    });
    const burst = tracker.findOrInsert(keys(1, 2, 3), 0);
    [7, 8, 9].forEach((value, i) => burst.state(i).fill(value));
    tracker.store(burst);
    tracker.setClass(burst, 1, 1, 0);
    expect(tracker.remove(keys(3, 4), 5e8)).toBe(1);
    expect(told.splice(0)).toEqual(['3 9 removed, 2 left']);
    expect(tracker.expire(5e8)).toBe(0);
    expect(tracker.expire(2e9)).toBe(1);
    expect(told.splice(0)).toEqual(['1 7 expired, 1 left']);
    expect(tracker.flows(3e9).map(({ key, timeoutClass }) => [key[3], timeoutClass])).toEqual([
      [2, 1],
    ]);
    tracker.close();
    expect(told).toEqual([]);
  });

  test('an error thrown by onRemoved reaches the caller', () => {
    const tracker = new FlowTracker({
      onRemoved: () => {
        throw new Error('mine');
      },
    });
    tracker.findOrInsert(keys(1), 0);
    expect(() => tracker.remove(keys(1), 0)).toThrow('mine');
    expect(tracker.stats().flows).toBe(0);
    tracker.close();
  });

  test('evicts only what is not protected', () => {
    const reasons = new Map<string, number>();
    const tracker = new FlowTracker({
      initialFlows: 64,
      fixedSize: true,
      timeoutsNs: 0,
      protectedClasses: [1],
      onRemoved: (_k, _s, reason) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1),
    });
    const kept = tracker.findOrInsert(keys(...Array.from({ length: 32 }, (_, i) => i)), 0);
    for (let i = 0; i < kept.count; i++) tracker.setClass(kept, i, 1, 0);
    for (let n = 1000; n < 3000; n += 20)
      tracker.findOrInsert(keys(...Array.from({ length: 20 }, (_, i) => n + i)), 0);
    expect(
      [...tracker.find(keys(...Array.from({ length: 32 }, (_, i) => i)), 0).found].every(
        (found) => found === 1,
      ),
    ).toBe(true);
    expect([...reasons.keys()]).toEqual(['evicted']);
    expect(reasons.get('evicted')).toBe(tracker.stats().evicted);
    tracker.close();
  });

  test('grows from little to much, prepared or not, and keeps every state', () => {
    const tracker = new FlowTracker({ initialFlows: 64 });
    tracker.prepare();
    const nb = 20_000;
    for (let n = 0; n < nb; n += 32) {
      const burst = tracker.findOrInsert(keys(...Array.from({ length: 32 }, (_, i) => n + i)), 0);
      for (let i = 0; i < 32; i++) burst.view.setUint32(8 * i, n + i);
      tracker.store(burst);
    }
    const flows = tracker.flows(0);
    expect(flows.length).toBe(nb);
    for (const { key, state } of flows)
      expect([...state.subarray(0, 4)]).toEqual([...key.subarray(0, 4)]);
    const { bytes, inserted, moved } = tracker.stats();
    expect(inserted).toBe(nb);
    expect(moved).toBeGreaterThan(0);
    // 61 just after a step, and the stash.
    expect(bytes / nb).toBeLessThan(64);
    tracker.close();
  });
});

describe('groups', () => {
  const options: FlowTrackerOptions = { groups: 4, nicHash: true, seed: 1, initialFlows: 64 };
  const hashes = Uint32Array.from([0, 1, 2, 3]);
  const four = keys(10, 11, 12, 13);

  test('move with their states; what is not here is not found, nor inserted', () => {
    const [a, b] = [new FlowTracker(options), new FlowTracker(options)];
    const burst = a.findOrInsert(four, 0, { hashes });
    burst.states.forEach((_, i) => {
      burst.states[i] = i;
    });
    a.store(burst);
    b.detach(2, 0).close();
    const group = a.detach(2, 0);
    expect([...a.findOrInsert(four, 0, { hashes }).found]).toEqual([1, 1, 0, 1]);
    expect(a.stats().notOwned).toBe(1);
    expect(codeOf(() => a.detach(2, 0))).toBe('detached');
    expect(codeOf(() => new FlowTracker(options).attach(group, 0))).toBe('taken');
    expect(codeOf(() => new FlowTracker({ ...options, seed: 2 }).attach(group, 0))).toBe(
      'other-table',
    );
    b.attach(group, 0);
    expect(codeOf(() => a.attach(group, 0))).toBe('detached');
    const moved = b.find(four, 0, { hashes });
    expect([...moved.found]).toEqual([0, 0, 1, 0]);
    expect([...moved.state(2)]).toEqual([16, 17, 18, 19, 20, 21, 22, 23]);
    group.close();
    a.close();
    b.close();
  });

  test('travel to a worker as a number', async () => {
    const tracker = new FlowTracker(options);
    tracker.findOrInsert(four, 0, { hashes });
    const handle = tracker.detach(3, 0).handOver();
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(workerData.module).then(({ FlowGroup, FlowTracker }) => {
         const tracker = new FlowTracker(workerData.options);
         tracker.detach(3, 0).close();
         tracker.attach(FlowGroup.takeOver(workerData.handle), 0);
         parentPort.postMessage([tracker.flows(0).map(({ key }) => key[3]), tracker.detach(3, 0).handOver()]);
         tracker.close();
       });`,
      {
        eval: true,
        workerData: { handle, options, module: join(packageRoot, 'dist/conntrack/index.js') },
      },
    );
    const [seen, back] = await new Promise<[number[], bigint]>((resolve, reject) =>
      worker.once('message', resolve).once('error', reject),
    );
    expect(seen).toEqual([13]);
    tracker.attach(FlowGroup.takeOver(back), 0);
    expect([...tracker.find(four, 0, { hashes }).found]).toEqual([1, 1, 1, 1]);
    tracker.close();
    await worker.terminate();
  });
});

describe('keys', () => {
  const anyTuple = (kind: KeyKind): fc.Arbitrary<FiveTuple> => {
    const address =
      kind === 'ipv4'
        ? fc.ipV4()
        : fc.oneof(fc.ipV4(), fc.uint8Array({ minLength: 16, maxLength: 16 }).map(addressText));
    const port = fc.integer({ min: 0, max: 65535 });
    return fc.record({
      source: address,
      destination: address,
      sourcePort: port,
      destinationPort: port,
      protocol: fc.integer({ min: 0, max: 255 }),
    });
  };

  test.each(['ipv4', 'ipv6'] as const)(
    '%s: what went in comes out, and both directions make one key',
    (kind) => {
      fc.assert(
        fc.property(anyTuple(kind), (tuple) => {
          const key = encodeKey(tuple, kind);
          const plain = (t: FiveTuple): FiveTuple => ({
            ...t,
            source: t.source.replace(/^::ffff:(?=\d+\.)/, ''),
            destination: t.destination.replace(/^::ffff:(?=\d+\.)/, ''),
          });
          expect(decodeKey(key)).toEqual(plain(tuple));
          const reply = encodeKey(
            {
              ...tuple,
              source: tuple.destination,
              destination: tuple.source,
              sourcePort: tuple.destinationPort,
              destinationPort: tuple.sourcePort,
            },
            kind,
          );
          const [there] = makeSymmetric(key, kind);
          const [back] = makeSymmetric(reply, kind);
          expect(key).toEqual(reply);
          if (tuple.source !== tuple.destination || tuple.sourcePort !== tuple.destinationPort)
            expect((there ?? 0) + (back ?? 0)).toBe(1);
        }),
      );
    },
  );

  test('addresses as text and bytes', () => {
    for (const [text, canonical] of [
      ['::', '::'],
      ['::1', '::1'],
      ['1::', '1::'],
      ['2001:db8:0:0:1:0:0:0', '2001:db8:0:0:1::'],
      ['::ffff:1.2.3.4', '::ffff:102:304'],
      ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
      ['10.0.0.1', '10.0.0.1'],
    ] as const) {
      expect(addressText(addressBytes(text) ?? expect.unreachable())).toBe(canonical);
    }
    expect(addressBytes('10.0.0')).toBeUndefined();
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        expect(addressBytes(addressText(addressBytes(text) ?? expect.unreachable()))).toEqual(
          addressBytes(text),
        );
      }),
    );
  });
});

describe('errors', () => {
  const badOptions: readonly [string, FlowTrackerOptions][] = [
    ['keys', { keys: 'ipv5' as never }],
    ['stateBytes', { stateBytes: 12 }],
    ['stateBytes', { stateBytes: 520 }],
    ['initialFlows', { initialFlows: 63 }],
    ['maxFlows', { initialFlows: 1000, maxFlows: 999 }],
    ['loadPercent', { loadPercent: 96 }],
    ['groups', { groups: 3, nicHash: true }],
    ['groups', { groups: 2 }],
    ['tickNs', { tickNs: 999 }],
    ['timeoutsNs', { timeoutsNs: -1 }],
    ['timeoutsNs[1]', { timeoutsNs: [1, 0.5] }],
    ['timeoutsNs', { tickNs: 1000, timeoutsNs: 1e15 }],
    ['timeoutsNs', { timeoutsNs: new Array<number>(17).fill(1) }],
    ['protectedClasses', { protectedClasses: [16] }],
    ['seed', { seed: 2n ** 64n }],
    ['seed', { seed: 0.5 }],
    ['timeoutNs', { timeoutNs: 5 } as never],
  ];
  test.each(badOptions)('option %s is named', (option, options) => {
    let caught: unknown;
    try {
      new FlowTracker(options);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ConntrackError);
    expect(caught).toMatchObject({ code: 'bad-option', option });
  });

  test('the largest timeout that options allow is one that the table takes', () => {
    const tickNs = 1000;
    new FlowTracker({ tickNs, timeoutsNs: (2 ** 26 - 2 ** 15) * tickNs - 1 }).close();
    expect(
      codeOf(() => new FlowTracker({ tickNs, timeoutsNs: (2 ** 26 - 2 ** 15) * tickNs })),
    ).toBe('bad-option');
  });

  test('bursts, times, keys, and use after close', () => {
    const tracker = new FlowTracker({ fixedSize: true });
    expect(codeOf(() => tracker.find(new Uint8Array(17), 0))).toBe('bad-burst');
    expect(codeOf(() => tracker.find(keys(1, 2), 0, { into: new FlowBurst(1, 8) }))).toBe(
      'bad-burst',
    );
    expect(codeOf(() => tracker.find(keys(1), 0, { into: new FlowBurst(1, 16) }))).toBe(
      'bad-burst',
    );
    expect(codeOf(() => tracker.find(keys(1), 0, { hashes: Uint32Array.of(1) }))).toBe('bad-burst');
    const byHash = new FlowTracker({ nicHash: true });
    expect(codeOf(() => byHash.find(keys(1), 0))).toBe('bad-burst');
    expect(codeOf(() => byHash.remove(keys(1, 2), 0, { hashes: Uint32Array.of(1) }))).toBe(
      'bad-burst',
    );
    expect(codeOf(() => tracker.findOrInsert(keys(1), -1))).toBe('bad-time');
    expect(codeOf(() => tracker.findOrInsert(keys(1), 2n ** 64n - 1n))).toBe('bad-time');
    expect(codeOf(() => tracker.expire(0.5))).toBe('bad-time');
    const burst = tracker.find(keys(1), 0);
    expect(codeOf(() => tracker.setClass(burst, 0, 1, 0))).toBe('bad-burst');
    const there = tracker.findOrInsert(keys(1), 0);
    expect(codeOf(() => tracker.setClass(there, 0, 16, 0))).toBe('bad-option');
    expect(codeOf(() => tracker.setClass(there, 1, 0, 0))).toBe('bad-burst');
    expect(codeOf(() => tracker.prepare())).toBe('not-supported');
    expect(codeOf(() => tracker.detach(1, 0))).toBe('detached');
    const tuple: FiveTuple = {
      source: '10.0.0.1',
      destination: '10.0.0.2',
      sourcePort: 1,
      destinationPort: 2,
      protocol: 6,
    };
    expect(codeOf(() => encodeKey({ ...tuple, source: '10.0.0' }))).toBe('bad-key');
    expect(codeOf(() => encodeKey({ ...tuple, destination: '::1' }))).toBe('bad-key');
    expect(codeOf(() => encodeKey({ ...tuple, sourcePort: 65536 }))).toBe('bad-key');
    expect(codeOf(() => encodeKey(tuple, 'ipv4', new Uint8Array(20), 8))).toBe('bad-burst');
    expect(codeOf(() => makeSymmetric(new Uint8Array(16), 'ipv6'))).toBe('bad-burst');
    expect(codeOf(() => decodeKey(new Uint8Array(17)))).toBe('bad-burst');
    tracker.close();
    tracker.close();
    expect(codeOf(() => tracker.find(keys(1), 0))).toBe('closed');
    expect(codeOf(() => tracker.stats())).toBe('closed');
    byHash.close();
  });

  test('memory stays put while the collector runs', () => {
    const tracker = new FlowTracker({ onRemoved: () => undefined });
    for (let round = 0; round < 300; round++) {
      const numbers = Array.from({ length: 32 }, (_, i) => round * 16 + i);
      const burst = tracker.findOrInsert(keys(...numbers), round);
      numbers.forEach((n, i) => burst.view.setUint32(8 * i, n));
      new Array(50_000).fill(round);
      tracker.store(burst);
      const seen = tracker.find(keys(...numbers), round);
      numbers.forEach((n, i) => expect(seen.view.getUint32(8 * i)).toBe(n));
      if (round % 3 === 0) tracker.remove(keys(...numbers.slice(0, 8)), round);
    }
    tracker.close();
  });
});
