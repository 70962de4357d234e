// Captures in bursts: every format, damage, pipes and streams, what stays and what does not.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  createReadStream,
  ftruncateSync,
  openSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';

import {
  CaptureError,
  type CaptureBurst,
  openCapture,
  type CapturedPacket,
} from '../../capture/index.js';
import {
  bytes,
  codeOf,
  endOf,
  frames,
  packetsOf,
  start,
  writeFrames,
} from '../helpers/captures.js';
import { sharedFolder, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const file = writeFrames(folder.file('frames.pcap'));

async function* chunks(all: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < all.length; at += size) {
    await Promise.resolve();
    yield all.subarray(at, at + size);
  }
}

describe('openCapture', () => {
  test('gives every packet: bytes, times, lengths, link type', async () => {
    const packets = await packetsOf(file);
    expect(packets).toHaveLength(frames.length);
    packets.forEach((packet, i) => {
      expect(Buffer.compare(packet.data, frames[i]?.bytes ?? Buffer.alloc(0))).toBe(0);
      expect(packet.timeNs).toBe(frames[i]?.timeNs);
      expect(packet.wireLength).toBe(frames[i]?.bytes.length);
      expect(packet.linkType).toBe(1);
    });
  });

  test('cuts bursts by packets and by time', async () => {
    const sizes: number[] = [];
    for await (const burst of openCapture(file, { burst: 32 })) sizes.push(burst.count);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(1000);
    expect(Math.max(...sizes)).toBe(32);
    for await (const burst of openCapture(file, { spanNs: 2000n }))
      expect(burst.count).toBeLessThanOrEqual(3);
  });

  test('columns are those of the packets', async () => {
    let at = 0;
    for await (const burst of openCapture(file, { burst: 100 })) {
      const { data, offsets, wireLengths, timesNs, linkTypes } = burst;
      expect(offsets).toHaveLength(burst.count + 1);
      for (let i = 0; i < burst.count; i++, at++) {
        const of = frames[at];
        expect(
          Buffer.from(data.subarray(offsets[i], offsets[i + 1])).equals(of?.bytes ?? data),
        ).toBe(true);
        expect([wireLengths[i], timesNs[i], linkTypes[i]]).toEqual([
          of?.bytes.length,
          of?.timeNs,
          1,
        ]);
      }
      expect(burst.timeNs).toBe(frames[at - 1]?.timeNs);
    }
    expect(at).toBe(1000);
  });

  test('keeps the first bytes only, when asked', async () => {
    for (const { data, wireLength } of await packetsOf(file, { snaplen: 50 }))
      expect(data.length).toBe(Math.min(50, wireLength));
  });

  test('reads in this thread, too', () => {
    const capture = openCapture(file, { burst: 32 });
    let count = 0;
    for (const burst of capture) count += burst.count;
    expect(count).toBe(1000);
    expect(capture.packets).toBe(1000);
    expect(capture.toJSON().closed).toBe(true);
  });

  test.each([1, 7, 16, 100_000])('reads a stream in chunks of %i bytes', async (size) => {
    const part = bytes.subarray(0, endOf(60));
    expect(await packetsOf(chunks(part, size))).toHaveLength(60);
  });

  test('reads streams of Node, compressed ones as well', async () => {
    expect(await packetsOf(createReadStream(file))).toHaveLength(1000);
    expect(await packetsOf(chunks(gzipSync(bytes), 1000))).toHaveLength(1000);
  });

  test('passes on what the stream throws', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 100);
      await Promise.reject(new RangeError('the line went dead'));
    }
    await expect(packetsOf(broken())).rejects.toThrow('the line went dead');
  });

  test('takes a frame that is larger than its memory', async () => {
    const long = Buffer.alloc(262_144, 7);
    const name = folder.file('long.pcap');
    writeFileSync(
      name,
      pcap([
        { bytes: frame(), timeNs: 1n },
        { bytes: long, timeNs: 2n },
        { bytes: long, timeNs: 3n },
        { bytes: frame(), timeNs: 4n },
      ]),
    );
    expect((await packetsOf(name)).map(({ data }) => data.length)).toEqual([
      60, 262_144, 262_144, 60,
    ]);
  });

  test('goes beyond 2 GiB', { timeout: 120_000 }, async () => {
    const name = folder.file('large.pcap');
    const handle = openSync(name, 'w');
    const size = 262_144;
    const count = 8300;
    // A file of holes: only the headers take room.
    const [header, record] = [pcap([]), pcap([{ bytes: Buffer.alloc(size), timeNs: 5n }])];
    writeSync(handle, header, 0, 24, 0);
    for (let i = 0; i < count; i++) writeSync(handle, record, 24, 16, 24 + i * (16 + size));
    ftruncateSync(handle, 24 + count * (16 + size));
    closeSync(handle);
    let packets = 0;
    for await (const burst of openCapture(name, { snaplen: 64 })) packets += burst.count;
    expect(packets).toBe(count);
  });
});

describe('what is handed out', () => {
  test('a packet stays as it was', async () => {
    const kept: CapturedPacket[] = [];
    for await (const burst of openCapture(file, { burst: 10 })) kept.push(burst.packet(0));
    expect(kept.length).toBeGreaterThan(99);
    for (const { data, timeNs } of kept) {
      const of = frames[Number(timeNs - start) / 1000];
      expect(Buffer.from(of?.bytes ?? []).equals(data)).toBe(true);
    }
  });

  test('an old burst says so', async () => {
    const capture = openCapture(file);
    let first;
    for await (const burst of capture) first ??= burst;
    expect(first?.count).toBe(256);
    // Small as it is, the file is one batch: a second one fills the memory again.
    const name = folder.file('batches.pcap');
    writeFileSync(name, pcap([...frames, ...frames, ...frames]));
    const bursts: CaptureBurst[] = [];
    for await (const burst of openCapture(name)) bursts.push(burst);
    expect(() => bursts[0]?.keys()).toThrow(expect.objectContaining({ code: 'stale' }));
  });

  test('no packet beyond the burst', async () => {
    for await (const burst of openCapture(file, { burst: 4 })) {
      for (const i of [-1, 4, 1.5, Number.NaN])
        expect(() => burst.packet(i)).toThrow(expect.objectContaining({ code: 'bad-burst' }));
      break;
    }
  });
});

describe('pipes', () => {
  const fifo = folder.file('pipe');
  execFileSync('mkfifo', [fifo]);

  test('what is there comes before the rest is written', { timeout: 30_000 }, async () => {
    const feeder = openSync(fifo, 'r+');
    writeSync(feeder, bytes, 0, endOf(2));
    const capture = openCapture(fifo);
    for await (const burst of capture) {
      expect(burst.count).toBe(2);
      break;
    }
    expect(capture.toJSON().closed).toBe(true);
    closeSync(feeder);
  });

  test('a signal ends the wait', { timeout: 30_000 }, async () => {
    const feeder = openSync(fifo, 'r+');
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await expect(packetsOf(fifo, { signal: stop.signal })).rejects.toThrow('enough');
    await expect(packetsOf(file, { signal: stop.signal })).rejects.toThrow('enough');
    closeSync(feeder);
  });

  test('close() ends the wait', { timeout: 30_000 }, async () => {
    const feeder = openSync(fifo, 'r+');
    const capture = openCapture(fifo);
    const next = codeOf(capture[Symbol.asyncIterator]().next());
    await new Promise((resolve) => setTimeout(resolve, 50));
    await capture[Symbol.asyncDispose]();
    expect(await next).toBe('closed');
    closeSync(feeder);
  });

  test('without await they are refused', () => {
    const capture = openCapture('-');
    expect(() => [...openCapture(fifo)]).toThrow(
      expect.objectContaining({ code: 'not-supported' }),
    );
    expect(() => [...openCapture(chunks(bytes, 9))]).toThrow(
      expect.objectContaining({ code: 'not-supported' }),
    );
    return capture.close();
  });
});

describe('damage', () => {
  test('what comes before it, then one error with a code and the place', async () => {
    const name = folder.file('cut.pcap');
    writeFileSync(name, bytes.subarray(0, endOf(300) + 5));
    const packets: CapturedPacket[] = [];
    const reading = (async () => {
      for await (const burst of openCapture(name)) packets.push(...burst);
    })();
    await expect(reading).rejects.toMatchObject({
      name: 'CaptureError',
      code: 'capture-damaged',
      offset: endOf(300),
    });
    expect(packets).toHaveLength(300);
  });

  test('no such file, no capture, an empty one', async () => {
    expect(await codeOf(packetsOf(folder.file('none.pcap')))).toBe('capture-open');
    writeFileSync(folder.file('text'), 'not a capture at all, only words');
    expect(await codeOf(packetsOf(folder.file('text')))).toBe('capture-format');
    writeFileSync(folder.file('empty'), '');
    expect(await codeOf(packetsOf(folder.file('empty')))).toBe('capture-format');
    expect(await codeOf(packetsOf(chunks(new Uint8Array(), 1)))).toBe('capture-format');
  });

  test('a capture is read once', async () => {
    const capture = openCapture(file);
    for await (const burst of capture) expect(burst.count).toBeGreaterThan(0);
    expect(() => capture[Symbol.asyncIterator]()).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
  });

  if (sharedFolder === undefined)
    skipSuite('captures of other programs were not read: ../shared/traces is not there');
  else {
    const traces = join(sharedFolder, 'traces/formats');
    test.each(readdirSync(traces))('%s', async (name) => {
      const counts = await Promise.all(
        [join(traces, name), createReadStream(join(traces, name))].map(async (source) => {
          let count = 0;
          try {
            for await (const burst of openCapture(source, { burst: 3 })) {
              count += burst.count;
              burst.keys({ kind: 'ipv6', inner: true });
              burst.hashes({ key: 'inner' });
            }
          } catch (error) {
            expect(error).toBeInstanceOf(CaptureError);
            return [count, (error as CaptureError).code];
          }
          return [count];
        }),
      );
      expect(counts[0]).toEqual(counts[1]);
      if (name.startsWith('broken')) expect(counts[0]?.[1]).toMatch(/^capture-/);
      else expect(counts[0]).toHaveLength(1);
    });
  }
});
