// Source NAT of TCP and UDP over IPv4, one lookup a run: node nat.mjs IN.pcap OUT.pcap
import { openCapture, Reframer, writeCapture } from 'reframer';

const [input, output] = process.argv.slice(2);
const reframer = new Reframer();
const writer = writeCapture(output);
const ports = new Map(); // a flow's addresses, ports and protocol -> its port outside

function put(frame, at, word, sums) {
  const change = (~frame.readUInt16BE(at) & 0xffff) + word; // RFC 1624
  frame.writeUInt16BE(word, at);
  for (const sum of sums.filter((place) => frame.readUInt16BE(place) !== 0))
    frame.writeUInt16BE(~(((~frame.readUInt16BE(sum) & 0xffff) + change) % 0xffff) & 0xffff, sum);
}
for await (const burst of openCapture(input, { spanNs: 2000 })) {
  reframer.pushPacked(burst, burst.timeNs);
  for (const { packets } of reframer.poll(burst.timeNs).groups()) translate(packets);
}
for (const { packets } of reframer.drain(2n ** 62n).groups()) translate(packets);
await writer.close();
console.log(`${writer.packets} packets, ${ports.size} flows`);

function translate(packets) {
  let [flow, port] = [];
  for (const { data } of packets) {
    const frame = Buffer.from(data.buffer, data.byteOffset, data.length);
    const sums = [24, { 6: 50, 17: 40 }[frame[23]]];
    if (frame.length < 54 || frame.readUInt32BE(12) >>> 8 !== 0x080045 || !sums[1]) continue;
    const key = frame.toString('latin1', 23, 24) + frame.toString('latin1', 26, 38);
    if (key !== flow) ports.set((flow = key), (port = ports.get(key) ?? 1024 + ports.size));
    [0xc000, 0x0201].forEach((word, i) => put(frame, 26 + 2 * i, word, sums)); // 192.0.2.1
    put(frame, 34, port, sums.slice(1));
  }
  writer.writeAll(packets);
}
