// What people read: units on every number, one packet where there is one, bounds said to be bounds.
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';

import type { Flows, Lane, Sample } from '../../experiments/cli/box.js';
import { summaryLines } from '../../experiments/cli/box-view.js';
import { reframer, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const one = folder.file('one.pcap');
writeFileSync(one, pcap([{ bytes: frame(), timeNs: 1_000_000_000n }]));
const slow = folder.file('slow.pcap');
writeFileSync(
  slow,
  pcap([0, 1, 2].map((i) => ({ bytes: frame(), timeNs: BigInt(i) * 100_000_000_000n }))),
);
const text = async (args: string[]): Promise<string> => {
  const { code, stdout } = await reframer(args);
  expect(code).toBe(0);
  return stdout.replaceAll(/\s+/g, ' ');
};

test('one packet is one packet', async () => {
  expect(await text(['analyze', one])).toContain(
    '1 packet of 1 flow (1 with both directions as one)',
  );
  expect(await text(['flows', one])).toContain('1 packet, 1 connection; 0 packets without');
  expect(await text(['rss', one])).toContain('1 packet on 8 cores, table of 128, 1 epoch of');
  expect(await text(['reorder', one, folder.file('out.pcap')])).toContain('1 packet in, 1 out');
  expect(await text(['generate', folder.file('made.pcap'), '--packets', '1'])).toContain(
    '1 packet, 1 flow,',
  );
});

test('rates far below a kilobit have their unit, and what comes once a minute is not 0', async () => {
  const said = await text(['analyze', slow]);
  expect(said).toMatch(/\(\d+(\.\d+)? bps, 0\.015 packets\/s\)/);
  expect(said).toMatch(/At its own speed \(\d+(\.\d+)? bps, /);
  expect(said).toContain('holding for 16, 64 or 128 µs');
  expect(said).not.toMatch(/\d us\b|bit\/s/);
});

test('what packets were grouped by is not said to be of a NIC where it need not be', () => {
  const lane = { in: 'a', out: 'b', queue: 0, received: 1, sent: 1, bytesIn: 60, nicHash: true };
  const sample = { lanes: [lane], ports: [], missed: 0, noBuffer: 0 } as unknown as Sample;
  const said = (more: Partial<Sample> = {}): string =>
    summaryLines({ ...sample, ...more }).join('\n');
  expect(said()).toContain("grouped by the NIC's hash");
  const flows = { packets: 1, live: 1 } as Flows;
  expect(said({ flows })).toContain('grouped by the hash that chooses its bucket');
  expect(said({ lanes: [{ ...lane, nicHash: false } as unknown as Lane] })).toContain(
    'grouped by a hash of the header',
  );
});

test('an imbalance that the library cuts off is not shown as a measured one', async () => {
  const said = await text(['rss', slow]);
  expect(said).toContain('RSS, table never rewritten above 2,000 %');
  expect(said).toContain('a core had next to nothing to do');
});
