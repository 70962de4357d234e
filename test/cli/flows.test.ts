// `reframer flows` against tshark's conversation statistics.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { reframerJson, sharedFolder, skipSuite } from '../helpers/cli.js';

interface Flow {
  protocol: string | number;
  a: string;
  b: string;
  packetsAB: number;
  bytesAB: number;
  packetsBA: number;
  bytesBA: number;
  start: number;
  duration: number;
}

interface Conversation {
  /** Both ends in a fixed order, with what each sent. */
  ends: string;
  sent: string;
  start: number;
  duration: number;
}

interface End {
  end: string;
  packets: number;
  bytes: string;
}

function conversation(both: [End, End], start: number, duration: number): Conversation {
  const ends = both.sort((x, y) => (x.end < y.end ? -1 : 1));
  return {
    ends: ends.map(({ end }) => end).join(' '),
    sent: ends.map(({ packets, bytes }) => `${packets} of ${bytes}`).join(', '),
    start,
    duration,
  };
}

const inOrder = (conversations: Conversation[]): Conversation[] =>
  conversations.sort((x, y) => (x.ends < y.ends ? -1 : x.ends > y.ends ? 1 : x.start - y.start));

// tshark cuts thousands off from 10,000 on.
function rounded(bytes: number): string {
  if (bytes < 1e4) return `${bytes} bytes`;
  return bytes < 1e7 ? `${Math.floor(bytes / 1e3)} kB` : `${Math.floor(bytes / 1e6)} MB`;
}

function ours(flows: readonly Flow[], protocol: string): Conversation[] {
  const end = (text: string, packets: number, bytes: number): End => ({
    end: text.replace(/[[\]]/g, ''),
    packets,
    bytes: rounded(bytes),
  });
  return inOrder(
    flows
      .filter((flow) => flow.protocol === protocol)
      .map((flow) =>
        conversation(
          [end(flow.a, flow.packetsAB, flow.bytesAB), end(flow.b, flow.packetsBA, flow.bytesBA)],
          flow.start,
          flow.duration,
        ),
      ),
  );
}

function run(args: readonly string[]): string[] {
  return execFileSync('tshark', ['-n', ...args, '-o', 'tcp.relative_sequence_numbers:false'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  }).split('\n');
}

/** Conversations of TCP and of UDP. */
function tshark(file: string): Record<string, Conversation[]> {
  const row =
    /^(\S+)\s+<->\s+(\S+)\s+(\d+) (\d+ \w+)\s+(\d+) (\d+ \w+)\s+\d+ \d+ \w+\s+([-\d.]+)\s+([\d.]+)/;
  const found: Record<string, Conversation[]> = { tcp: [], udp: [] };
  let protocol = '';
  for (const line of run(['-q', '-r', file, '-z', 'conv,tcp', '-z', 'conv,udp'])) {
    protocol = /^(TCP|UDP) Conversations/.exec(line)?.[1]?.toLowerCase() ?? protocol;
    // Frames towards the first come first.
    const [match, a = '', b = '', toA, bytesToA = '', toB, bytesToB = '', start, duration] =
      row.exec(line) ?? [];
    if (match === undefined) continue;
    found[protocol]?.push(
      conversation(
        [
          { end: a, packets: Number(toB), bytes: bytesToB },
          { end: b, packets: Number(toA), bytes: bytesToA },
        ],
        Number(start),
        Number(duration),
      ),
    );
  }
  for (const conversations of Object.values(found)) inOrder(conversations);
  return found;
}

/**
 * Ends of TCP conversations that tshark does not count in full: it leaves out segments whose options
 * the capture cuts off, and first fragments.
 */
function leftOut(file: string): Set<string> {
  const fields = ['ip.src', 'tcp.srcport', 'ip.dst', 'tcp.dstport', 'ip.proto'].flatMap((field) => [
    '-e',
    field,
  ]);
  const rows = run([
    '-r',
    file,
    '-o',
    'ip.defragment:FALSE',
    '-Y',
    'tcp and (_ws.short or tcp.hdr_len == 0 or ip.flags.mf == 1)',
    '-T',
    'fields',
    ...fields,
  ]);
  return new Set(
    rows.flatMap((line) => {
      const [source = '', sourcePort = '', destination = '', destinationPort = ''] =
        line.split('\t');
      return source === ''
        ? []
        : [[`${source}:${sourcePort}`, `${destination}:${destinationPort}`].sort().join(' ')];
    }),
  );
}

/** Captures that do so; of the others every conversation is compared. */
const cut: ReadonlySet<string> = new Set(['isp-dsl-2010-wits-10k.pcap', 'mix-ndpi-apps-30s.pcap']);

/**
 * Captures in which ends that have a connection send a SYN with a number of its own. To tshark a conversation
 * begins there; nf_conntrack leaves it to the answer, and so do we: the SYN belongs to the open connection
 * (in ESTABLISHED it is ignored from the originator and invalid from the other). Of ends with several
 * conversations only the sums are compared there.
 */
const reopened: ReadonlySet<string> = new Set(['mix-iot-devices-60s.pcap']);

/** Packets that each pair of ends sent, over all its conversations. */
function sums(conversations: readonly Conversation[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { ends, sent } of conversations) {
    const packets = [...sent.matchAll(/(\d+) of /g)].map((match) => Number(match[1]));
    const before = found.get(ends) ?? [0, 0];
    found.set(
      ends,
      before.map((sum, i) => sum + (packets[i] ?? NaN)),
    );
  }
  return found;
}

function severalOf(conversations: readonly Conversation[]): Set<string> {
  const seen = new Set<string>();
  return new Set(
    conversations.flatMap(({ ends }) => (seen.size === seen.add(ends).size ? [ends] : [])),
  );
}

const hasTshark = spawnSync('tshark', ['--version']).status === 0;

describe('flows', () => {
  if (!hasTshark)
    return skipSuite('tshark is not installed: flows are not compared with its conversations');
  if (sharedFolder === undefined)
    return skipSuite('no shared captures beside the clone: flows are not compared with tshark');
  const folder = join(sharedFolder, 'traces', 'real');
  const captures = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.pcap'))
    : [];
  if (captures.length === 0)
    return skipSuite('none of the shared captures is there: flows are not compared with tshark');
  // Packets, bytes, start and duration of every conversation.
  test.each(captures)('agrees with tshark on %s', async (name) => {
    const file = join(folder, name);
    const { flows } = await reframerJson<{ flows: Flow[] }>(['flows', file]);
    const told = tshark(file);
    const skipped = cut.has(name) ? leftOut(file) : new Set<string>();
    let compared = 0;
    for (const protocol of ['tcp', 'udp']) {
      const several =
        reopened.has(name) && protocol === 'tcp'
          ? severalOf(told[protocol] ?? [])
          : new Set<string>();
      const isOfSeveral = ({ ends }: Conversation): boolean => several.has(ends);
      expect(sums(ours(flows, protocol).filter(isOfSeveral))).toEqual(
        sums((told[protocol] ?? []).filter(isOfSeveral)),
      );
      const counted = ({ ends }: Conversation): boolean =>
        !several.has(ends) && (protocol === 'udp' || !skipped.has(ends));
      const expected = (told[protocol] ?? []).filter(counted);
      const got = ours(flows, protocol).filter(counted);
      expect(got.map(({ ends, sent }) => `${ends}: ${sent}`)).toEqual(
        expected.map(({ ends, sent }) => `${ends}: ${sent}`),
      );
      // tshark prints four decimals of durations.
      const late = got.filter(
        ({ start, duration }, i) =>
          Math.abs(start - (expected[i]?.start ?? NaN)) > 1e-6 ||
          Math.abs(duration - (expected[i]?.duration ?? NaN)) > 1.01e-4,
      );
      expect(late).toEqual([]);
      compared += got.length;
    }
    expect(compared).toBeGreaterThan(skipped.size);
  });
});
