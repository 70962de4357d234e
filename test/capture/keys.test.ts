// Keys and hashes of captured packets, and what takes them: Reframer, a tracker of flows.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { openCapture, type CapturedPacket } from '../../capture/index.js';
import { encodeKey, FlowTracker, keyBytes } from '../../conntrack/index.js';
import { Reframer } from '../../reframer/index.js';
import { frames, start, writeFrames } from '../helpers/captures.js';
import { temporaryFolder } from '../helpers/cli.js';
import { flags, frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const file = writeFrames(folder.file('frames.pcap'));

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
