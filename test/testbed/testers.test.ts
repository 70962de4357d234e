// The testers that are not ours: their drivers against peers at the level of the protocol, in peers.ts.
// TRex and Pktgen-DPDK themselves are not packaged here and were not run.
import { afterAll, expect, test } from 'vitest';

import { parseBed } from '../../experiments/testbed/bed.js';
import { openPktgen } from '../../experiments/testbed/pktgen.js';
import { parseTcpreplay } from '../../experiments/testbed/tcpreplay.js';
import { openTrex, udpFrame } from '../../experiments/testbed/trex.js';
import { FrameReader, frame, greeting } from '../../experiments/testbed/zmtp.js';
import { clockWire, pktgenPeer, trexPeer, type Peer } from './peers.js';

const open: Peer[] = [];
afterAll(() => Promise.all(open.map((peer) => peer.close())));

const role = (kind: 'trex' | 'pktgen', address: string): ReturnType<typeof parseBed>['tester'] =>
  parseBed(
    JSON.stringify({ dut: { in: 'net_null0' }, tester: { kind, tx: '0', rx: '1', address } }),
    'bed.json',
  ).tester;

test('TRex: streams, start, counters, latency, order, stop', async () => {
  const peer = await trexPeer(clockWire(0.25));
  open.push(peer);
  const tester = await openTrex(role('trex', peer.address));
  expect(tester.about).toEqual({ tester: 'TRex v3.04' });
  // Its counters go on from one start to the next.
  for (let again = 0; again < 2; again++) {
    await tester.start({ bps: 768 * 8 * 10_000, warmupMs: 50, windowMs: 150 });
    const figures = await tester.stop();
    expect(figures.sent).toBeGreaterThan(1000);
    expect(figures.lost / figures.sent).toBeCloseTo(0.25, 2);
    expect(figures.lost).toBe(figures.sent - figures.received);
    expect(figures.outOfOrder).toBe(2);
    expect(figures.latencyNs).toMatchObject({
      p50: 10_000,
      p95: 20_000,
      p999: 100_000,
      max: 120_000,
    });
    expect(figures.offeredBps).toBeGreaterThan(0);
  }
  expect(peer.asked).toEqual(
    expect.arrayContaining([
      'api_sync_v2',
      'acquire',
      'add_stream',
      'start_traffic',
      'stop_traffic',
    ]),
  );
  expect(peer.asked.filter((method) => method === 'add_stream')).toHaveLength(4);
  expect(peer.state()).toEqual({ sends: false, owned: 2 });
  await tester.close();
  expect(peer.state()).toEqual({ sends: false, owned: 0 });
});

test('a tester of others that is closed while it sends, sends nothing and holds nothing', async () => {
  const trex = await trexPeer(clockWire(0));
  const pktgen = await pktgenPeer(clockWire(0));
  open.push(trex, pktgen);
  for (let again = 0; again < 2; again++) {
    const tester = await openTrex(role('trex', trex.address));
    await tester.start({ bps: 1e6, warmupMs: 50, windowMs: 60_000 });
    expect(trex.state()).toEqual({ sends: true, owned: 2 });
    // Ports are one client's: the next one is told so, and takes none of them along.
    await expect(openTrex(role('trex', trex.address))).rejects.toThrow(/acquire: .*already owned/);
    expect(trex.state().owned).toBe(2);
    await tester.close();
    expect(trex.state()).toEqual({ sends: false, owned: 0 });
  }
  const tester = await openPktgen(role('pktgen', pktgen.address));
  await tester.start({ bps: 1e6, warmupMs: 50, windowMs: 60_000 });
  expect(pktgen.state().sends).toBe(true);
  await tester.close();
  expect(pktgen.state().sends).toBe(false);
});

test('Pktgen: rate as a share of the link, start, counters, stop', async () => {
  const peer = await pktgenPeer(clockWire(0.1));
  open.push(peer);
  const tester = await openPktgen(role('pktgen', peer.address));
  expect(tester.about).toEqual({ tester: '23.10.0' });
  await tester.start({ bps: 5e9, warmupMs: 50, windowMs: 150 });
  const figures = await tester.stop();
  expect(peer.asked).toContain('pktgen.set("0", "rate", 50)');
  expect(peer.asked).toContain('pktgen.stop("0")');
  expect(figures.lost / figures.sent).toBeCloseTo(0.1, 2);
  expect(figures).toMatchObject({ outOfOrder: undefined, latencyNs: undefined });
  await tester.close();
});

test('Pktgen: its rate counts preamble and gap, ours does not', async () => {
  const peer = await pktgenPeer(clockWire(0), 24);
  open.push(peer);
  const tester = await openPktgen(role('pktgen', peer.address));
  await tester.start({ bps: 5e9, warmupMs: 200, windowMs: 200 });
  const { offeredBps } = await tester.stop();
  const rates = peer.asked.flatMap((line) => /"rate", ([\d.]+)/.exec(line)?.[1] ?? []).map(Number);
  // Frames of 100 bytes: 24 % more of the link.
  expect(rates).toEqual([50, expect.closeTo(62, 6)]);
  expect(offeredBps / 5e9).toBeCloseTo(1, 1);
  await tester.close();
});

test('a tester that is not there, or is something else, is one line', async () => {
  const gone = await pktgenPeer(clockWire(0));
  await gone.close();
  await expect(openPktgen(role('pktgen', gone.address))).rejects.toThrow(
    /^tester: Pktgen does not answer at .*; start it with -G$/,
  );
  await expect(openTrex(role('trex', gone.address))).rejects.toThrow(
    /^tester: TRex does not answer at .*; start it with -i$/,
  );
  const other = await pktgenPeer(clockWire(0));
  open.push(other);
  await expect(openTrex(role('trex', other.address))).rejects.toThrow(
    /^tester: TRex: api_sync_v2: /,
  );
});

test('frames of ZMTP come whole from any pieces', () => {
  const bodies = [Buffer.alloc(0), Buffer.from('short'), Buffer.alloc(70_000, 7)];
  const bytes = Buffer.concat([greeting(), ...bodies.map((body) => frame(0, body))]);
  for (const size of [997, 4096, bytes.length]) {
    const reader = new FrameReader();
    const got: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size)
      got.push(...reader.push(bytes.subarray(at, at + size)).map(({ body }) => Buffer.from(body)));
    expect(got.map((body, i) => body.equals(bodies[i] ?? Buffer.from('none')))).toEqual([
      true,
      true,
      true,
    ]);
  }
});

test('the frame that TRex is given has sound lengths and a sound sum', () => {
  const bytes = udpFrame(100);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  expect(sum).toBe(0xffff);
  expect([bytes.readUInt16BE(16), bytes.readUInt16BE(38)]).toEqual([86, 66]);
});

test('what tcpreplay says of itself', () => {
  expect(
    parseTcpreplay(
      'Actual: 9000 packets (4608000 bytes) sent in 1.50 seconds\nRated: 3072000.0 Bps, 24.57 Mbps',
    ),
  ).toEqual({ packets: 9000, bytes: 4_608_000, seconds: 1.5 });
  expect(() => parseTcpreplay('Fatal Error: no such device\n')).toThrow('no such device');
});
