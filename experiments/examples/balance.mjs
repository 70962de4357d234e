// RSS++ on a device of your own: here one in memory, with a few heavy buckets. node balance.mjs
import { Balancing } from 'reframer';

const cores = 4;
const packets = new Array(128).fill(0n); // monotonic counters, one a bucket
let table = packets.map((_, bucket) => bucket % cores);
const load = (bucket) => (bucket % 4 === 0 ? 30 : 10); // packets an epoch

const device = {
  name: 'in memory',
  tableSize: () => table.length,
  readTable: () => [...table],
  writeTable: (wanted) => void (table = [...wanted]),
  sample() {
    const coreLoads = new Array(cores).fill(0);
    for (let b = 0; b < table.length; b++) {
      packets[b] += BigInt(load(b));
      coreLoads[table[b]] += load(b) / 1000;
    }
    return { packets, coreLoads };
  },
};

const balancing = await Balancing.start(device, { cores });
for (let i = 0; i < 3; i++) {
  const { epoch, imbalanceBeforePercent, moves } = await balancing.epoch();
  console.log(`epoch ${epoch}: ${imbalanceBeforePercent.toFixed(0)} %, ${moves.length} moves`);
}
await balancing.stop(); // puts the first table back
