// What the bench commands share: lists from the command line, and rows that outlive an interruption.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { reframer, reframerJson, temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

interface Row {
  contender: string;
  workload: string;
  flows: number;
  threads: number;
  mops: number;
  boundMops: number | null;
}

interface StageRow {
  traffic: string;
  flows: number;
  burst: number;
  inFlight: number;
  stride: number;
  touchedKib: number;
  nicHash: boolean;
  nsPerPacket: number;
  boundNsPerPacket: number;
  packetsPerSample: number;
  slfIn: number;
  slfOut: number;
}

describe('bench reframer', () => {
  test('measures every combination of the lists that it is given', async () => {
    const { rows } = await reframerJson<{ rows: StageRow[] }>([
      'bench',
      'reframer',
      '--quick',
      '--traffic',
      'trains,uniform',
      '--bursts',
      '8,100',
      '--strides',
      '2048',
      '--touched-kib',
      '0,16',
      '--quiet',
    ]);
    expect(rows.map((r) => `${r.traffic} ${r.burst} ${r.touchedKib} ${r.nicHash}`)).toEqual(
      ['trains', 'uniform'].flatMap((t) =>
        [8, 100].flatMap((b) =>
          [0, 16].flatMap((k) => [true, false].map((n) => `${t} ${b} ${k} ${n}`)),
        ),
      ),
    );
    for (const row of rows) {
      expect([row.flows, row.inFlight, row.stride]).toEqual([10_000, 630, 2048]);
      expect(row.packetsPerSample % row.burst).toBe(0);
      expect(row.nsPerPacket).toBeGreaterThan(0);
      expect(row.boundNsPerPacket).toBeGreaterThan(0);
      // Trains have what a hold can group; of 10 k flows by chance, 630 packets hardly have.
      if (row.traffic === 'trains') expect(row.slfOut).toBeGreaterThan(2 * row.slfIn);
      else expect(row.slfOut).toBeLessThan(1.2);
    }
  });

  test('bursts bring 1.3 packets in a row, campus traffic has flows of its own', async () => {
    const { rows } = await reframerJson<{ rows: StageRow[] }>([
      'bench',
      'reframer',
      '--quick',
      '--traffic',
      'bursts,campus',
      '--quiet',
    ]);
    expect(rows.map((r) => r.traffic)).toEqual(['bursts', 'bursts', 'campus', 'campus']);
    for (const row of rows.slice(0, 2)) expect(row.slfIn).toBeCloseTo(1.3, 1);
    for (const row of rows.slice(2)) expect(row.slfOut).toBeGreaterThan(row.slfIn);
  });

  test.each([
    ['--traffic', 'all', /uniform, bursts, trains, campus/],
    ['--bursts', '0', /bursts/],
    ['--bursts', '513', /bursts/],
    ['--strides', '2000', /strides/],
    ['--in-flight', '16', /--in-flight is 16, must be/],
    ['--touched-kib', 'some', /--touched-kib: 'some'/],
  ])('%s %s is a usage error that says what is wrong', async (option, value, message) => {
    const { code, stdout, stderr } = await reframer(['bench', 'reframer', option, value]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});

describe('bench conntrack', () => {
  test('measures the lists that it is given, in one order', async () => {
    const { rows } = await reframerJson<{ rows: Row[] }>([
      'bench',
      'conntrack',
      '--quick',
      '--flows',
      '1k,2k',
      '--workloads',
      'misses,trace,hits',
      '--contenders',
      'burst-table,chaining',
      '--depths',
      '32',
      '--look-ahead',
      '0',
      '--quiet',
    ]);
    expect(rows.map((r) => `${r.flows} ${r.workload} ${r.contender}`)).toEqual(
      [1000, 2000].flatMap((flows) =>
        ['misses', 'hits', 'trace'].flatMap((w) =>
          ['burst-table', 'chaining'].map((c) => `${flows} ${w} ${c}`),
        ),
      ),
    );
    for (const row of rows) {
      expect(row.threads).toBe(1);
      expect(row.mops).toBeGreaterThan(0);
      expect(row.boundMops).toBeGreaterThan(0);
    }
  });

  test('every table takes as many keys at once as asked; those that cannot say how many', async () => {
    const { rows } = await reframerJson<{ rows: (Row & { depth: number })[] }>([
      'bench',
      'conntrack',
      '--quick',
      '--flows',
      '1k',
      '--workloads',
      'hits',
      '--contenders',
      'burst-table,cuckoopp-burst,cuckoopp',
      '--depths',
      '1,128',
      '--look-ahead',
      '0',
      '--quiet',
    ]);
    expect(rows.map((r) => [r.contender, r.depth])).toEqual([
      ['burst-table', 1],
      ['cuckoopp-burst', 1],
      ['cuckoopp', 1],
      ['burst-table', 128],
      ['cuckoopp-burst', 128],
      ['cuckoopp', 1],
    ]);
  });

  test('the next keys ahead, a churned table, equal memory: those that can, on equal terms', async () => {
    const { rows } = await reframerJson<{
      rows: (Row & { lookAhead: boolean; bytesPerFlow: number })[];
    }>([
      ...['bench', 'conntrack', '--quick', '--flows', '64k', '--depths', '32', '--quiet'],
      ...['--workloads', 'equal-memory,churned', '--look-ahead', '0,1'],
      ...['--contenders', 'burst-table,cuckoopp-timers-burst,cuckoopp-burst,chaining-burst'],
    ]);
    const named = (lookAhead: boolean): string[] =>
      rows
        .filter((row) => row.lookAhead === lookAhead)
        .map(({ workload, contender }) => `${workload} ${contender}`);
    const able = ['equal-memory burst-table', 'equal-memory cuckoopp-burst'];
    const churned = ['burst-table', 'cuckoopp-timers-burst', 'cuckoopp-burst'].map(
      (name) => `churned ${name}`,
    );
    expect(named(true)).toEqual([...able, ...churned]);
    expect(named(false)).toEqual([
      ...[...able, 'equal-memory chaining-burst'],
      ...[...churned, 'churned chaining-burst'],
    ]);
    const [ours, theirs] = rows.filter((row) => row.workload === 'equal-memory');
    // A table this small takes its memory in pages of 2 MiB.
    expect(ours?.bytesPerFlow).toBeLessThan(1.25 * (theirs?.bytesPerFlow ?? 0));
  });

  test('hostile keys: those of one CRC, and those of one NIC hash beside ordinary ones', async () => {
    const { rows } = await reframerJson<{ rows: (Row & { refusedPercent: number })[] }>([
      'bench',
      'conntrack',
      '--quick',
      '--workloads',
      'hostile',
      '--contenders',
      'burst-table',
      '--depths',
      '128',
      '--quiet',
    ]);
    expect(rows.map((r) => [r.workload, r.contender, r.refusedPercent])).toEqual([
      ['hostile', 'burst-table', 0],
      ['nic', 'burst-table-nic', 0],
      ['nic-hostile', 'burst-table-nic', 0],
    ]);
  });

  test.each([
    ['--flows', '10', /flows/],
    ['--depths', '257', /depths/],
    ['--flows', 'many', /--flows: 'many'/],
    ['--workloads', 'all', /hits, misses, equal-memory/],
    ['--contenders', 'mine', /mine/],
  ])('%s %s is a usage error that says what there is', async (option, value, message) => {
    const { code, stdout, stderr } = await reframer(['bench', 'conntrack', option, value]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('ended by Ctrl-C it shows the rows that it has', async () => {
    const row = {
      contender: 'mine',
      workload: 'hits',
      flows: 1000,
      threads: 1,
      depth: 32,
      mops: 7,
      mopsLow: 6,
      mopsHigh: 8,
      boundMops: 9,
      bytesPerFlow: 48,
    };
    const lab = folder.file('lab.mjs');
    // The signal comes when the row is on its way, however slow the machine is.
    writeFileSync(
      lab,
      `#!${process.execPath}
process.stdout.write(${JSON.stringify(`${JSON.stringify({ row })}\n`)}, () =>
  setTimeout(() => process.kill(process.ppid, 'SIGINT'), 500));
setTimeout(() => undefined, 60_000);
`,
      { mode: 0o755 },
    );
    for (const json of [false, true]) {
      const { code, stdout, stderr } = await reframer(
        ['bench', 'conntrack', ...(json ? ['--json'] : [])],
        { env: { REFRAMER_LAB: lab } },
      );
      expect(code).toBe(130);
      expect(stderr).toContain('unfinished: 1 rows');
      if (json) expect(JSON.parse(stdout)).toEqual({ rows: [row], interrupted: true });
      else expect(stdout).toMatch(/mine\s+32\s+7\.0\s+6\.0 to 8\.0/);
    }
  });
});

describe('bench api', () => {
  test('gives a row a step and a burst, and leaves nothing behind', async () => {
    const { rows } = await reframerJson<{
      rows: { step: string; burst: number; nsPerPacket: number; packets: number }[];
    }>(['bench', 'api', '--quick', '--packets', '3k', '--bursts', '16', '--quiet']);
    expect(rows.map(({ step }) => step)).toEqual([
      'capture',
      'keys',
      'hashes',
      'track',
      'reframe',
      'write',
      'capture to flows, one thread',
      'capture to flows, read ahead',
    ]);
    for (const row of rows) expect(row).toMatchObject({ burst: 16, packets: 3000 });
    expect(rows[0]?.nsPerPacket).toBeGreaterThan(0);
  });
});
