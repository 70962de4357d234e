// Flow tables in the hands of a caller who mixes things up: no call may reach memory that is not its own.
import { describe, expect, test } from 'vitest';

import {
  encodeKey,
  FlowBurst,
  FlowTracker,
  makeSymmetric,
  SharedFlowTracker,
  type KeyKind,
} from '../../conntrack/index.js';
import { addressBytes, addressText } from '../../native/address.js';
import { codeOf, keys } from '../helpers/conntrack.js';

describe('a burst', () => {
  test('has a whole number of rows, which are its own', () => {
    for (const odd of [undefined, Number.NaN, -1, 1.5, [64], '64'] as unknown as number[])
      expect(codeOf(() => new FlowBurst(odd, 8))).toBe('bad-burst');
    using tracker = new FlowTracker();
    using shared = new SharedFlowTracker();
    for (const column of ['states', 'found', 'isNew'] as const) {
      const burst = new FlowBurst(64, 8);
      tracker.findOrInsert(keys(1), 0, { into: burst });
      structuredClone(0, { transfer: [burst[column].buffer as ArrayBuffer] });
      for (const call of [
        () => tracker.store(burst),
        () => tracker.find(keys(1), 0, { into: burst }),
        () => shared.findOrInsert(keys(1), 0, { into: burst }),
      ])
        expect(codeOf(call)).toBe('bad-burst');
    }
  });

  test('gets hashes of 32 bits', () => {
    using tracker = new FlowTracker({ nicHash: true });
    for (const hashes of [
      new Uint8Array(1),
      new BigUint64Array(1),
      [7],
    ] as unknown as Uint32Array[])
      expect(codeOf(() => tracker.findOrInsert(keys(1), 0, { hashes }))).toBe('bad-burst');
  });

  test('that another tracker filled since is stale', () => {
    const [one, other] = [new FlowTracker(), new FlowTracker()];
    const burst = new FlowBurst(64, 8);
    // Pointers of an earlier call lie behind those of the last one.
    one.findOrInsert(keys(...Array.from({ length: 64 }, (_, i) => i)), 0, { into: burst });
    one.findOrInsert(keys(1), 0, { into: burst });
    one.store(burst);
    other.findOrInsert(keys(...Array.from({ length: 64 }, (_, i) => i)), 0, { into: burst });
    burst.states.fill(9);
    expect(codeOf(() => one.store(burst))).toBe('stale');
    expect(codeOf(() => one.setClass(burst, 0, 1, 0))).toBe('stale');
    other.store(burst);
    expect(one.find(keys(1), 1).states[0]).toBe(0);
    using shared = new SharedFlowTracker();
    shared.findOrInsert(keys(1), 0, { into: burst });
    expect(codeOf(() => other.store(burst))).toBe('stale');
    one.close();
    other.close();
  });

  test('whose count was changed is stored as it was filled', () => {
    using tracker = new FlowTracker();
    const burst = new FlowBurst(64, 8);
    tracker.findOrInsert(keys(...Array.from({ length: 64 }, (_, i) => i)), 0, { into: burst });
    tracker.findOrInsert(keys(5), 0, { into: burst });
    burst.states.fill(7);
    burst.count = 64;
    tracker.store(burst);
    expect(codeOf(() => tracker.setClass(burst, 1, 1, 0))).toBe('bad-burst');
    expect([...tracker.find(keys(5, 6), 1).states]).toEqual([
      ...new Array<number>(8).fill(7),
      ...new Array<number>(8).fill(0),
    ]);
  });
});

test('classes and groups are whole numbers that there are', () => {
  using tracker = new FlowTracker({ nicHash: true, groups: 4 });
  const burst = tracker.findOrInsert(keys(1), 0, { hashes: Uint32Array.of(1) });
  for (const timeoutClass of [-1, 16, 2 ** 32, 1.5, Number.NaN])
    expect(codeOf(() => tracker.setClass(burst, 0, timeoutClass, 0))).toBe('bad-option');
  for (const group of [-1, 4, 2 ** 32, 0.5, Number.NaN])
    expect(codeOf(() => tracker.detach(group, 0))).toBe('detached');
});

test('what is no key, no group and no ticket is refused by name', () => {
  using tracker = new FlowTracker({ nicHash: true, groups: 4 });
  for (const none of [undefined, null, 'x', {}] as never[]) {
    expect(codeOf(() => tracker.attach(none, 0))).toBe('bad-option');
    expect(codeOf(() => SharedFlowTracker.join(none))).toBe('bad-option');
    expect(codeOf(() => encodeKey(none))).toBe('bad-key');
  }
});

describe('a report of removals that throws', () => {
  const full = (onRemoved: () => void) =>
    new FlowTracker({ nicHash: true, groups: 2, seed: 1, timeoutsNs: 1e9, onRemoved });

  test('is told of every flow all the same', () => {
    let told = 0;
    using tracker = new FlowTracker({
      onRemoved: () => {
        told++;
        throw new Error(`${told}`);
      },
    });
    tracker.findOrInsert(keys(1, 2, 3), 0);
    expect(() => tracker.remove(keys(1, 2, 3), 1)).toThrow(/^1$/);
    expect(told).toBe(3);
  });

  test('takes no group from the tracker that attached it', () => {
    const refuse = (): void => {
      throw new Error('no');
    };
    using from = full(refuse);
    using to = full(refuse);
    const hashes = Uint32Array.of(1);
    from.findOrInsert(keys(1), 0, { hashes });
    const own = to.detach(1, 0);
    const group = from.detach(1, 0);
    // A flow that dies while somebody looks through the table is reported by the next call.
    to.findOrInsert(keys(2), 0, { hashes: Uint32Array.of(2) });
    const pass = to.entries(0);
    pass.next();
    to.findOrInsert(keys(4), 5e9, { hashes: Uint32Array.of(2) });
    try {
      to.attach(group, 5e9);
    } catch {
      // of the report
    }
    expect(codeOf(() => group.native())).toBe('detached');
    group.close();
    own.close();
    expect(to.stats().flows).toBeGreaterThan(0);
  });
});

test('keys of no kind are refused, and written nowhere', () => {
  const tuple = {
    source: '10.0.0.1',
    destination: '10.0.0.2',
    sourcePort: 1,
    destinationPort: 2,
    protocol: 6,
  };
  for (const kind of ['IPv4', 'toString', ''] as unknown as KeyKind[]) {
    expect(codeOf(() => encodeKey(tuple, kind))).toBe('bad-option');
    expect(codeOf(() => makeSymmetric(new Uint8Array(16), kind))).toBe('bad-option');
    expect(codeOf(() => new FlowTracker({ keys: kind }))).toBe('bad-option');
  }
  const small = new Uint8Array(4);
  for (const at of [Number.NaN, 0.5, -1, 1])
    expect(codeOf(() => encodeKey(tuple, 'ipv4', small, at))).toBe('bad-burst');
  expect([...small]).toEqual([0, 0, 0, 0]);
});

test('keys that are no bytes are refused by every call that takes them', () => {
  using tracker = new FlowTracker();
  using shared = new SharedFlowTracker();
  for (const odd of [undefined, null, 16, 'a key of 16 byte', [1]] as unknown as Uint8Array[])
    for (const call of [
      () => tracker.find(odd, 0),
      () => tracker.findOrInsert(odd, 0),
      () => tracker.remove(odd, 0),
      () => shared.find(odd, 0),
      () => shared.update(odd, 0, () => undefined),
      () => makeSymmetric(odd),
    ])
      expect(codeOf(call)).toBe('bad-burst');
});

test('errors of sweepBudget name the argument', () => {
  using shared = new SharedFlowTracker();
  expect(() => shared.sweepBudget(-1, 1)).toThrow(/intervalNs is -1/);
  expect(() => shared.sweepBudget(1, -1)).toThrow(/periodNs is -1/);
});

test('a zone is no part of an address', () => {
  for (const [text, plain] of [
    ['fe80::1%eth0', 'fe80::1'],
    ['fe80::1.2.3.4%eth0', 'fe80::102:304'],
    ['::ffff:1.2.3.4%1', '::ffff:102:304'],
    ['fe80::%eth0', 'fe80::'],
  ] as const)
    expect(addressText(addressBytes(text) ?? new Uint8Array())).toBe(plain);
});
