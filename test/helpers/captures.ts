// A thousand frames in a file, read and written by the tests of captures.
import { writeFileSync } from 'node:fs';

import {
  CaptureError,
  openCapture,
  type CapturedPacket,
  type CaptureOptions,
} from '../../capture/index.js';
import { frame, pcap } from './frames.js';

/** Time of the first frame; frame `i` comes `i` us later. */
export const start = 1_600_000_000_123_456_789n;

export const frames = Array.from({ length: 1000 }, (_, i) => ({
  bytes: frame({ source: 1 + (i % 7), sourcePort: 1000 + (i % 3), payload: i % 1200 }),
  timeNs: start + BigInt(i) * 1000n,
}));

/** `frames` as a capture file. */
export const bytes = pcap(frames);

/** Writes `frames` to a file, and gives its name back. */
export function writeFrames(file: string): string {
  writeFileSync(file, bytes);
  return file;
}

/** Bytes of the file up to the end of its first `packets` packets. */
export function endOf(packets: number): number {
  return frames.slice(0, packets).reduce((sum, one) => sum + 16 + one.bytes.length, 24);
}

export async function packetsOf(
  source: string | AsyncIterable<Uint8Array>,
  options: CaptureOptions = {},
): Promise<CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const burst of openCapture(source, options)) packets.push(...burst);
  return packets;
}

/** The code of the `CaptureError` that `work` ends with, or whatever else it ends with. */
export const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (error instanceof CaptureError ? error.code : error),
  );
