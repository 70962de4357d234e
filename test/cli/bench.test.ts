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

describe('bench conntrack', () => {
  test('measures the lists that it is given, in one order', async () => {
    const { rows } = await reframerJson<{ rows: Row[] }>(['bench', 'conntrack', '--quick', '--flows', '1k,2k', '--workloads', 'misses,trace,hits', '--contenders', 'burst-table,chaining', '--quiet']);
    expect(rows.map((r) => `${r.flows} ${r.workload} ${r.contender}`)).toEqual([1000, 2000].flatMap((flows) => ['misses', 'hits', 'trace'].flatMap((w) => ['burst-table', 'chaining'].map((c) => `${flows} ${w} ${c}`))));
    for (const row of rows) {
      expect(row.threads).toBe(1);
      expect(row.mops).toBeGreaterThan(0);
      expect(row.boundMops).toBeGreaterThan(0);
    }
  });

  test('hostile keys: those of one CRC, and those of one NIC hash beside ordinary ones', async () => {
    const { rows } = await reframerJson<{ rows: (Row & { refusedPercent: number })[] }>(['bench', 'conntrack', '--quick', '--workloads', 'hostile', '--contenders', 'burst-table-long', '--quiet']);
    expect(rows.map((r) => [r.workload, r.contender, r.refusedPercent])).toEqual([['hostile', 'burst-table-long', 0], ['nic', 'burst-table-nic', 0], ['nic-hostile', 'burst-table-nic', 0]]);
  });

  test.each([
    ['--flows', '10', /flows/],
    ['--flows', 'many', /--flows: 'many'/],
    ['--workloads', 'all', /hits, misses, trace/],
    ['--contenders', 'mine', /mine/],
  ])('%s %s is a usage error that says what there is', async (option, value, message) => {
    const { code, stdout, stderr } = await reframer(['bench', 'conntrack', option, value]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('ended by Ctrl-C it shows the rows that it has', async () => {
    const row = { contender: 'mine', workload: 'hits', flows: 1000, threads: 1, batch: 32, depth: 32, mops: 7, mopsLow: 6, mopsHigh: 8, boundMops: 9, bytesPerFlow: 48 };
    const lab = folder.file('lab.mjs');
    writeFileSync(lab, `#!${process.execPath}\nprocess.stdout.write(${JSON.stringify(`${JSON.stringify({ row })}\n`)});\nsetTimeout(() => undefined, 60_000);\n`, { mode: 0o755 });
    for (const json of [false, true]) {
      const { code, stdout, stderr } = await reframer(['bench', 'conntrack', ...(json ? ['--json'] : [])], {
        env: { REFRAMER_LAB: lab },
        started: (kill) => setTimeout(() => kill('SIGINT'), 1500),
      });
      expect(code).toBe(130);
      expect(stderr).toContain('unfinished: 1 rows');
      if (json) expect(JSON.parse(stdout)).toEqual({ rows: [row], interrupted: true });
      else expect(stdout).toMatch(/mine\s+32\s+7\.0\s+6\.0 to 8\.0/);
    }
  });
});
