// Frames and captures from hand-set bytes: what tests feed is visible here and owes nothing to the
// code under test.
import { readFileSync } from 'node:fs';

export interface FrameOptions {
  source?: number;
  destination?: number;
  sourcePort?: number;
  destinationPort?: number;
  protocol?: 6 | 17;
  /** TCP flags byte. */
  flags?: number;
  sequence?: number;
  acknowledged?: number;
  window?: number;
  /** TCP options, a multiple of four bytes. */
  options?: Uint8Array;
  trafficClass?: number;
  version?: 4 | 6;
  vlan?: number;
  payload?: number;
  ethertype?: number;
  /** Makes a fragment: `offset` in bytes, a multiple of 8. What follows IP is the same at any offset. */
  fragment?: { id: number; offset: number; more: boolean };
}

export const flags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

/** Addresses are small numbers: n stands for 10.0.x.y or 2001:db8::x:y. */
export function frame(options: FrameOptions = {}): Uint8Array {
  const { version = 4, protocol = 17, payload = 18 } = options;
  const extra = options.options ?? new Uint8Array();
  const transport = protocol === 6 ? 20 + extra.length : 8;
  const { fragment } = options;
  const extension = fragment !== undefined && version === 6 ? 8 : 0;
  const ipLength = version === 4 ? 20 : 40 + extension;
  const link = options.vlan === undefined ? 14 : 18;
  const bytes = Buffer.alloc(link + ipLength + transport + payload);
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
  let at = 12;
  if (options.vlan !== undefined) {
    bytes.writeUInt16BE(0x8100, 12);
    bytes.writeUInt16BE(options.vlan, 14);
    at = 16;
  }
  bytes.writeUInt16BE(options.ethertype ?? (version === 4 ? 0x0800 : 0x86dd), at);
  at += 2;
  const source = options.source ?? 1;
  const destination = options.destination ?? 2;
  if (version === 4) {
    bytes[at] = 0x45;
    bytes[at + 1] = options.trafficClass ?? 0;
    bytes.writeUInt16BE(ipLength + transport + payload, at + 2);
    if (fragment !== undefined) {
      bytes.writeUInt16BE(fragment.id, at + 4);
      bytes.writeUInt16BE((fragment.offset / 8) | (fragment.more ? 0x2000 : 0), at + 6);
    }
    bytes[at + 8] = 64;
    bytes[at + 9] = protocol;
    bytes.writeUInt32BE(0x0a000000 + source, at + 12);
    bytes.writeUInt32BE(0x0a000000 + destination, at + 16);
    bytes.writeUInt16BE(checksum(bytes.subarray(at, at + 20)), at + 10);
  } else {
    bytes.writeUInt32BE(((6 << 28) | ((options.trafficClass ?? 0) << 20)) >>> 0, at);
    bytes.writeUInt16BE(extension + transport + payload, at + 4);
    bytes[at + 6] = fragment === undefined ? protocol : 44;
    bytes[at + 7] = 64;
    if (fragment !== undefined) {
      bytes[at + 40] = protocol;
      bytes.writeUInt16BE(fragment.offset | (fragment.more ? 1 : 0), at + 42);
      bytes.writeUInt32BE(fragment.id, at + 44);
    }
    for (const [offset, value] of [
      [8, source],
      [24, destination],
    ] as const) {
      bytes.writeUInt32BE(0x20010db8, at + offset);
      bytes.writeUInt32BE(value, at + offset + 12);
    }
  }
  at += ipLength;
  bytes.writeUInt16BE(options.sourcePort ?? 1000, at);
  bytes.writeUInt16BE(options.destinationPort ?? 2000, at + 2);
  if (protocol === 6) {
    bytes.writeUInt32BE(options.sequence ?? 1, at + 4);
    bytes.writeUInt32BE(options.acknowledged ?? 0, at + 8);
    bytes[at + 12] = (transport / 4) << 4;
    bytes[at + 13] = options.flags ?? flags.ack;
    bytes.writeUInt16BE(options.window ?? 0, at + 14);
    bytes.set(extra, at + 20);
  } else {
    bytes.writeUInt16BE(8 + payload, at + 4);
  }
  return bytes;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface CapturedFrame {
  bytes: Uint8Array;
  timeNs: bigint;
}

/** A little-endian nanosecond pcap of Ethernet frames. */
export function pcap(frames: readonly CapturedFrame[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b23c4d, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262144, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.flatMap(({ bytes, timeNs }) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Number(timeNs / 1_000_000_000n), 0);
    record.writeUInt32LE(Number(timeNs % 1_000_000_000n), 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    return [record, bytes];
  });
  return Buffer.concat([header, ...records]);
}

/** Reads what `pcap` writes, and microsecond files; enough for outputs of ours. */
export function readPcap(file: Buffer): {
  linkType: number;
  snaplen: number;
  frames: (CapturedFrame & { wire: number })[];
} {
  const magic = file.readUInt32LE(0);
  const unit = { 0xa1b23c4d: 1n, 0xa1b2c3d4: 1000n }[magic];
  if (unit === undefined) throw new Error(`not a little-endian pcap: ${magic.toString(16)}`);
  const frames: (CapturedFrame & { wire: number })[] = [];
  for (let at = 24; at < file.length;) {
    const captured = file.readUInt32LE(at + 8);
    const timeNs =
      BigInt(file.readUInt32LE(at)) * 1_000_000_000n + BigInt(file.readUInt32LE(at + 4)) * unit;
    frames.push({
      timeNs,
      wire: file.readUInt32LE(at + 12),
      bytes: file.subarray(at + 16, at + 16 + captured),
    });
    at += 16 + captured;
  }
  return { linkType: file.readUInt32LE(20), snaplen: file.readUInt32LE(16), frames };
}

/** The frames of a capture as Node reads them, without time stamps. */
export const framesOf = (file: string): string[] =>
  readPcap(readFileSync(file)).frames.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
