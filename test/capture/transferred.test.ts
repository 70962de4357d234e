// Memory of a batch that was given to another thread: nothing writes into it any more.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openCapture, writeCapture, type CaptureBurst } from '../../capture/index.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
const file = folder.file('many.pcap');
const packets = 20_000; // of more than one batch
beforeAll(async () => {
  const writer = writeCapture(file);
  for (let i = 0; i < packets; i++)
    writer.write({ data: Uint8Array.of(i >> 8, i & 255, ...new Array<number>(58).fill(7)) });
  await writer.close();
});
afterAll(() => folder.remove());

/** As postMessage() does it. */
const transfer = (bytes: Uint8Array): Uint8Array =>
  structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });

test('the next batches are read into other memory, and what was given away stays as it was', async () => {
  const kept: { bytes: Uint8Array; copy: Uint8Array }[] = [];
  let count = 0;
  let first = 0;
  for await (const burst of openCapture(file, { burst: 4096 })) {
    expect(burst.data[1]).toBe(first & 255);
    const copy = burst.data.slice();
    kept.push({ bytes: transfer(burst.data), copy });
    count += burst.count;
    first = count;
  }
  expect(count).toBe(packets);
  expect(kept.length).toBeGreaterThan(3);
  for (const { bytes, copy } of kept) expect(Buffer.compare(bytes, copy)).toBe(0);
});

test('what it held is not to be had from bursts any more', () => {
  const seen: CaptureBurst[] = [];
  for (const burst of openCapture(file, { burst: 64 })) {
    seen.push(burst);
    if (seen.length === 1) transfer(burst.data);
    else break;
  }
  const stale = expect.objectContaining({ code: 'stale' }) as Error;
  for (const burst of seen) {
    expect(() => burst.data).toThrow(stale);
    expect(() => burst.keys()).toThrow(stale);
    expect(() => burst.packet(0)).toThrow(stale);
    expect(() => JSON.stringify(burst)).not.toThrow();
  }
});

test('keys of packets that were given away are not made of what lies there now', () => {
  for (const burst of openCapture(file)) {
    const [packet] = burst.packets;
    if (packet !== undefined) transfer(packet.data);
    expect(() => burst.hashes()).toThrow(expect.objectContaining({ code: 'stale' }) as Error);
    break;
  }
});
