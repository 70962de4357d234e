// The whole suite on a port: buckets move between cores while packets pass, and a tester beside the
// box finds each of them again, in order.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { natOf, parseRules } from '../../experiments/cli/suite-options.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, reframerJson, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { openBed, processors } from '../helpers/bed.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

test('rules of a firewall are read line by line, and refused with the line', () => {
  expect(parseRules('# all\nallow any any any\n\ndeny tcp 10.0.0.0/8 any 22-23', 'f')).toEqual([
    expect.objectContaining({ allow: true, protocol: 0, lastPort: 65535 }),
    expect.objectContaining({ allow: false, protocol: 6, sourceBits: 8, firstPort: 22 }),
  ]);
  for (const bad of [
    'drop any any any',
    'deny icmp any any',
    'deny tcp 1.2.3 any',
    'deny tcp any any 9-1',
    'deny tcp any any http',
    'deny tcp any any 80,443',
    'deny tcp any any 80-',
    'deny toString any any',
  ])
    expect(() => parseRules(`\n${bad}`, 'f')).toThrow(/^f: line 2: /);
});

test('a prefix of NAT is the addresses that it names', () => {
  expect(natOf('192.0.2.21/28')).toEqual({ natAddress: '192.0.2.16', natAddresses: 16 });
  expect(natOf('192.0.2.21')).toEqual({ natAddress: '192.0.2.21', natAddresses: 1 });
  expect(natOf('10.1.255.255/16')).toEqual({ natAddress: '10.1.0.0', natAddresses: 65536 });
});

test.each([
  ['--nat-address 192.0.2.0/28 --chain firewall', '--nat-address goes with --chain nat'],
  ['--rules none --chain nat', '--rules goes with --chain firewall'],
  ['--buckets 64 --track', '--buckets goes with --balance'],
  ['--shuffle 100 --balance off', '--shuffle goes with --balance'],
  ['--flow-timeout 1s --balance', '--flow-timeout goes with --track or --chain'],
  ['--delay 16us --no-stage', '--delay changes nothing with --no-stage'],
  ['--thin --no-reframe', '--thin changes nothing with --no-stage'],
])('%s is refused: an option would change nothing', async (given, words) => {
  const { code, stderr } = await reframer([
    ...['run', '--in', 'net_null0', '--out', 'net_null1'],
    ...given.split(' '),
  ]);
  expect([code, stderr.trim()]).toEqual([2, `reframer: ${words}`]);
});

test('one that has what it needs is not', async () => {
  const { stderr } = await reframer([
    ...['run', '--in', 'no-such-port', '--out', 'net_null1', '--delay', '16us', '--track'],
    ...['--flows', '1k', '--balance', 'software', '--buckets', '64'],
  ]);
  expect(stderr).not.toContain('goes with');
  expect(stderr).not.toContain('changes nothing');
});

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk')) || processors < 2) {
  skipSuite('the suite on a port was not tested: needs reframer-dpdk and two processors');
} else {
  const tester = (more: object = {}): object => ({
    queues: 2,
    // One wire back: what two queues hand out at a time has no order.
    rxQueues: 1,
    frames: 16_384,
    source: { profile: 'campus' },
    ...more,
  });

  describe('all of it together', { timeout: 120_000 }, () => {
    test.each([
      ['software', { balance: 'software', shuffle: 400, reframe: true }],
      ['software, nothing held', { balance: 'software', shuffle: 400, reframe: false }],
      ['one queue, two cores', { balance: 'software', shuffle: 200, queues: 1 }],
    ] as const)('%s: nothing is lost or reordered while cores come and go', async (_, options) => {
      const bed = await openBed(
        folder.path,
        {
          queues: 2,
          txQueues: 1,
          cores: 2,
          track: true,
          chain: ['nat', 'firewall'],
          natAddress: '192.0.2.0',
          natAddresses: 16,
          // Some hundreds of packets: the tester takes them for under way, so they must be few.
          rules: parseRules('deny any any any 40000-40010', 'f'),
          ...options,
        },
        tester('queues' in options ? { queues: options.queues } : {}),
      );
      await bed.tester.ask({ do: 'start', packets: 300_000, inFlight: 4096, graceMs: 2000 });
      const { result } = await bed.tester.ask({ do: 'stop' });
      const { lanes, flows, balance, lost } = await bed.end();
      const denied = flows?.denied ?? 0;
      expect(result).toMatchObject({ sent: 300_000, outOfOrder: 0, duplicates: 0 });
      expect((result?.received ?? 0) + denied).toBe(300_000);
      expect(lost).toBe(0);
      expect(lanes.reduce((sum, lane) => sum + lane.received, 0)).toBe(300_000);
      expect(balance?.moves).toBeGreaterThan(20);
      expect(balance?.coresChanged).toBeGreaterThan(0);
      expect(balance?.stateErrors).toBe(0);
      expect(flows?.noRoom).toBe(0);
      expect(flows?.packets).toBe(300_000);
      expect(denied).toBeGreaterThan(10);
      expect(flows?.untranslated).toBe(0);
      expect(flows?.translated).toBe(300_000 - denied);
    });

    test('bench suite says what was lost, and what --scaling would need', async () => {
      const record = await reframerJson<Record<string, number>>([
        ...['bench', 'suite', '--packets', '200k', '--moves', '400', '--quiet'],
      ]);
      expect(record).toMatchObject({ packets: 200_000, lost: 0, outOfOrder: 0, duplicates: 0 });
      expect(record.moves).toBeGreaterThan(20);
      const needed = processors + 1;
      const { code, stderr } = await reframer([
        ...['bench', 'suite', '--scaling', '--cores', String(processors)],
      ]);
      expect(code).toBe(3);
      expect(stderr).toContain(`needs ${needed} processors; this process may use ${processors}`);
    });

    test('bench memif measures both ends of the comparison', async () => {
      const { rows } = await reframerJson<{
        rows: { name: string; virtual: number; memif: number }[];
      }>(['bench', 'memif', '--rounds', '1', '--quiet']);
      expect(rows.map(({ name }) => name.split(',')[0])).toEqual([
        'throughput',
        'chain alone',
        'all but the chain',
      ]);
      for (const { virtual, memif } of rows) expect(Math.min(virtual, memif)).toBeGreaterThan(0);
    });
  });
}
