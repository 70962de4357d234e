// A balancer at work on a backend: virtual devices that obey, lose entries, or refuse.
import { expect, test } from 'vitest';

import { Balancer, Balancing, RssppError, type Backend, type Epoch } from '../../rsspp/index.js';

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
  expect(before.changes.length).toBeGreaterThan(0);
  const after = await balancing.epoch();
  expect(after.imbalanceBeforePercent).toBeLessThan(5);
  expect(after.changes).toEqual([]);
  expect(device.writes).toBe(1);
  await balancing.stop();
  expect(device.readTable()).toEqual(first);
});

test('a dry run tells and writes nothing', async () => {
  const device = new VirtualDevice(4, 64, skewed, 10_000);
  const balancing = await Balancing.start(device, { cores: 4, dryRun: true });
  expect((await balancing.epoch()).changes.length).toBeGreaterThan(0);
  expect((await balancing.epoch()).changes.length).toBeGreaterThan(0);
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

test('a core that is removed is emptied and can come back', () => {
  const balancer = new Balancer({ cores: 3, buckets: 32 });
  const epoch = (n: bigint): Epoch => ({ packets: new Array<bigint>(32).fill(n), coreLoads: [0.5, 0.5, 0.5] });
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

test('options out of range are named', () => {
  for (const [option, value] of [['cores', 0], ['buckets', 1], ['targetLoad', 2], ['smoothing', 0], ['minCores', 9]] as const) {
    expect(() => new Balancer({ cores: 4, [option]: value })).toThrow(expect.objectContaining({ code: 'bad-option', option }));
  }
});
