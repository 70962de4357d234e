// `reframer flows --expire` against the kernel's own nf_conntrack where it is not TCP: how long a
// connection is kept after packets of UDP, GRE, ICMP, and stories of SCTP chunks.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { reframerJson, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { pcap } from '../helpers/frames.js';
import { seed as anySeed } from '../helpers/seed.js';

// As in kernel.test.ts: the same stories for every change.
const seed = process.env['REFRAMER_SEED'] === undefined ? 1 : anySeed;

const folder = temporaryFolder();
afterAll(() => folder.remove());

type Packet = [reply: 0 | 1, protocol: number, content: string];
type Story = Packet[];

const bytes = (...parts: readonly (number | readonly [value: number, size: number])[]): string =>
  parts
    .map((part) => (typeof part === 'number' ? ([part, 1] as const) : part))
    .map(([value, size]) => value.toString(16).padStart(2 * size, '0'))
    .join('');

const udp = (reply: 0 | 1): Packet => [
  reply,
  17,
  bytes([reply === 0 ? 1000 : 53, 2], [reply === 0 ? 53 : 1000, 2], [8, 2], [0, 2]),
];
const gre = (reply: 0 | 1): Packet => [reply, 47, bytes([0, 2], [0x0800, 2]) + '00'.repeat(24)];
const echo = (reply: 0 | 1): Packet => [
  reply,
  1,
  bytes(reply === 0 ? 8 : 0, 0, [0, 2], [7, 2], [1, 2]),
];
const other = (reply: 0 | 1): Packet => [reply, 89, '00'.repeat(24)];

// Chunks by number: those that change the state, DATA, SACK, and one that nobody knows.
const chunks = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 192] as const;
const tags = [0x11111111, 0x22222222] as const; // of what each side sends

function sctp(reply: 0 | 1, kinds: readonly number[], tag: number): Packet {
  const opens = (kind: number): boolean => kind === 1 || kind === 2;
  return [
    reply,
    132,
    bytes([reply === 0 ? 1000 : 80, 2], [reply === 0 ? 80 : 1000, 2], [tag, 4], [0, 4]) +
      kinds
        .map(
          (kind) =>
            bytes(kind, 0, [20, 2], [opens(kind) ? tags[reply === 0 ? 1 : 0] : 1, 4]) +
            bytes([65535, 4], [0x00010001, 4], [1, 4]),
        )
        .join(''),
  ];
}

const handshake = (steps: number): Story =>
  [sctp(0, [1], 0), sctp(1, [2], tags[1]), sctp(0, [10], tags[0]), sctp(1, [11], tags[1])].slice(
    0,
    steps,
  );
const sctpPacket = (several: boolean): fc.Arbitrary<Packet> =>
  fc
    .record({
      reply: fc.constantFrom<0 | 1>(0, 1),
      kinds: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...chunks).map((kind) => [kind]) },
        {
          weight: several ? 1 : 0,
          arbitrary: fc.array(fc.constantFrom(...chunks), { minLength: 2, maxLength: 3 }),
        },
      ),
      wrong: fc.nat(9),
    })
    .map(({ reply, kinds, wrong }) =>
      sctp(reply, kinds, wrong === 0 ? 0x33333333 : kinds[0] === 1 ? 0 : tags[reply]),
    );
// Several chunks in a packet only where an association has begun.
const sctpStory = fc
  .tuple(fc.nat(4), fc.array(sctpPacket(true), { maxLength: 5 }), fc.array(sctpPacket(false)))
  .map(([steps, rest, found]): Story => (steps === 0 ? found : [...handshake(steps), ...rest]));

const written: Story[] = [
  [udp(0)],
  [udp(0), udp(1)],
  [udp(1)],
  [udp(0), udp(1), udp(0)],
  [gre(0)],
  [gre(0), gre(1)],
  [gre(0), gre(1), gre(0)],
  [echo(0)],
  [echo(0), echo(1)],
  [other(0)],
  [other(0), other(1)],
  // INIT alone, and sent again
  handshake(1),
  [...handshake(1), ...handshake(1)],
  handshake(4),
  [...handshake(4), sctp(0, [6], 0x33333333)],
  [...handshake(4), sctp(0, [7], tags[0]), sctp(1, [8], tags[1]), sctp(0, [14], tags[0])],
  [...handshake(4), sctp(0, [7], tags[0]), sctp(1, [1], 0)],
  [...handshake(4), sctp(1, [7], tags[1]), sctp(0, [1], 0)],
  // found in the middle: what may begin an association, and what may not
  ...chunks.map((kind): Story => [sctp(0, [kind], tags[0]), sctp(0, [4], tags[0])]),
  [sctp(0, [4], tags[0])],
  [sctp(0, [4], tags[0]), sctp(1, [5], tags[1])],
];
const stories = [
  ...written,
  ...fc.sample(sctpStory, { numRuns: 300, seed }).filter((story) => story.length > 0),
];

function frameOf([reply, protocol, content]: Packet, number: number): Uint8Array {
  const body = Buffer.from(content, 'hex');
  const frame = Buffer.alloc(34 + body.length);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(20 + body.length, 16);
  frame[22] = 64;
  frame[23] = protocol;
  for (const [at, side] of [
    [26, reply === 0 ? 1 : 2],
    [30, reply === 0 ? 2 : 1],
  ] as const)
    frame.writeUInt32BE(0x0a000000 + side * 0x10000 + number, at);
  frame.set(body, 34);
  return frame;
}

// How many connections each story is, with its last packet once more after so many seconds.
async function connections(after: readonly (number | undefined)[]): Promise<number[]> {
  const second = 1_000_000_000;
  const frames = stories.flatMap((story, i) => {
    const seconds = after[i];
    const last = story.at(-1);
    const sent = story.map((packet, at) => ({ packet, ns: at }));
    if (seconds !== undefined && last !== undefined)
      sent.push({ packet: last, ns: story.length + Math.round(seconds * second) });
    return sent.map(({ packet, ns }) => ({
      bytes: frameOf(packet, i + 1),
      timeNs: 1_000_000_000_000n + BigInt(ns),
    }));
  });
  frames.sort((a, b) => Number(a.timeNs - b.timeNs));
  const file = folder.file('others.pcap');
  writeFileSync(file, pcap(frames));
  const { flows } = await reframerJson<{ flows: { a: string }[] }>(['flows', '--expire', file]);
  const counts = stories.map(() => 0);
  for (const { a } of flows) {
    const [, , high = 0, low = 0] = (a.split(':')[0] ?? '').split('.').map(Number);
    const index = high * 256 + low - 1;
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

describe(`other protocols (seed ${seed})`, () => {
  const helper = join(import.meta.dirname, '..', 'helpers', 'kernel-entries.py');
  const kernel = (input: readonly Story[]) =>
    spawnSync('unshare', ['-n', 'python3', helper], {
      input: JSON.stringify(input),
      encoding: 'utf8',
      timeout: 100_000,
    });
  const probe = kernel([]);
  if (probe.status !== 0)
    return skipSuite(
      `no nf_conntrack in a namespace of its own (root, /dev/net/tun, ip, nft, python3 are needed): ${probe.stderr?.trim().split('\n').at(-1) ?? 'unshare is missing'}`,
    );

  test('a connection is over when the kernel forgets it', { timeout: 120_000 }, async () => {
    const { stdout, status, stderr } = kernel(stories);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    // Whole seconds, of which one may have run meanwhile. Where there is no entry nothing is compared.
    const left = (JSON.parse(stdout) as (number | null)[]).map((seconds) => seconds ?? undefined);
    const once = await connections(left.map(() => undefined));
    const early = await connections(left.map((s) => (s === undefined ? s : Math.max(s - 1, 0.1))));
    const late = await connections(left.map((s) => (s === undefined ? s : s + 2.5)));
    stories.forEach((story, i) => {
      if (left[i] === undefined) return;
      const told = `${JSON.stringify(story)}, ${left[i]} s in the kernel`;
      expect(once[i], told).toBe(1);
      expect(early[i], `${told}: too early`).toBe(1);
      expect(late[i], `${told}: too late`).toBe(2);
    });
  });
});
