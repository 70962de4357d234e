// What `flows` shows: order, number, filters, and its three forms of output.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { reframer, reframerJson, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const file = folder.file('flows.pcap');
// Flow n has n packets; odd ones are TCP; one of IPv6 at the end.
const packets = Array.from({ length: 40 }, (_, n) =>
  Array.from({ length: n + 1 }, (_, i) => ({
    bytes: frame({
      source: n + 1,
      sourcePort: 1000 + n,
      protocol: n % 2 === 1 ? 6 : 17,
      payload: 40 - n,
    }),
    timeNs: BigInt(n) * 1_000_000n + BigInt(i) * 1000n,
  })),
).flat();
packets.push({ bytes: frame({ version: 6, source: 9, destination: 8 }), timeNs: 50_000_000n });
writeFileSync(file, pcap(packets));

interface Flow {
  protocol: string;
  a: string;
  packetsAB: number;
  start: number;
}
interface Answer {
  flows: Flow[];
  packets: number;
  shown: number;
  connections: number;
}

const ask = (...options: string[]): Promise<Answer> =>
  reframerJson<Answer>(['flows', file, '--quiet', ...options]);

describe('flows', () => {
  test('--json gives all, in the order of their beginning', async () => {
    const { flows, connections, shown, packets: seen } = await ask();
    expect([flows.length, connections, shown, seen]).toEqual([41, 41, 41, packets.length]);
    expect(flows[0]).toMatchObject({ protocol: 'udp', a: '10.0.0.1:1000', packetsAB: 1, start: 0 });
    expect(flows.map(({ start }) => start)).toEqual(
      flows.map(({ start }) => start).sort((a, b) => a - b),
    );
  });

  test('--sort and --top', async () => {
    const { flows, shown, connections } = await ask('--sort', 'packets', '--top', '3');
    expect(flows.map(({ packetsAB }) => packetsAB)).toEqual([40, 39, 38]);
    expect([shown, connections]).toEqual([3, 41]);
    expect((await ask('--sort', 'duration', '--top', '1')).flows[0]?.packetsAB).toBe(40);
  });

  test('filters', async () => {
    expect((await ask('--protocol', 'tcp')).flows).toHaveLength(20);
    expect((await ask('--protocol', '17', '--port', '1004')).flows.map(({ a }) => a)).toEqual([
      '10.0.0.5:1004',
    ]);
    expect((await ask('--address', '2001:db8::9')).flows.map(({ a }) => a)).toEqual([
      '[2001:db8::9]:1000',
    ]);
    expect((await ask('--address', '10.0.0.7', '--state', 'single')).flows).toHaveLength(1);
    expect((await ask('--state', 'answered')).flows).toEqual([]);
  });

  test('--csv says the same in lines', async () => {
    const { stdout, code } = await reframer(['flows', file, '--csv', '--quiet']);
    expect(code).toBe(0);
    const [head, ...lines] = stdout.trimEnd().split('\n');
    expect(head).toBe('protocol,a,b,state,packetsAB,bytesAB,packetsBA,bytesBA,start,duration');
    expect(lines).toHaveLength(41);
    expect(lines[0]).toBe('udp,10.0.0.1:1000,10.0.0.2:2000,single,1,82,0,0,0,0');
  });

  test('--csv of nothing is the head; of what cannot be read it is nothing', async () => {
    const none = await reframer(['flows', file, '--csv', '--quiet', '--state', 'answered']);
    expect(none.stdout).toBe(
      'protocol,a,b,state,packetsAB,bytesAB,packetsBA,bytesBA,start,duration\n',
    );
    expect(none.code).toBe(0);
    const cut = folder.file('cut.pcap');
    writeFileSync(cut, pcap(packets).subarray(0, -7));
    for (const path of [cut, folder.file('absent.pcap')]) {
      const { code, stdout, stderr } = await reframer(['flows', path, '--csv', '--quiet']);
      expect(stdout).toBe('');
      expect(stderr).toContain(path);
      expect(code).toBe(1);
    }
    const sound = await reframer(['flows', cut, '--csv', '--quiet', '--keep-going']);
    expect(sound.stdout.split('\n').length).toBeGreaterThan(40);
  });

  test('a table shows twenty, those with most bytes first', async () => {
    const { stdout } = await reframer(['flows', file, '--quiet']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(22);
    expect(stdout).toContain('41 connections, 20 of them shown');
  });

  test.each([
    [['--json', '--csv'], 'one of the two'],
    [['--address', 'here'], 'not an IP address'],
    [['--sort', 'size'], 'start, bytes, packets, duration'],
    [['--top', '0'], '--top'],
    [['--state', 'open'], 'established'],
    [['--protocol', 'tpc'], 'tcp, udp, icmp'],
    [['--protocol', '256'], 'up to 255'],
  ])('%j is wrong usage', async (options, says) => {
    const { code, stderr } = await reframer(['flows', file, ...options]);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});
