// One table for several workers: what a map would say, and sums that no two workers lose to each other.
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { FlowBurst, SharedFlowTracker, type SharedTrackerOptions } from '../../conntrack/index.js';
import { seededRandom } from '../../experiments/core/random.js';
import { packageRoot } from '../../native/loader.js';
import { codeOf, keys } from '../helpers/conntrack.js';

const states = (...numbers: number[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(numbers.map(BigInt)).buffer);

const word = (burst: FlowBurst, i: number): number => Number(burst.view.getBigUint64(8 * i, true));

describe('one worker', () => {
  test('finds, inserts, stores, updates and removes what a map does', () => {
    const random = seededRandom(7);
    const tracker = new SharedFlowTracker({ initialFlows: 64 }); // grows
    const model = new Map<number, number>();
    const into = new FlowBurst(48, 8);
    for (let call = 0; call < 400; call++) {
      const numbers = Array.from({ length: 1 + Math.floor(random() * 48) }, () =>
        Math.floor(random() * 900),
      );
      const burst = keys(...numbers);
      const value = call + 1;
      switch (call % 5) {
        case 0: {
          const found = tracker.find(burst, 0, { into });
          numbers.forEach((n, i) =>
            expect([found.found[i], word(found, i)]).toEqual(
              model.has(n) ? [1, model.get(n)] : [0, 0],
            ),
          );
          break;
        }
        case 1: {
          const found = tracker.findOrInsert(burst, 0, {
            into,
            initial: states(...numbers.map(() => value)),
          });
          numbers.forEach((n, i) => {
            expect(found.isNew[i]).toBe(model.has(n) ? 0 : 1);
            if (!model.has(n)) model.set(n, value);
            expect([found.found[i], word(found, i)]).toEqual([1, model.get(n)]);
          });
          break;
        }
        case 2:
          expect(tracker.store(burst, states(...numbers.map((n) => n + value)), 0)).toBe(
            numbers.length,
          );
          for (const n of numbers) model.set(n, n + value);
          break;
        case 3: {
          const found = tracker.update(burst, 0, (i, state, isNew, timeoutClass) => {
            expect([isNew, timeoutClass]).toEqual([!model.has(numbers[i] ?? -1), 0]);
            const view = new DataView(state.buffer, state.byteOffset, 8);
            view.setBigUint64(0, view.getBigUint64(0, true) + 3n, true);
            model.set(numbers[i] ?? -1, (model.get(numbers[i] ?? -1) ?? 0) + 3);
          });
          expect(word(found, numbers.length - 1)).toBe(model.get(numbers.at(-1) ?? -1));
          break;
        }
        default:
          expect([...tracker.remove(burst, 0)]).toEqual(
            numbers.map((n) => (model.delete(n) ? 1 : 0)),
          );
      }
      expect(tracker.stats().flows).toBe(model.size);
    }
    tracker.close();
  });

  test('flows end by the timeout of their class, which update sets', () => {
    const tracker = new SharedFlowTracker({ timeoutsNs: [1e9, 10e9], tickNs: 1e8 });
    tracker.update(keys(1, 2), 0, (i) => i);
    expect([...tracker.find(keys(1, 2), 3e9).found]).toEqual([0, 1]);
    expect(tracker.expire(30e9)).toBe(1);
    expect(tracker.stats()).toMatchObject({ flows: 0, inserted: 2, expired: 2 });
    expect(tracker.sweepBudget(1, 2)).toBeGreaterThan(0);
    tracker.close();
  });

  test('a full table refuses, and says for which keys', () => {
    const tracker = new SharedFlowTracker({ initialFlows: 64, fixedSize: true, evict: false });
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const burst = tracker.findOrInsert(keys(...numbers), 0, {
      initial: states(...numbers.map(() => 9)),
    });
    const found = burst.found.reduce((sum, f) => sum + f, 0);
    expect(found).toBe(64);
    for (const i of numbers)
      expect([burst.isNew[i], word(burst, i)]).toEqual(burst.found[i] === 1 ? [1, 9] : [0, 0]);
    expect(tracker.store(keys(500), states(1), 0)).toBe(0);
    tracker.close();
  });

  test('what is wrong is said, and an update that throws leaves its state alone', () => {
    const wrong: readonly [SharedTrackerOptions, string][] = [
      [{ tickNs: 1000 }, 'bad-option'],
      [{ stateBytes: 12 }, 'bad-option'],
      [{ loadPercent: 76, fixedSize: true }, 'bad-option'],
      [{ groups: 4 } as SharedTrackerOptions, 'bad-option'],
    ];
    for (const [options, code] of wrong)
      expect(codeOf(() => new SharedFlowTracker(options))).toBe(code);
    const tracker = new SharedFlowTracker();
    tracker.store(keys(1, 2), states(11, 12), 0);
    expect(
      codeOf(() =>
        tracker.update(keys(1), 0, () => {
          tracker.find(keys(2), 0);
        }),
      ),
    ).toBe('busy');
    expect(
      codeOf(() =>
        tracker.update(keys(1), 0, () => {
          tracker.close();
        }),
      ),
    ).toBe('busy');
    expect(codeOf(() => tracker.update(keys(1), 0, () => 16))).toBe('bad-option');
    expect(() =>
      tracker.update(keys(1, 2), 0, (_i, state) => {
        state.fill(1);
        throw new Error('mine');
      }),
    ).toThrow('mine');
    const after = tracker.find(keys(1, 2), 0);
    expect([word(after, 0), word(after, 1)]).toEqual([11, 12]);
    expect(codeOf(() => tracker.store(keys(1), states(1, 2), 0))).toBe('bad-burst');
    expect(codeOf(() => tracker.find(new Uint8Array(17), 0))).toBe('bad-burst');
    expect(codeOf(() => tracker.find(keys(1), -1))).toBe('bad-time');
    const ticket = tracker.share();
    tracker.close();
    tracker.close();
    expect(codeOf(() => tracker.find(keys(1), 0))).toBe('closed');
    // The table lives on in the ticket.
    const heir = SharedFlowTracker.join(ticket);
    expect(word(heir.find(keys(2), 0), 0)).toBe(12);
    expect(codeOf(() => SharedFlowTracker.join(ticket))).toBe('taken');
    heir.close();
  });
});

describe('several workers', () => {
  test('count into the same flows, and no count is lost while the table grows', async () => {
    const tracker = new SharedFlowTracker({ initialFlows: 64 });
    const [rounds, nbFlows, nbWorkers] = [60, 700, 3];
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.module).then(({ SharedFlowTracker }) => {
        const tracker = SharedFlowTracker.join(workerData.ticket);
        const { rounds, nbFlows, first } = workerData;
        for (let round = 0; round < rounds; round++) {
          const keys = new Uint8Array(16 * 64);
          const view = new DataView(keys.buffer);
          for (let i = 0; i < 64; i++) view.setUint32(16 * i, (first + round * 64 + i) % nbFlows);
          tracker.update(keys, 0, (i, state) => { new Uint32Array(state.buffer, state.byteOffset, 2)[0] += 1; });
        }
        tracker.close();
        parentPort.postMessage('done');
      });`;
    const workers = Array.from(
      { length: nbWorkers },
      (_, w) =>
        new Worker(code, {
          eval: true,
          workerData: {
            module: join(packageRoot, 'dist/conntrack/index.js'),
            ticket: tracker.share(),
            rounds,
            nbFlows,
            first: w * 100,
          },
        }),
    );
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
      ),
    );
    const expected = new Array<number>(nbFlows).fill(0);
    for (let w = 0; w < nbWorkers; w++)
      for (let p = 0; p < rounds * 64; p++)
        expected[(w * 100 + p) % nbFlows] = (expected[(w * 100 + p) % nbFlows] ?? 0) + 1;
    const all = tracker.find(keys(...expected.keys()), 0);
    expect(expected.map((_, i) => word(all, i))).toEqual(expected);
    expect(tracker.stats().flows).toBe(nbFlows);
    tracker.close();
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});
