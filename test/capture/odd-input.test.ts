// Captures and callers that do what nobody should: two calls at once, packets that are none, closing
// in the middle.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import {
  CaptureError,
  openCapture,
  writeCapture,
  type PacketToWrite,
} from '../../capture/index.js';
import { temporaryFolder } from '../helpers/cli.js';
import { frame, pcap, readPcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const frames = Array.from({ length: 4000 }, (_, i) => ({
  bytes: frame({ sourcePort: 1 + i, payload: 900 }),
  timeNs: BigInt(i),
}));
const file = folder.file('frames.pcap');
writeFileSync(file, pcap(frames));

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (error instanceof CaptureError ? error.code : error),
  );

describe('a writer', () => {
  test('refuses a packet that is none, and keeps nothing of it', async () => {
    const name = folder.file('refused.pcap');
    const writer = writeCapture(name);
    const data = frame();
    const refused: [PacketToWrite | undefined, (number | bigint)?][] = [
      [undefined],
      [{} as PacketToWrite],
      [{ data: 'text' as unknown as Uint8Array }],
      [{ data, timeNs: 1.5 }],
      [{ data, timeNs: -1n }],
      [{ data, timeNs: 2n ** 63n }],
      [{ data }, Number.NaN],
      [{ data, wireLength: -1 }],
      [{ data, wireLength: 2 ** 32 }],
      [{ data, wireLength: Number.NaN }],
      [{ data, linkType: 0.5 }],
    ];
    for (const [packet, timeNs] of refused) {
      expect(() => writer.write(packet as PacketToWrite, timeNs)).toThrow(
        expect.objectContaining({ code: 'bad-burst' }),
      );
      writer.write({ data, timeNs: 7 });
    }
    await writer.close();
    expect(writer.packets).toBe(refused.length);
    const written = readPcap(readFileSync(name));
    expect(written.linkType).toBe(1);
    expect(written.frames.map(({ timeNs, wire }) => [timeNs, wire])).toEqual(
      refused.map(() => [7n, data.length]),
    );
  });

  test('closed twice at once is closed once, and takes nothing meanwhile', async () => {
    const name = folder.file('twice.pcap');
    const writer = writeCapture(name);
    for (const { bytes } of frames) writer.write({ data: bytes });
    const both = Promise.all([writer.close(), writer.close()]);
    expect(() => writer.write({ data: frame() })).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
    writer.abandon();
    await both;
    await writer.close();
    expect(readPcap(readFileSync(name)).frames).toHaveLength(frames.length);
  });

  test('abandoned, it leaves nothing, and closing it then is harmless', async () => {
    const name = folder.file('abandoned.pcap');
    const writer = writeCapture(name);
    writer.write({ data: frame() });
    writer.abandon();
    await writer.close();
    expect(existsSync(name)).toBe(false);
  });
});

describe('a reader', () => {
  test('answers calls that do not wait for each other in order', async () => {
    for (let round = 0; round < 10; round++) {
      const iterator = openCapture(file, { burst: 100 })[Symbol.asyncIterator]();
      const all = await Promise.all(Array.from({ length: 60 }, () => iterator.next()));
      const counts = all.map(({ value }) => value?.count ?? 0);
      expect(counts.reduce((a, b) => a + b, 0)).toBe(frames.length);
      expect(all.at(-1)?.done).toBe(true);
      expect(await iterator.next()).toEqual({ done: true, value: undefined });
    }
  });

  test('may be closed at any moment', async () => {
    for (let round = 0; round < 100; round++) {
      const capture = openCapture(file, { burst: 50 });
      const iterator = capture[Symbol.asyncIterator]();
      for (let i = 0; i < round % 7; i++) await iterator.next();
      const asked = codeOf(iterator.next());
      for (let i = 0; i < round % 5; i++) await Promise.resolve();
      await Promise.all([capture.close(), capture.close()]);
      expect([undefined, 'closed']).toContain(await asked);
      const later: unknown = await iterator.next().catch((error: unknown) => error);
      if (later instanceof CaptureError) expect(later.code).toBe('closed');
      else expect(later).toEqual({ done: true, value: undefined });
    }
  });

  test('reads a stream whose bytes give no packet for long', { timeout: 20_000 }, async () => {
    // A block that is skipped, larger than what may wait; then the packets.
    const skipped = 8 << 20;
    const head = Buffer.alloc(28);
    [0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28].forEach((word, i) =>
      head.writeUInt32LE(word, 4 * i),
    );
    const custom = Buffer.alloc(skipped);
    custom.writeUInt32LE(0x0bad, 0);
    custom.writeUInt32LE(skipped, 4);
    custom.writeUInt32LE(skipped, skipped - 4);
    const interface_ = Buffer.alloc(20);
    [1, 20, 1, 0, 20].forEach((word, i) => interface_.writeUInt32LE(word, 4 * i));
    const data = frame();
    const packet = Buffer.alloc(32 + data.length);
    [6, packet.length, 0, 0, 5, data.length, data.length].forEach((word, i) =>
      packet.writeUInt32LE(word, 4 * i),
    );
    packet.set(data, 28);
    packet.writeUInt32LE(packet.length, packet.length - 4);
    const all = Buffer.concat([head, custom, interface_, packet]);
    async function* inTwo(): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
      yield all.subarray(0, 6 << 20);
      yield all.subarray(6 << 20);
    }
    let count = 0;
    for await (const burst of openCapture(inTwo())) count += burst.count;
    expect(count).toBe(1);
  });

  test('takes a name or a stream, and nothing else', () => {
    for (const source of [
      undefined,
      5,
      new Uint8Array(3),
      [new Uint8Array(3)],
      new URL('file:///a'),
    ])
      expect(() => openCapture(source as unknown as string)).toThrow(
        expect.objectContaining({ code: 'bad-option', option: 'source' }),
      );
  });

  test('takes no name with a NUL byte for the one in front of it', () => {
    const name = `${file}\0.bak`;
    expect(() => openCapture(name)).toThrow(
      expect.objectContaining({ name: 'CaptureError', code: 'bad-option', option: 'source' }),
    );
    const out = folder.file('in-front.pcap');
    expect(() => writeCapture(`${out}\0.bak`)).toThrow(
      expect.objectContaining({ name: 'CaptureError', code: 'bad-option', option: 'file' }),
    );
    expect(existsSync(out)).toBe(false);
    expect(() => writeCapture(undefined as unknown as string)).toThrow(
      expect.objectContaining({ code: 'bad-option', option: 'file' }),
    );
  });

  test('refuses seeds that a Reframer would refuse', async () => {
    for await (const burst of openCapture(file, { burst: 10 })) {
      for (const seed of [-1, 1.5, Number.NaN, -1n, 2n ** 64n])
        expect(() => burst.hashes({ seed })).toThrow(
          expect.objectContaining({ code: 'bad-option', option: 'seed' }),
        );
      break;
    }
  });

  test('an old burst can be printed and written as JSON', async () => {
    const capture = openCapture(file);
    let first;
    for await (const burst of capture) first ??= burst;
    expect(JSON.parse(JSON.stringify(first))).toEqual({ count: 256, stale: true });
  });
});
