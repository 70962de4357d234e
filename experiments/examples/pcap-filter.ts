// A filter of captures: keeps the frames of one UDP or TCP port, in the order of release, so that what
// reads them next finds each flow's packets in a row.
//
//   node pcap-filter.js IN.pcap OUT.pcap PORT [DELAY_US]
//
// Little-endian pcap of Ethernet frames without VLAN tags: what `reframer generate` writes. The
// commands of the suite read everything else.
import { readFileSync, writeFileSync } from 'node:fs';

import { Reframer } from '../../reframer/index.js';

const [input, output, port, delay = '64'] = process.argv.slice(2);
if (input === undefined || output === undefined || !(Number(port) > 0)) {
  process.stderr.write('usage: pcap-filter IN.pcap OUT.pcap PORT [DELAY_US]\n');
  process.exit(2);
}

interface Frame {
  data: Uint8Array;
  time: number;
}

const file = readFileSync(input);
const nanoseconds = file.readUInt32LE(0) === 0xa1b23c4d;

function* frames(): Generator<Frame> {
  let origin: number | undefined;
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const seconds = file.readUInt32LE(at);
    origin ??= seconds;
    const time = (seconds - origin) * 1e9 + file.readUInt32LE(at + 4) * (nanoseconds ? 1 : 1000);
    yield { data: file.subarray(at + 16, at + 16 + length), time };
    at += 16 + length;
  }
}

/** Source or destination port is the wanted one. */
function matches({ data }: Frame): boolean {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [l3, l4] = view.getUint16(12) === 0x86dd ? [14, 54] : [14, 14 + (view.getUint8(14) & 15) * 4];
  if (view.byteLength < l4 + 4) return false;
  const protocol = view.getUint8(l4 === 54 && view.getUint16(12) === 0x86dd ? l3 + 6 : l3 + 9);
  return (protocol === 6 || protocol === 17) && (view.getUint16(l4) === Number(port) || view.getUint16(l4 + 2) === Number(port));
}

const reframer = new Reframer<Frame>({ delayNs: Number(delay) * 1000 });
const records: Uint8Array[] = [file.subarray(0, 24)];
let kept = 0;
let runs = 0;

function write(released: { packets: readonly Frame[]; runs: readonly unknown[] }, now: number): void {
  runs += released.runs.length;
  for (const { data } of released.packets) {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(Math.floor(now / 1e9), 0);
    header.writeUInt32LE(Math.floor((now % 1e9) / (nanoseconds ? 1 : 1000)), 4);
    header.writeUInt32LE(data.length, 8);
    header.writeUInt32LE(data.length, 12);
    records.push(header, data);
    kept++;
  }
}

let now = 0;
for (const frame of frames()) {
  now = frame.time;
  if (matches(frame)) reframer.push([frame], now);
  write(reframer.poll(now), now);
}
write(reframer.drain(now), now);
reframer.close();
writeFileSync(output, Buffer.concat(records));
process.stdout.write(`${kept} packets in ${runs} runs\n`);
