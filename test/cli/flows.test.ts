// `reframer flows` against tshark's conversation statistics.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
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
  duration: number;
}

/** One line a conversation: both ends in a fixed order, with what each sent. */
type Conversations = string[];

function ours(flows: readonly Flow[], protocol: string): Conversations {
  return flows
    .filter((flow) => flow.protocol === protocol)
    .map((flow) => {
      const ends = [
        { end: flow.a.replace(/[[\]]/g, ''), packets: flow.packetsAB, bytes: flow.bytesAB },
        { end: flow.b.replace(/[[\]]/g, ''), packets: flow.packetsBA, bytes: flow.bytesBA },
      ];
      return line(ends);
    })
    .sort();
}

function line(ends: { end: string; packets: number; bytes: number }[]): string {
  return ends
    .sort((x, y) => (x.end < y.end ? -1 : 1))
    .map(({ end, packets, bytes }) => `${end} sent ${packets}/${bytes}`)
    .join(', ');
}

function tshark(file: string, protocol: string): Conversations {
  const text = execFileSync('tshark', ['-n', '-q', '-r', file, '-z', `conv,${protocol}`, '-o', 'tcp.relative_sequence_numbers:false'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  });
  const units: Readonly<Record<string, number>> = { bytes: 1, kB: 1000, MB: 1e6 };
  return text
    .split('\n')
    .map((row) => /^(\S+)\s+<->\s+(\S+)\s+(\d+) (\d+) (\w+)\s+(\d+) (\d+) (\w+)\s/.exec(row))
    .filter((match) => match !== null)
    .map((m) =>
      line([
        // tshark: frames towards a come first.
        { end: m[1] ?? '', packets: Number(m[6]), bytes: Number(m[7]) * (units[m[8] ?? ''] ?? NaN) },
        { end: m[2] ?? '', packets: Number(m[3]), bytes: Number(m[4]) * (units[m[5] ?? ''] ?? NaN) },
      ]),
    )
    .sort();
}

const captures = [
  'lab-httpload-onvm-14k.pcap',
  'ics-modbus-12k.pcap',
  'host-tls-ipv6-7k.pcap',
  'ddos-synack-reflection-8k.pcap',
  'host-web-quic-2015-4k.pcap',
];
const hasTshark = spawnSync('tshark', ['--version']).status === 0;

describe('flows', () => {
  if (!hasTshark) return skipSuite('tshark is not installed');
  if (sharedFolder === undefined) return skipSuite('no shared captures beside the clone');
  const folder = join(sharedFolder, 'traces');
  const present = captures.map((name) => join(folder, 'real', name)).filter((path) => existsSync(path));
  if (present.length === 0) return skipSuite('none of the captures is there');
  test.each(present)('agrees with tshark on %s', async (file) => {
    const { flows } = await reframerJson<{ flows: Flow[] }>(['flows', file]);
    for (const protocol of ['tcp', 'udp']) {
      const expected = tshark(file, protocol);
      const got = ours(flows, protocol);
      // Packets of both directions; tshark rounds bytes to kB from 10,000 on.
      expect(got.length).toBe(expected.length);
      expect(got.map((text) => text.replace(/\/\d+/g, ''))).toEqual(expected.map((text) => text.replace(/\/\d+/g, '')));
    }
  });
});
