// Captures in bursts: every format, damage, pipes and streams, what stays and what does not.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  createReadStream,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
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
  writeCapture,
  type CapturedPacket,
  type CaptureOptions,
} from '../../capture/index.js';
import { encodeKey, FlowTracker, keyBytes } from '../../conntrack/index.js';
import { Reframer } from '../../reframer/index.js';
import { sharedFolder, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { flags, frame, pcap, readPcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const start = 1_600_000_000_123_456_789n;
const frames = Array.from({ length: 1000 }, (_, i) => ({
  bytes: frame({ source: 1 + (i % 7), sourcePort: 1000 + (i % 3), payload: i % 1200 }),
  timeNs: start + BigInt(i) * 1000n,
}));
const bytes = pcap(frames);
const file = folder.file('frames.pcap');
writeFileSync(file, bytes);

async function packetsOf(
  source: string | AsyncIterable<Uint8Array>,
  options: CaptureOptions = {},
): Promise<CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const burst of openCapture(source, options)) packets.push(...burst);
  return packets;
}

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (error instanceof CaptureError ? error.code : error),
  );

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
    const part = bytes.subarray(0, readPcapEnd(60));
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

describe('keys and hashes', () => {
  const mixed = folder.file('mixed.pcap');
  const tuples = [
    frame({ source: 3, destination: 4, sourcePort: 5, destinationPort: 6 }),
    frame({ source: 4, destination: 3, sourcePort: 6, destinationPort: 5 }),
    frame({ source: 3, destination: 4, protocol: 6, flags: flags.syn, vlan: 9 }),
    frame({ version: 6, source: 1, destination: 2 }),
    frame({ ethertype: 0x0806 }),
    frame({ source: 3, destination: 4, fragment: { id: 1, offset: 8, more: false } }),
  ];
  writeFileSync(mixed, pcap(tuples.map((data, i) => ({ bytes: data, timeNs: BigInt(i) }))));
  const v4 = (source: string, destination: string, ports: [number, number], protocol: number) => ({
    source,
    destination,
    sourcePort: ports[0],
    destinationPort: ports[1],
    protocol,
  });
  const expected = [
    v4('10.0.0.3', '10.0.0.4', [5, 6], 17),
    v4('10.0.0.4', '10.0.0.3', [6, 5], 17),
    v4('10.0.0.3', '10.0.0.4', [1000, 2000], 6),
    v4('2001:db8::1', '2001:db8::2', [1000, 2000], 17),
    undefined,
    v4('10.0.0.3', '10.0.0.4', [0, 0], 17),
  ];

  test.each(['ipv4', 'ipv6'] as const)('keys of kind %s are those of encodeKey', async (kind) => {
    for await (const burst of openCapture(mixed)) {
      const keys = burst.keys({ kind });
      const size = keyBytes[kind];
      expected.forEach((tuple, i) => {
        const none = tuple === undefined || (kind === 'ipv4' && tuple.source.includes(':'));
        expect(keys.slice(i * size, (i + 1) * size)).toEqual(
          none ? new Uint8Array(size) : encodeKey(tuple, kind),
        );
      });
    }
  });

  test('both directions have one symmetric key', async () => {
    for await (const burst of openCapture(mixed)) {
      const keys = burst.keys({ symmetric: true });
      expect(keys.slice(0, 16)).toEqual(keys.slice(16, 32));
      expect(burst.keys().slice(0, 16)).not.toEqual(burst.keys().slice(16, 32));
    }
  });

  test('hashes are equal for packets of a flow, and go where the Reframer is told', async () => {
    const reframer = new Reframer<number>();
    for await (const burst of openCapture(file)) {
      const hashes = burst.hashes();
      const keys = burst.keys();
      const seen = new Map<string, number>();
      hashes.forEach((hash, i) => {
        const key = Buffer.from(keys.subarray(16 * i, 16 * i + 16)).toString('hex');
        expect(seen.get(key) ?? hash).toBe(hash);
        seen.set(key, hash);
      });
      expect(new Set(seen.values()).size).toBe(seen.size);
      expect(burst.hashes({ seed: 1 })).not.toEqual(hashes);
      reframer.pushPacked(
        { data: burst.data, offsets: burst.offsets, handles: hashes, hashes },
        burst.timeNs,
      );
      for (const run of reframer.drain(burst.timeNs).runs) expect(hashes).toContain(run.hash);
    }
    reframer.close();
  });

  test('a burst is pushed as it is, and its packets come back', async () => {
    const reframer = new Reframer<CapturedPacket>();
    const out: CapturedPacket[] = [];
    for await (const burst of openCapture(file, { burst: 64 })) {
      expect(reframer.pushPacked(burst, burst.timeNs)).toBe(burst.count);
      for (const { packets } of reframer.poll(burst.timeNs).groups()) out.push(...packets);
    }
    out.push(...reframer.drain(2n ** 62n));
    reframer.close();
    expect(out).toHaveLength(frames.length);
    for (const { data, timeNs } of out) {
      const of = frames[Number(timeNs - start) / 1000];
      expect(Buffer.from(of?.bytes ?? []).equals(data)).toBe(true);
    }
  });

  test('from capture to flows', async () => {
    const tracker = new FlowTracker();
    for await (const burst of openCapture(file)) tracker.findOrInsert(burst.keys(), burst.timeNs);
    expect(tracker.stats().flows).toBe(21);
    tracker.close();
  });

  test('options are checked', async () => {
    for await (const burst of openCapture(file)) {
      for (const wrong of [
        () => burst.keys({ kind: 'ipx' as 'ipv4' }),
        () => burst.hashes({ key: 'all' as '5tuple' }),
      ])
        expect(wrong).toThrow(expect.objectContaining({ code: 'bad-option' }));
    }
    for (const wrong of [{ burst: 0 }, { spanNs: -1 }, { snaplen: 1.5 }, { bursts: 3 }])
      expect(() => openCapture(file, wrong)).toThrow(
        expect.objectContaining({ code: 'bad-option' }),
      );
  });
});

describe('pipes', () => {
  const fifo = folder.file('pipe');
  execFileSync('mkfifo', [fifo]);

  test('what is there comes before the rest is written', { timeout: 30_000 }, async () => {
    const feeder = openSync(fifo, 'r+');
    writeSync(feeder, bytes, 0, readPcapEnd(2));
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

/** Bytes of the first packets of `file`. */
function readPcapEnd(packets: number): number {
  return frames.slice(0, packets).reduce((sum, one) => sum + 16 + one.bytes.length, 24);
}

describe('damage', () => {
  test('what comes before it, then one error with a code and the place', async () => {
    const name = folder.file('cut.pcap');
    writeFileSync(name, bytes.subarray(0, readPcapEnd(300) + 5));
    const packets: CapturedPacket[] = [];
    const reading = (async () => {
      for await (const burst of openCapture(name)) packets.push(...burst);
    })();
    await expect(reading).rejects.toMatchObject({
      name: 'CaptureError',
      code: 'capture-damaged',
      offset: readPcapEnd(300),
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
