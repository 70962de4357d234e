// The TypeScript surface: shapes, ownership, errors.
import { describe, expect, test } from 'vitest';

import {
  NativeError,
  Reframer,
  ReframerError,
  type ReframerOptions,
} from '../../reframer/index.js';
import { locate } from '../../native/loader.js';
import { frame } from '../helpers/frames.js';

const a = (payload = 18): Uint8Array => frame({ source: 1, payload });
const b = (): Uint8Array => frame({ source: 2 });

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof ReframerError || error instanceof NativeError) return String(error.code);
    throw error;
  }
  return undefined;
}

describe('push and poll', () => {
  test('hand back the very objects, grouped, with their runs', () => {
    const reframer = new Reframer({ delayNs: 1000, lookahead: 0 });
    const frames = [a(), b(), a(), b()];
    expect(reframer.push(frames, 0)).toBe(4);
    expect(reframer.nextDeadline()).toBe(1000n);
    expect(reframer.poll(999)).toEqual({ packets: [], runs: [] });
    const { packets, runs } = reframer.poll(1000n);
    expect(packets.map((packet) => frames.indexOf(packet))).toEqual([0, 2, 1, 3]);
    expect(runs).toMatchObject([
      { first: 0, count: 2, reason: 'deadline' },
      { first: 2, count: 2, reason: 'deadline' },
    ]);
    expect(reframer.nextDeadline()).toBeUndefined();
    const holds = reframer.holdHistogram();
    expect(holds).toEqual([{ lowNs: expect.any(Number) as number, packets: 4 }]);
    expect(holds[0]?.lowNs).toBe(reframer.stats().holdP50Ns);
    expect(reframer.stats()).toMatchObject({
      packetsIn: 4,
      packetsOut: 4,
      runsIn: 4,
      runsOut: 2,
      slfOut: 2,
      lookupsSaved: 2,
      holdMaxNs: 1000,
    });
    reframer.close();
  });

  test('take objects of the caller with lengths and hashes', () => {
    const reframer = new Reframer<{
      data: Uint8Array;
      hash: number;
      wireLength: number;
      name: string;
    }>({ delayNs: 10 });
    const packets = [7, 8, 7].map((hash, i) => ({
      data: b(),
      hash,
      wireLength: 1500,
      name: `p${i}`,
    }));
    reframer.push(packets, 5);
    const { packets: out, runs } = reframer.poll(15);
    expect(out.map((packet) => packet.name)).toEqual(['p0', 'p2', 'p1']);
    expect(runs.map((run) => run.hash)).toEqual([7, 8]);
    expect(reframer.stats().bytesIn).toBe(4500);
    reframer.close();
  });

  test('take packed bursts', () => {
    const reframer = new Reframer<string>({ delayNs: 10 });
    const frames = [a(), b(), a(40)];
    const offsets = Uint32Array.from([
      0,
      ...frames.map((_, i) => frames.slice(0, i + 1).reduce((sum, f) => sum + f.length, 0)),
    ]);
    expect(
      reframer.pushPacked({ data: Buffer.concat(frames), offsets, handles: ['x', 'y', 'z'] }, 0),
    ).toBe(3);
    expect(reframer.poll(10).packets).toEqual(['x', 'z', 'y']);
    reframer.close();
  });

  test('the caller may reuse a buffer at once', () => {
    const reframer = new Reframer<{ data: Uint8Array; id: number }>({
      delayNs: 10,
      tcpRepair: true,
    });
    const data = Buffer.from(frame({ protocol: 6, sequence: 100, payload: 18 }));
    const later = Buffer.from(frame({ protocol: 6, sequence: 118, payload: 18 }));
    reframer.push([{ data: later, id: 2 }], 0);
    later.fill(0xff);
    reframer.push([{ data, id: 1 }], 0);
    data.fill(0xff);
    expect(reframer.poll(10).packets.map((packet) => packet.id)).toEqual([1, 2]);
    reframer.close();
  });

  test('memory stays put while the collector runs', () => {
    const reframer = new Reframer<{ data: Uint8Array; id: number }>({
      delayNs: 1_000,
      maxPackets: 4096,
    });
    let seen = 0;
    for (let round = 0; round < 200; round++) {
      const base = round * 64;
      reframer.push(
        Array.from({ length: 64 }, (_, i) => ({ data: frame({ source: i % 7 }), id: base + i })),
        round * 100,
      );
      new Array(50_000).fill(round);
      for (const packet of reframer.poll(round * 100).packets) {
        expect(packet.data.length).toBeGreaterThan(0);
        seen++;
      }
    }
    seen += reframer.drain(1e6).packets.length;
    expect(seen).toBe(200 * 64);
    reframer.close();
  });

  test('many packets due at once come in one poll, with uncut runs', () => {
    const reframer = new Reframer({ delayNs: 10, maxBurst: 4096, maxPackets: 8192 });
    for (let i = 0; i < 60; i++)
      reframer.push(
        Array.from({ length: 50 }, (_, n) => (n % 2 ? a() : b())),
        0,
      );
    const { packets, runs } = reframer.poll(10);
    expect(packets.length).toBe(3000);
    expect(runs.map((run) => run.count)).toEqual([1500, 1500]);
    reframer.close();
  });

  test('thinned ACKs come back separately', () => {
    const ack = (sequence: number) => frame({ protocol: 6, flags: 0x10, sequence, payload: 0 });
    const reframer = new Reframer({ delayNs: 10, ackThinning: true });
    const acks = [1, 1, 1].map((_, i) => {
      const bytes = Buffer.from(ack(1));
      bytes.writeUInt32BE(1000 + i * 100, 14 + 20 + 8);
      return bytes;
    });
    reframer.push(acks, 0);
    const out = reframer.poll(10).packets;
    const thinned = reframer.takeThinned();
    expect([...out, ...thinned].length).toBe(3);
    expect(out).toContain(acks[2]);
    // The first is kept too: a sender learns from when it comes.
    expect(thinned).toEqual([acks[1]]);
    expect(reframer.stats().packetsThinned).toBe(1);
    reframer.close();
  });
});

describe('errors', () => {
  const badOptions: readonly [string, ReframerOptions][] = [
    ['policy', { policy: 'fast' as never }],
    ['key', { key: '4tuple' as never }],
    ['delayNs', { delayNs: -1 }],
    ['delayNs', { delayNs: 1.5 }],
    ['delayNs', { delayNs: 2e9 }],
    ['maxPackets', { maxPackets: 31 }],
    ['maxBurst', { maxBurst: 0 }],
    ['bypass', { bypass: ['syn', 'fin' as never] }],
    ['early', { early: 'fin' as never }],
    ['headerBytes', { headerBytes: 10 }],
    ['rules[0].address', { rules: [{ address: '10.0.0', delayNs: 0 }] }],
    ['rules[0].address', { rules: [{ address: '10.0.0.0/33', delayNs: 0 }] }],
    ['rules[1].port', { rules: [{ delayNs: 0 }, { port: [20, 10], delayNs: 0 }] }],
    ['rules', { rules: Array.from({ length: 17 }, () => ({ delayNs: 0 })) }],
    ['delay', { delay: 5 } as never],
  ];
  test.each(badOptions)('option %s is named', (option, options) => {
    let caught: unknown;
    try {
      new Reframer(options);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ReframerError);
    expect(caught).toMatchObject({ code: 'bad-option', option });
  });

  test('bursts, times and use after close', () => {
    const reframer = new Reframer<Uint8Array>();
    expect(codeOf(() => reframer.push(['text' as never], 0))).toBe('bad-burst');
    expect(codeOf(() => reframer.push([{ data: a(), hash: 1 }, a()] as never, 0))).toBe(
      'bad-burst',
    );
    expect(
      codeOf(() =>
        reframer.pushPacked({ data: a(), offsets: Uint32Array.from([0, 4000]), handles: [a()] }, 0),
      ),
    ).toBe('bad-burst');
    expect(
      codeOf(() =>
        reframer.pushPacked({ data: a(), offsets: Uint32Array.from([0, 4, 8]), handles: [a()] }, 0),
      ),
    ).toBe('bad-burst');
    expect(codeOf(() => reframer.push([a()], -1))).toBe('bad-time');
    expect(codeOf(() => reframer.poll(Number.NaN))).toBe('bad-time');
    expect(codeOf(() => reframer.setPolicy('fixed', -1))).toBe('bad-option');
    expect(reframer.stats().packetsIn).toBe(0);
    reframer.close();
    reframer.close();
    expect(codeOf(() => reframer.poll(0))).toBe('closed');
    expect(codeOf(() => reframer.stats())).toBe('closed');
  });

  test('hashes: all packets of an instance or none, across bursts too, and 32 bits', () => {
    type Hashed = { data: Uint8Array; hash?: number; wireLength?: number; n: number };
    const reframer = new Reframer<Hashed>({ maxBurst: 2, delayNs: 1000 });
    const data = a();
    expect(reframer.push([], 0)).toBe(0);
    expect(reframer.push([{ data, n: 1 }], 0)).toBe(1);
    // One flow: grouped by another hash, these would leave before the first.
    expect(
      codeOf(() =>
        reframer.push(
          [
            { data, hash: 7, n: 2 },
            { data, hash: 7, n: 3 },
          ],
          0,
        ),
      ),
    ).toBe('bad-burst');
    expect(
      codeOf(() =>
        reframer.push(
          [
            { data, n: 2 },
            { data, hash: 7, n: 3 },
          ],
          0,
        ),
      ),
    ).toBe('bad-burst');
    expect(
      codeOf(() =>
        reframer.pushPacked(
          {
            data,
            offsets: Uint32Array.of(0, data.length),
            handles: [{ data, n: 2 }],
            hashes: Uint32Array.of(7),
          },
          0,
        ),
      ),
    ).toBe('bad-burst');
    expect(reframer.push([{ data, n: 2 }], 0)).toBe(1);
    expect(reframer.drain(0).packets.map(({ n }) => n)).toEqual([1, 2]);
    reframer.close();
    const hashed = new Reframer<Hashed>();
    for (const hash of [
      1.5,
      -1,
      2 ** 32,
      Number.NaN,
      Infinity,
      '7' as never,
      null as never,
      7n as never,
    ]) {
      expect(
        codeOf(() => hashed.push([{ data, hash, n: 0 }], 0)),
        String(hash),
      ).toBe('bad-burst');
    }
    // What was refused does not decide.
    expect(
      hashed.push(
        [
          { data, hash: 0, n: 1 },
          { data, hash: 2 ** 32 - 1, n: 2 },
        ],
        0,
      ),
    ).toBe(2);
    expect(codeOf(() => hashed.push([{ data, n: 3 }], 0))).toBe('bad-burst');
    expect(hashed.stats().packetsIn).toBe(2);
    hashed.close();
  });

  test('what is no packet, no length, no column', () => {
    const reframer = new Reframer<never>();
    const data = a();
    for (const packet of [
      null,
      undefined,
      5,
      'text',
      {},
      { data: 'text' },
      { data: null },
      { data, wireLength: -1 },
      { data, wireLength: 2 ** 32 },
      { data, wireLength: 0.5 },
    ]) {
      expect(
        codeOf(() => reframer.push([packet as never], 0)),
        JSON.stringify(packet),
      ).toBe('bad-burst');
    }
    for (const packets of [null, undefined, 'text', { length: 1 }])
      expect(codeOf(() => reframer.push(packets as never, 0))).toBe('bad-burst');
    const one = { data, offsets: Uint32Array.of(0, 60), handles: [data] };
    for (const burst of [
      null,
      undefined,
      {},
      { ...one, data: [1, 2] },
      { ...one, offsets: [0, 60] },
      { ...one, offsets: new Uint32Array(0) },
      { ...one, handles: null },
      { ...one, handles: [] },
      { ...one, hashes: [7] },
      { ...one, hashes: Float64Array.of(1.5) },
      { ...one, hashes: new Uint32Array(2) },
      { ...one, wireLengths: [60] },
      { ...one, wireLengths: null },
    ]) {
      expect(
        codeOf(() => reframer.pushPacked(burst as never, 0)),
        JSON.stringify(burst),
      ).toBe('bad-burst');
    }
    for (const now of [1.5, -1n, 2n ** 64n, '5'])
      expect(codeOf(() => reframer.push([], now as never))).toBe('bad-time');
    expect(reframer.stats().packetsIn).toBe(0);
    reframer.close();
  });

  test('maxPackets is what is inside without a poll, and what waits after one', () => {
    const reframer = new Reframer({ maxPackets: 4096, delayNs: 1e9 });
    const frames = Array.from({ length: 6400 }, (_, i) => frame({ source: i % 500 }));
    let pushed = 0;
    for (let at = 0; at < frames.length; at += 64)
      pushed += reframer.push(frames.slice(at, at + 64), 0);
    expect(pushed).toBe(4096);
    expect(reframer.stats().packetsHeld).toBe(4096);
    expect(reframer.push(frames, 0)).toBe(0);
    // Nothing is due, so nothing comes; then a burst is taken whole, and as many leave early.
    expect(reframer.poll(0).packets.length).toBe(0);
    expect(reframer.push(frames.slice(0, 64), 0)).toBe(64);
    expect(reframer.poll(0).packets.length).toBeGreaterThanOrEqual(64);
    expect(reframer.stats()).toMatchObject({ packetsHeldMax: 4096 });
    expect(reframer.stats().packetsHeld).toBeLessThanOrEqual(4096);
    reframer.drain(0);
    expect(reframer.push(frames, 0)).toBe(4096);
    reframer.close();
  });

  test('a library that is not there: what was tried, and the next step', () => {
    process.env['REFRAMER_TEST_FILE'] = '/nonexistent/libreframer.so';
    try {
      locate({ variable: 'REFRAMER_TEST_FILE', file: 'libreframer.so' });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(NativeError);
      expect(error).toMatchObject({
        code: 'native-missing',
        attempts: ['REFRAMER_TEST_FILE=/nonexistent/libreframer.so: no such file'],
      });
    } finally {
      delete process.env['REFRAMER_TEST_FILE'];
    }
    expect(() => locate({ variable: 'REFRAMER_TEST_FILE', file: 'absent.so' })).toThrow(/setup/);
  });

  test('a burst longer than there is room for is accepted from the front', () => {
    const reframer = new Reframer({ maxPackets: 32, delayNs: 1e6 });
    const frames = Array.from({ length: 100 }, a);
    const accepted = reframer.push(frames, 0);
    expect(accepted).toBe(32);
    const first = reframer.drain(0).packets;
    expect(first).toEqual(frames.slice(0, accepted));
    expect(reframer.push(frames.slice(accepted, accepted + 32), 0)).toBe(32);
    reframer.close();
  });
});
