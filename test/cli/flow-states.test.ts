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

interface Given {
  /** Milliseconds; default: 1 after the last. */
  at?: number;
  /** Default: the next number of its side, the next one of the other. */
  sequence?: number;
  acknowledged?: number;
  payload?: number;
}

/** A packet: who sent it ('>' the first side), its TCP flags or 'udp'. Numbers begin at 1000 and 2000. */
type Packet = readonly ['>' | '<', number | 'udp' | 'gre', Given?];

async function run(
  packets: readonly Packet[],
  ...options: string[]
): Promise<{ flows: Flow[]; warnings: string[] }> {
  const { syn, ack, fin } = flags;
  let ms = 999;
  const next = { '>': 1000, '<': 2000 };
  const frames = packets.map(([side, kind, given = {}]) => {
    ms = given.at ?? ms + 1;
    const there: FrameOptions = {
      source: 1,
      destination: 2,
      sourcePort: 1000,
      destinationPort: 80,
    };
    const ends =
      side === '>' ? there : { source: 2, destination: 1, sourcePort: 80, destinationPort: 1000 };
    const timeNs = BigInt(ms) * 1_000_000n;
    if (kind === 'udp') return { bytes: frame({ ...ends, ...given }), timeNs };
    if (kind === 'gre') {
      const bytes = Buffer.from(frame({ ...ends, payload: 30 }));
      bytes[14 + 9] = 47;
      bytes.writeUInt16BE(0, 14 + 20);
      return { bytes, timeNs };
    }
    const { payload = 0, sequence = next[side] } = given;
    const acknowledged =
      (kind & ack) === 0 ? 0 : (given.acknowledged ?? next[side === '>' ? '<' : '>']);
    if (given.sequence === undefined) next[side] += payload + ((kind & (syn | fin)) === 0 ? 0 : 1);
    return {
      bytes: frame({
        ...ends,
        protocol: 6,
        flags: kind,
        payload,
        sequence,
        acknowledged,
        window: 60_000,
      }),
      timeNs,
    };
  });
  const file = folder.file('written.pcap');
  writeFileSync(file, pcap(frames));
  return reframerJson<{ flows: Flow[]; warnings: string[] }>(['flows', file, ...options]);
}

async function track(packets: readonly Packet[], ...options: string[]): Promise<Flow[]> {
  return (await run(packets, ...options)).flows;
}

const { syn, ack, fin, rst } = flags;
const open: readonly Packet[] = [
  ['>', syn],
  ['<', syn | ack],
  ['>', ack],
];
const states: readonly [string, readonly Packet[]][] = [
  ['syn-sent', [['>', syn]]],
  ['syn-recv', open.slice(0, 2)],
  ['established', open],
  ['fin-wait', [...open, ['>', fin | ack]]],
  ['close-wait', [...open, ['>', fin | ack], ['<', ack]]],
  ['last-ack', [...open, ['>', fin | ack], ['<', ack], ['<', fin | ack]]],
  ['time-wait', [...open, ['>', fin | ack], ['<', ack], ['<', fin | ack], ['>', ack]]],
  ['close', [...open, ['<', rst]]],
  [
    'syn-sent2',
    [
      ['>', syn],
      ['<', syn],
    ],
  ],
  // Captures begin anywhere.
  ['established', [['<', ack]]],
  // What may not begin an entry, and what then does.
  ['none', [['<', syn | ack]]],
  ['none', [['>', fin | ack]]],
  ['none', [['>', rst]]],
  ['none', [['>', 0]]],
  [
    'close-wait',
    [
      ['>', fin | ack],
      ['<', ack],
      ['<', fin | ack],
      ['>', ack],
    ],
  ],
  // A reset outside the window, and one that is earlier than what was acknowledged.
  [
    'established',
    [
      ...open,
      ['>', ack, { payload: 100 }],
      ['<', ack],
      ['>', rst, { sequence: 900_000_000 }],
      ['>', ack, { payload: 100 }],
    ],
  ],
  [
    'established',
    [...open, ['>', ack, { payload: 100 }], ['<', ack], ['>', rst, { sequence: 1050 }]],
  ],
  // A SYN in the middle that nobody answers.
  [
    'established',
    [...open, ['>', syn, { sequence: 900_000_000 }], ['>', ack, { payload: 10 }], ['<', ack]],
  ],
  [
    'established',
    [...open, ['<', syn, { sequence: 900_000_000 }], ['>', ack, { payload: 10 }], ['<', ack]],
  ],
  // Flags that exclude each other.
  ['established', [...open, ['>', syn | fin], ['>', fin], ['>', rst | syn]]],
  [
    'single',
    [
      ['>', 'udp'],
      ['>', 'udp'],
    ],
  ],
  [
    'answered',
    [
      ['>', 'udp'],
      ['<', 'udp'],
    ],
  ],
];

test('every state', async () => {
  for (const [state, packets] of states) {
    const flows = await track(packets);
    expect(
      flows.map((flow) => [flow.state, flow.packetsAB + flow.packetsBA]),
      state,
    ).toEqual([[state, packets.length]]);
  }
});

test('a SYN with a new sequence number begins again on ports whose connection is over, or once it is answered', async () => {
  const begun: Packet = ['>', syn, { sequence: 5000 }];
  const answered: readonly Packet[] = [
    begun,
    ['<', syn | ack, { sequence: 7000, acknowledged: 5001 }],
    ['>', ack, { sequence: 5001, acknowledged: 7001 }],
  ];
  const told = async (...packets: Packet[]): Promise<unknown[]> =>
    (await track(packets)).map(({ state, packetsAB, packetsBA }) => [state, packetsAB, packetsBA]);
  expect(await told(...open, ['<', rst], begun)).toEqual([
    ['close', 2, 2],
    ['syn-sent', 1, 0],
  ]);
  expect(await told(['>', syn], begun)).toEqual([
    ['syn-sent', 1, 0],
    ['syn-sent', 1, 0],
  ]);
  expect(await told(...open, ['>', syn, { sequence: 1000 }])).toEqual([['established', 3, 1]]);
  // In the middle of a connection that lives.
  expect(await told(...open, ...answered)).toEqual([
    ['established', 2, 1],
    ['established', 2, 1],
  ]);
  expect(await told(...open, begun, ['<', ack], ['>', ack])).toEqual([['established', 4, 2]]);
  expect(await told(['<', ack], begun)).toEqual([['established', 1, 1]]);
  expect(await told(['<', ack], ...answered)).toEqual([
    ['established', 1, 0],
    ['established', 2, 1],
  ]);
});

test('times are from the first packet of the capture, and clocks may step back', async () => {
  const [flow] = await track([
    ['>', 'udp', { at: 5000 }],
    ['<', 'udp', { at: 3000 }],
    ['>', 'udp', { at: 6000 }],
  ]);
  expect(flow).toMatchObject({ start: -2, duration: 3, packetsAB: 2, packetsBA: 1 });
});

test('--expire ends what was silent for the timeout that nf_conntrack gives it', async () => {
  const count = async (...packets: Packet[]): Promise<number> =>
    (await track(packets, '--expire')).length;
  const later = (kind: number | 'udp' | 'gre', at: number): Packet => ['>', kind, { at }];
  const s = (seconds: number): number => 1000 + seconds * 1000;
  // Never silent for as long as that, in a capture of so few packets that a burst lasts for an hour.
  const sparse = Array.from({ length: 300 }, (_, i) => later('udp', s(20 * i)));
  expect(await count(...sparse)).toBe(1);
  // A SYN that is sent again and again keeps nothing alive: 120 s after the first.
  expect(await count(['>', syn], later(ack, s(119)))).toBe(1);
  expect(
    await count(['>', syn], ['>', syn, { at: s(100), sequence: 1000 }], later(ack, s(119))),
  ).toBe(1);
  expect(
    await count(['>', syn], ['>', syn, { at: s(100), sequence: 1000 }], later(ack, s(121))),
  ).toBe(2);
  // Five days, or five minutes where an answer or an acknowledgement is missing.
  expect(await count(...open, later(ack, s(400_000)))).toBe(1);
  expect(await count(...open, later(ack, s(432_010)))).toBe(2);
  expect(await count(...open, ['>', ack, { payload: 10 }], later(ack, s(299)))).toBe(1);
  expect(await count(...open, ['>', ack, { payload: 10 }], later(ack, s(301)))).toBe(2);
  expect(await count(...open, ['>', ack, { payload: 10 }], ['<', ack], later(ack, s(301)))).toBe(1);
  expect(await count(['>', ack, { payload: 10 }], later(ack, s(299)))).toBe(1);
  expect(await count(['>', ack, { payload: 10 }], later(ack, s(301)))).toBe(2);
  // What is not of the connection does not prolong it, nor does it end it.
  expect(
    await count(
      ...open,
      ['>', fin | ack],
      ['>', rst, { at: s(100), sequence: 900 }],
      later(ack, s(121)),
    ),
  ).toBe(2);
  // UDP: 30 s; 120 s only of what is answered and still active two seconds after it began.
  expect(await count(['>', 'udp'], later('udp', s(29)))).toBe(1);
  expect(await count(['>', 'udp'], later('udp', s(31)))).toBe(2);
  expect(await count(['>', 'udp'], ['<', 'udp', { at: s(0.1) }], later('udp', s(31)))).toBe(2);
  expect(
    await count(
      ['>', 'udp'],
      ['<', 'udp', { at: s(0.1) }],
      ['>', 'udp', { at: s(1.9) }],
      later('udp', s(33)),
    ),
  ).toBe(2);
  expect(
    await count(
      ['>', 'udp'],
      ['<', 'udp', { at: s(0.1) }],
      ['>', 'udp', { at: s(2.1) }],
      later('udp', s(122)),
    ),
  ).toBe(1);
  expect(
    await count(
      ['>', 'udp'],
      ['<', 'udp', { at: s(0.1) }],
      ['>', 'udp', { at: s(2.1) }],
      later('udp', s(123)),
    ),
  ).toBe(2);
  expect(await count(['>', 'gre'], later('gre', s(31)))).toBe(2);
  expect(await count(['>', 'gre'], ['<', 'gre'], later('gre', s(29)), later('gre', s(208)))).toBe(
    1,
  );
  expect(await count(['>', 'gre'], ['<', 'gre'], later('gre', s(29)), later('gre', s(210)))).toBe(
    2,
  );
  expect((await track([['>', 'udp'], later('udp', s(33))])).length).toBe(1);
});

test('a time far ahead of its neighbours ends nothing but its own connection, and is told', async () => {
  const packets = (...at: number[]): Packet[] =>
    at.map((ms): Packet => ['>', 'udp', { at: 1000 + ms }]);
  const day = 86_400_000;
  const stray: Packet = ['<', 'udp', { at: 1000 + day }];
  const steady: Packet[] = [...packets(0, 10_000), stray, ...packets(20_000, 60_000)];
  const { flows, warnings } = await run(steady, '--expire');
  // Of one connection: the stray's own, a day later; then 40 s of silence.
  expect(flows.length).toBe(3);
  expect(warnings).toEqual([
    expect.stringMatching(/^packet 3 has a time 86390 s ahead of its neighbours/),
  ]);
  expect(await run(packets(0, day, day + 20_000), '--expire')).toMatchObject({ warnings: [] });
  // The clock is set back for good: what follows is measured from there.
  const back = await run(packets(day, day + 1000, 0, 20_000, 60_000), '--expire');
  expect(back.flows.length).toBe(2);
  expect(back.warnings).toEqual([
    expect.stringMatching(/^at packet 3 the time steps back by 86401 s/),
  ]);
  expect((await run(steady)).warnings).toEqual([]);
});
