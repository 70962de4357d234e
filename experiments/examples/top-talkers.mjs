// The ten flows of a capture with the most bytes: node top-talkers.mjs IN.pcap
import { decodeKey, FlowTracker, openCapture } from 'reframer';

const tracker = new FlowTracker({
  keys: 'ipv6', // IPv4 too
  state: { packets: 'u64', bytes: 'u64' },
  timeoutsNs: 0, // never
});
for await (const burst of openCapture(process.argv[2] ?? '-', { snaplen: 128 })) {
  const keys = burst.keys({ kind: 'ipv6' });
  tracker.add(keys, burst.timeNs, { packets: 1, bytes: burst.wireLengths });
}

const top = [...tracker.entries(0)]
  .map(({ key, values }) => ({ key, ...values }))
  .sort((a, b) => Number(b.bytes - a.bytes))
  .slice(0, 10);
for (const { key, packets, bytes } of top) {
  const { source, sourcePort, destination, destinationPort, protocol } = decodeKey(key);
  const flow = `${source} ${sourcePort} > ${destination} ${destinationPort}, protocol ${protocol}`;
  console.log(`${bytes} bytes in ${packets} packets: ${flow}`);
}
tracker.close();
