// A capture in the order in which it would leave Reframer, on a core that polls every 2 us.
//   node reorder.mjs IN.pcap OUT.pcap [DELAY_US]
import { openCapture, Reframer, writeCapture } from 'reframer';

const [input, output, delayUs = '64'] = process.argv.slice(2);
const reframer = new Reframer({ delayNs: Number(delayUs) * 1000 });
const writer = writeCapture(output);

let now = 0n;
for await (const burst of openCapture(input, { spanNs: 2000 })) {
  // What was due before this burst came left then.
  for (;;) {
    const due = reframer.nextDeadline();
    if (due === undefined || due >= burst.timeNs) break;
    writer.writeAll(reframer.poll(due), due);
  }
  if (burst.timeNs > now) now = burst.timeNs;
  reframer.pushPacked(burst, now);
  writer.writeAll(reframer.poll(now), now);
}
writer.writeAll(reframer.drain(now), now);
await writer.close();

const { packetsOut, slfIn, slfOut } = reframer.stats();
console.log(`${packetsOut} packets, ${slfIn.toFixed(2)} in a row came, ${slfOut.toFixed(2)} left`);
