// A balancer at work on a backend: virtual devices that obey, lose entries, or refuse.
import { inspect } from 'node:util';
import { expect, test } from 'vitest';

import {
  Balancer,
  Balancing,
  RssppError,
  type Backend,
  type Epoch,
  type Report,
} from '../../rsspp/index.js';

/** A device in memory: bucket b brings `rate(b)` packets an epoch; a packet costs 1/capacity of a core. */
class VirtualDevice implements Backend {
  readonly name = 'virtual';
  readonly counters: bigint[];
  table: number[];
  writes = 0;
  lose: (bucket: number) => boolean = () => false;

  constructor(
    private readonly cores: number,
    buckets: number,
    private readonly rate: (bucket: number) => number,
    private readonly capacity: number,
  ) {
    this.counters = new Array<bigint>(buckets).fill(0n);
    this.table = this.counters.map((_, b) => b % cores);
  }

  tableSize(): number {
    return this.table.length;
  }

  readTable(): number[] {
    return [...this.table];
  }

  writeTable(table: readonly number[], changed: readonly number[]): void {
    this.writes++;
    for (const bucket of changed) if (!this.lose(bucket)) this.table[bucket] = table[bucket] ?? 0;
  }

  sample(): Epoch {
    const coreLoads = new Array<number>(this.cores).fill(0);
    this.table.forEach((owner, b) => {
      this.counters[b] = (this.counters[b] ?? 0n) + BigInt(this.rate(b));
      coreLoads[owner] = Math.min(1, (coreLoads[owner] ?? 0) + this.rate(b) / this.capacity);
    });
    return { packets: [...this.counters], coreLoads };
  }
}

const skewed = (bucket: number): number => (bucket % 4 === 0 ? 300 : 100);

test('a skewed device becomes even, stays as it is, and gets its first table back', async () => {
  const device = new VirtualDevice(4, 128, skewed, 10_000);
  const first = device.readTable();
  const balancing = await Balancing.start(device, { cores: 4 });
  const before = await balancing.epoch();
  expect(before.imbalanceBeforePercent).toBeGreaterThan(150);
  expect(before.moves.length).toBeGreaterThan(0);
  const after = await balancing.epoch();
  expect(after.imbalanceBeforePercent).toBeLessThan(5);
  expect(after.moves).toEqual([]);
  expect(device.writes).toBe(1);
  await balancing.stop();
  expect(device.readTable()).toEqual(first);
});

test('prints as its name and that of its device', async () => {
  const balancing = await Balancing.start(new VirtualDevice(2, 8, () => 1, 100), { cores: 2 });
  expect(inspect(balancing)).toMatch(/^Balancing \{\s+backend: 'virtual',\s+balancer: Balancer/);
  await balancing.stop();
});

test('a dry run tells and writes nothing', async () => {
  const device = new VirtualDevice(4, 64, skewed, 10_000);
  const balancing = await Balancing.start(device, { cores: 4, dryRun: true });
  expect((await balancing.epoch()).moves.length).toBeGreaterThan(0);
  expect((await balancing.epoch()).moves.length).toBeGreaterThan(0);
  await balancing.stop();
  expect(device.writes).toBe(0);
});

test('entries that a device loses are noticed and not believed', async () => {
  const device = new VirtualDevice(4, 64, skewed, 10_000);
  device.lose = (bucket) => bucket % 2 === 0;
  const balancing = await Balancing.start(device, { cores: 4 });
  await expect(balancing.epoch()).rejects.toMatchObject({ code: 'backend' });
  expect(balancing.balancer.table()).toEqual(device.table);
  await balancing.stop();
});

test('stop reads the first table back, and throws where it is not there', async () => {
  const device = new VirtualDevice(4, 64, skewed, 10_000);
  const first = device.readTable();
  const balancing = await Balancing.start(device, { cores: 4 });
  expect((await balancing.epoch()).moves.length).toBeGreaterThan(0);
  device.lose = () => true;
  await expect(balancing.stop()).rejects.toMatchObject({
    code: 'backend',
    message: expect.stringMatching(/first table were not put back: the device kept/) as string,
  });
  device.writeTable = () => {
    throw new Error('link is down');
  };
  await expect(balancing.stop()).rejects.toThrow(/not put back: link is down/);
  expect(device.readTable()).not.toEqual(first);
  // Taken up again where it failed.
  device.lose = () => false;
  Reflect.deleteProperty(device, 'writeTable');
  await balancing.stop();
  expect(device.readTable()).toEqual(first);
  await expect(balancing.epoch()).rejects.toMatchObject({ code: 'closed' });
});

test('a core that is removed is emptied and can come back', () => {
  const balancer = new Balancer({ cores: 3, buckets: 32 });
  const epoch = (n: bigint): Epoch => ({
    packets: new Array<bigint>(32).fill(n),
    coreLoads: [0.5, 0.5, 0.5],
  });
  balancer.step(epoch(0n));
  balancer.removeCore(1);
  const report = balancer.step(epoch(100n));
  expect(report.activeCores).toBe(2);
  expect(balancer.table()).not.toContain(1);
  balancer.restoreCore(1);
  balancer.removeCore(0);
  balancer.removeCore(1);
  expect(() => balancer.removeCore(2)).toThrow(RssppError);
  balancer.close();
  expect(() => balancer.step(epoch(200n))).toThrow(/closed/);
});

test('the next epoch is due sooner while a core is busy', () => {
  const balancer = new Balancer({ cores: 2, buckets: 8, intervalMs: 50, busyIntervalMs: 2 });
  const step = (load: number, waiting = [0, 0]): Report =>
    balancer.step({ packets: new Array<number>(8).fill(0), coreLoads: [load, 0.1], waiting });
  expect(step(0.5).nextEpochMs).toBe(50);
  expect(step(0.95).nextEpochMs).toBe(2);
  expect(step(0.5).nextEpochMs).toBe(2); // for a second
  expect(() => step(0.5, [0])).toThrow(/waiting has 1 entries instead of 2/);
  balancer.close();
});

test('what waits on a full core counts as its load', () => {
  const moved = [undefined, [0, 0], [50_000, 0]].map((waiting) => {
    const balancer = new Balancer({ cores: 2, buckets: 64 });
    const epoch = (packets: number): Report =>
      balancer.step({
        packets: Array.from({ length: 64 }, (_, b) => packets * (b % 2 === 0 ? 1000 : 900)),
        coreLoads: [1, 0.9],
        ...(waiting === undefined ? {} : { waiting }),
      });
    epoch(0);
    const report = epoch(1);
    balancer.close();
    return report.moves.filter(({ from }) => from === 0).length;
  });
  expect(moved[2]).toBeGreaterThan(moved[1] ?? 0);
  expect(moved[0]).toBe(moved[1]);
});

test('options out of range are named', () => {
  for (const [option, value] of [
    ['cores', 0],
    ['buckets', 1],
    ['targetLoad', 2],
    ['smoothing', 0],
    ['minCores', 9],
    ['intervalMs', 0],
    ['busyIntervalMs', 101],
  ] as const) {
    expect(() => new Balancer({ cores: 4, [option]: value })).toThrow(
      expect.objectContaining({ code: 'bad-option', option }),
    );
  }
});
