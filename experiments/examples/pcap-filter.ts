// A filter of captures: keeps the frames of one UDP or TCP port, in the order of release, so that what
// reads them next finds each flow's packets in a row. A kept record keeps its time and lengths.
//
//   node pcap-filter.js IN.pcap OUT.pcap PORT [DELAY_US]
//
// Little-endian pcap of Ethernet frames without VLAN tags: what `reframer generate` writes. The
// commands of the suite read everything else.
import { readFileSync, writeFileSync } from 'node:fs';

import { Reframer } from '../../reframer/index.js';

const [input, output, port, delay = '64'] = process.argv.slice(2);

function fail(message: string, code: number): never {
  process.stderr.write(`pcap-filter: ${message}\n`);
  process.exit(code);
}

if (input === undefined || output === undefined || !(Number(port) > 0) || !(Number(delay) >= 0)) {
  fail('usage: pcap-filter IN.pcap OUT.pcap PORT [DELAY_US]', 2);
}

interface Frame {
  /** As it lies in the file: 16 bytes that tell time and lengths, then what was captured. */
  record: Buffer;
  data: Buffer;
  /** Since the first frame, in nanoseconds. */
  time: number;
}

const fileHeader = 24;
const recordHeader = 16;
const ethernet = 1;

let file: Buffer;
try {
  file = readFileSync(input);
} catch (error) {
  fail(`${input}: ${(error as Error).message}`, 1);
}
const magic = file.length >= fileHeader ? file.readUInt32LE(0) : 0;
const nanoseconds = magic === 0xa1b23c4d;
if (magic !== 0xa1b2c3d4 && !nanoseconds) fail(`${input}: not a little-endian pcap file`, 1);
if ((file.readUInt32LE(20) & 0xffff) !== ethernet) fail(`${input}: its frames are not Ethernet`, 1);

function* frames(): Generator<Frame> {
  let origin: number | undefined;
  for (let at = fileHeader; at < file.length;) {
    const data = at + recordHeader;
    const end = data <= file.length ? data + file.readUInt32LE(at + 8) : Infinity;
    if (end > file.length) {
      process.stderr.write(
        `pcap-filter: ${input}: the record at byte ${at} is cut off and left out\n`,
      );
      return;
    }
    const seconds = file.readUInt32LE(at);
    origin ??= seconds;
    const time = (seconds - origin) * 1e9 + file.readUInt32LE(at + 4) * (nanoseconds ? 1 : 1000);
    yield { record: file.subarray(at, end), data: file.subarray(data, end), time };
    at = end;
  }
}

/** Source or destination port is the wanted one. */
function matches({ data }: Frame): boolean {
  const wanted = Number(port);
  const has = (bytes: number): boolean => data.length >= bytes; // records may hold less than a header, or nothing
  if (!has(34)) return false;
  const type = data.readUInt16BE(12);
  if (type !== 0x0800 && type !== 0x86dd) return false;
  const version6 = type === 0x86dd;
  const protocol = data.readUInt8(version6 ? 20 : 23);
  if (protocol !== 6 && protocol !== 17) return false;
  // Later fragments carry no ports.
  if (!version6 && (data.readUInt16BE(20) & 0x1fff) !== 0) return false;
  const l4 = version6 ? 54 : 14 + (data.readUInt8(14) & 15) * 4;
  return has(l4 + 4) && (data.readUInt16BE(l4) === wanted || data.readUInt16BE(l4 + 2) === wanted);
}

const reframer = new Reframer<Frame>({ delayNs: Number(delay) * 1000 });
const records: Buffer[] = [file.subarray(0, fileHeader)];
let kept = 0;
let runs = 0;

function write(released: { packets: readonly Frame[]; runs: readonly unknown[] }): void {
  runs += released.runs.length;
  kept += released.packets.length;
  for (const { record } of released.packets) records.push(record);
}

let now = 0;
for (const frame of frames()) {
  now = Math.max(now, frame.time); // a capture's times may step back, the engine's clock may not
  if (matches(frame)) reframer.push([frame], now);
  write(reframer.poll(now));
}
write(reframer.drain(now));
reframer.close();
try {
  writeFileSync(output, Buffer.concat(records));
} catch (error) {
  fail(`${output}: ${(error as Error).message}`, 1);
}
process.stdout.write(`${kept} packets in ${runs} runs\n`);
