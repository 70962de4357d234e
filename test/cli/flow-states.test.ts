// `reframer flows` on connections written by hand: states as nf_conntrack has them, reuse of ports,
// clocks that step back, timeouts.
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';

import { reframerJson, temporaryFolder } from '../helpers/cli.js';
import { flags, frame, pcap, type FrameOptions } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

interface Flow {
  protocol: string | number;
  state: string;
  packetsAB: number;
  packetsBA: number;
  start: number;
  duration: number;
}

/** A packet: who sent it ('>' the first side), its TCP flags or 'udp', when (default: 1 ms after the last), its sequence number. */
type Packet = readonly ['>' | '<', number | 'udp', { at?: number; sequence?: number }?];

async function track(packets: readonly Packet[], ...options: string[]): Promise<Flow[]> {
  const { syn } = flags;
  let ms = 999;
  const frames = packets.map(([side, kind, { at, sequence } = {}]) => {
    ms = at ?? ms + 1;
    const there: FrameOptions = { source: 1, destination: 2, sourcePort: 1000, destinationPort: 80 };
    const ends = side === '>' ? there : { source: 2, destination: 1, sourcePort: 80, destinationPort: 1000 };
    const what: FrameOptions = kind === 'udp' ? {} : { protocol: 6, flags: kind, sequence: sequence ?? ((kind & syn) !== 0 ? 0 : 1) };
    return { bytes: frame({ ...ends, ...what }), timeNs: BigInt(ms) * 1_000_000n };
  });
  const file = folder.file('written.pcap');
  writeFileSync(file, pcap(frames));
  return (await reframerJson<{ flows: Flow[] }>(['flows', file, ...options])).flows;
}

const { syn, ack, fin, rst } = flags;
const open: readonly Packet[] = [['>', syn], ['<', syn | ack], ['>', ack]];
const states: readonly [string, readonly Packet[]][] = [
  ['syn-sent', [['>', syn]]],
  ['syn-recv', open.slice(0, 2)],
  ['established', open],
  ['fin-wait', [...open, ['>', fin | ack]]],
  ['close-wait', [...open, ['>', fin | ack], ['<', ack]]],
  ['last-ack', [...open, ['>', fin | ack], ['<', ack], ['<', fin | ack]]],
  ['time-wait', [...open, ['>', fin | ack], ['<', ack], ['<', fin | ack], ['>', ack]]],
  ['close', [...open, ['<', rst]]],
  ['syn-sent2', [['>', syn], ['<', syn]]],
  // Captures begin anywhere.
  ['established', [['<', ack]]],
  ['syn-recv', [['<', syn | ack]]],
  ['single', [['>', 'udp'], ['>', 'udp']]],
  ['answered', [['>', 'udp'], ['<', 'udp']]],
];

test('every state', async () => {
  for (const [state, packets] of states) {
    const flows = await track(packets);
    expect(flows.map((flow) => [flow.state, flow.packetsAB + flow.packetsBA]), state).toEqual([[state, packets.length]]);
  }
});

test('a SYN with a new sequence number begins again on old ports, one that comes late does not', async () => {
  const begun: Packet = ['>', syn, { sequence: 5000 }];
  expect((await track([...open, ['<', rst], begun])).map((flow) => flow.state)).toEqual(['close', 'syn-sent']);
  expect((await track([...open, ['>', syn]])).length).toBe(1);
  // frame() acknowledges 0: the side that was not heard yet began at -1.
  expect((await track([['<', syn | ack], ['>', syn, { sequence: 0xffffffff }]])).length).toBe(1);
  expect((await track([['<', ack], begun])).length).toBe(2);
});

test('times are from the first packet of the capture, and clocks may step back', async () => {
  const [flow] = await track([['>', 'udp', { at: 5000 }], ['<', 'udp', { at: 3000 }], ['>', 'udp', { at: 6000 }]]);
  expect(flow).toMatchObject({ start: -2, duration: 3, packetsAB: 2, packetsBA: 1 });
});

test('--expire ends what was silent for the timeout of its state', async () => {
  // 120 s after a SYN, 30 s of one-way UDP, 5 days of an established connection.
  const later = (kind: number | 'udp', at: number): Packet => ['>', kind, { at }];
  expect((await track([['>', syn], later(ack, 119_000)], '--expire')).length).toBe(1);
  expect((await track([['>', syn], later(ack, 123_000)], '--expire')).length).toBe(2);
  expect((await track([['>', 'udp'], later('udp', 33_000)], '--expire')).length).toBe(2);
  expect((await track([['>', 'udp'], later('udp', 33_000)])).length).toBe(1);
  expect((await track([...open, later(ack, 400_000_000)], '--expire')).length).toBe(1);
});
