// A capture in the order in which it would leave Reframer: what `npx reframer reorder IN OUT` writes,
// record by record, as long as what T holds fits (4,096 packets; maxPackets). Each packet comes at its
// own time and each group leaves at its deadline. A core that polls every 2 us would see other bursts:
// openCapture(input, { spanNs: 2000 }), and its groups leave at polls.
//   node reorder.mjs IN.pcap OUT.pcap [DELAY_US]
import { openCapture, Reframer, writeCapture } from 'reframer';

const [input, output, delayUs = '64'] = process.argv.slice(2);
// A file has no ring behind that a long group could fill, and no wait for memory that a look ahead hides.
const offline = { maxBurst: 2 ** 32 - 1, lookahead: 0 };
const reframer = new Reframer({ delayNs: Number(delayUs) * 1000, ...offline });
const writer = writeCapture(output);

let now = 0n;
for await (const burst of openCapture(input, { burst: 1 })) {
  if (burst.timeNs > now) now = burst.timeNs;
  leave(now); // before this packet comes
  reframer.pushPacked(burst, now);
}
leave();
await writer.close();

const { packetsOut, slfIn, slfOut } = reframer.stats();
console.log(`${packetsOut} packets, ${slfIn.toFixed(2)} in a row came, ${slfOut.toFixed(2)} left`);

/** What is due until then, each group at its time. */
function leave(until) {
  for (;;) {
    const due = reframer.nextDeadline();
    if (due === undefined || due > until) return;
    writer.writeAll(reframer.poll(due), due);
  }
}
