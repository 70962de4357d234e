// Captures as they are written: byte for byte, whole or not at all, errors with a code.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { openCapture, writeCapture, type CaptureWriter } from '../../capture/index.js';
import { bytes, codeOf, packetsOf, writeFrames } from '../helpers/captures.js';
import { temporaryFolder } from '../helpers/cli.js';
import { frame, readPcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const file = writeFrames(folder.file('frames.pcap'));

describe('writeCapture', () => {
  test('what was read is written as it was', async () => {
    const name = folder.file('copy.pcap');
    const writer = writeCapture(name);
    for await (const burst of openCapture(file)) writer.writeAll(burst);
    expect(writer.packets).toBe(1000);
    await writer.close();
    expect(readFileSync(name).equals(bytes)).toBe(true);
  });

  test('times, lengths and links of its own; other links make it pcapng', async () => {
    const name = folder.file('own.pcap');
    const writer = writeCapture(name);
    writer.write({ data: frame(), timeNs: 7, wireLength: 1500 });
    writer.write({ data: frame() }, 9n);
    await writer.close();
    expect(readPcap(readFileSync(name)).frames).toMatchObject([
      { timeNs: 7n, wire: 1500 },
      { timeNs: 9n, wire: 60 },
    ]);
    const other = writeCapture(name);
    other.write({ data: frame(), timeNs: 1n });
    other.write({ data: frame().subarray(14), timeNs: 2n, linkType: 101 });
    other.write({ data: Buffer.alloc(400_000), timeNs: 3n });
    await other.close();
    expect((await packetsOf(name)).map(({ data, linkType }) => [data.length, linkType])).toEqual([
      [60, 1],
      [46, 101],
      [400_000, 1],
    ]);
  });

  test('nothing is left of what was given up', async () => {
    const writer = writeCapture(folder.file('given-up.pcap'));
    writer.write({ data: frame() });
    writer.abandon();
    expect(readdirSync(folder.path).filter((name) => name.includes('given-up'))).toEqual([]);
    expect(() => writer.write({ data: frame() })).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
    await writer.close();
  });

  test('`await using`: what close() has not ended is given up', async () => {
    // What the keyword does, which Node 20 does not know.
    const written = async (
      name: string,
      work: (writer: CaptureWriter) => Promise<void>,
    ): Promise<void> => {
      const writer = writeCapture(folder.file(name));
      try {
        writer.write({ data: frame() });
        await work(writer);
      } finally {
        await writer[Symbol.asyncDispose]();
      }
    };
    const left = (name: string): string[] =>
      readdirSync(folder.path).filter((each) => each.includes(name));
    await expect(
      written('thrown.pcap', () => Promise.reject(new Error('no more'))),
    ).rejects.toThrow('no more');
    expect(left('thrown')).toEqual([]);
    await written('forgotten.pcap', () => Promise.resolve());
    expect(left('forgotten')).toEqual([]);
    await written('closed.pcap', (writer) => writer.close());
    expect(readPcap(readFileSync(folder.file('closed.pcap'))).frames).toHaveLength(1);
    // Not waited for: it goes on, and the block with it.
    await written('closing.pcap', (writer) => {
      void writer.close();
      return Promise.resolve();
    });
    expect(readPcap(readFileSync(folder.file('closing.pcap'))).frames).toHaveLength(1);
  });

  test('errors have a code', async () => {
    expect(() => writeCapture(join(folder.path, 'no/such/folder'))).toThrow(
      expect.objectContaining({ code: 'capture-write' }),
    );
    const writer = writeCapture(folder.file('bad.pcap'));
    expect(() => writer.write({ data: 'text' as unknown as Uint8Array })).toThrow(
      expect.objectContaining({ code: 'bad-burst' }),
    );
    expect(() => writer.write({ data: frame() }, 1.5)).toThrow(
      expect.objectContaining({ code: 'bad-burst' }),
    );
    writer.abandon();
    const full = writeCapture('/dev/full');
    full.write({ data: frame() });
    expect(await codeOf(full.close())).toBe('capture-write');
  });
});
