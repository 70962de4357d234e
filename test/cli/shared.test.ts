// Real captures beside the clone: `analyze` against statistics made by an independent program,
// `reorder` against its promises. Skipped, and said so, where the captures are not there.
import { readdirSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import {
  reframer,
  reframerJson,
  sharedFolder,
  skipSuite,
  temporaryFolder,
} from '../helpers/cli.js';
import { readPcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const real =
  sharedFolder === undefined
    ? []
    : readdirSync(join(sharedFolder, 'traces/real')).filter((name) =>
        /\.pcap(ng)?(\.\w+)?$/.test(name),
      );
const formats = sharedFolder === undefined ? [] : readdirSync(join(sharedFolder, 'traces/formats'));
const path = (set: string, name: string): string => join(sharedFolder ?? '', 'traces', set, name);

interface Analysis {
  packets: number;
  flows: number;
  slf: number;
  durationSeconds: number;
  reuse: Record<string, number>;
}

function statistics(): Map<string, Record<string, string>> {
  const [header = '', ...rows] = readFileSync(
    join(sharedFolder ?? '', 'reference/data/trace-stats.csv'),
    'utf8',
  )
    .trim()
    .split('\n');
  const names = header.split(',');
  return new Map(
    rows.map((row) => {
      const cells = row.split(',');
      return [cells[0] ?? '', Object.fromEntries(names.map((name, i) => [name, cells[i] ?? '']))];
    }),
  );
}

if (sharedFolder === undefined)
  skipSuite(
    'captures beside the clone (../shared/traces) are not there: real traffic was not tested',
  );

describe.skipIf(sharedFolder === undefined)('real captures', () => {
  const expected =
    sharedFolder === undefined ? new Map<string, Record<string, string>>() : statistics();

  test.each(real)('analyze %s', async (name) => {
    const { files } = await reframerJson<{ files: Analysis[] }>(['analyze', path('real', name)]);
    const [found] = files;
    const row = expected.get(name);
    expect(found?.packets).toBeGreaterThan(0);
    // A capture that the table does not know was checked for being readable only.
    if (row === undefined || found === undefined) return;
    expect(found.packets).toBe(Number(row['packets']));
    expect(found.flows).toBe(Number(row['flows_uni']));
    expect(found.slf).toBeCloseTo(Number(row['uni_runlen']), 3);
    expect(found.durationSeconds).toBeCloseTo(Number(row['duration_s']), 5);
    for (const distance of ['1', '4', '16', '64']) {
      const share = found.reuse[distance];
      expect(share, `reuse within ${distance}`).toBeCloseTo(
        Number(row[`uni_reuse<=${distance}`]),
        3,
      );
    }
  });

  const multiset = (file: string): Map<string, number> => {
    const counts = new Map<string, number>();
    for (const { bytes, wire } of readPcap(readFileSync(file)).frames) {
      const digest = createHash('sha1').update(String(wire)).update(bytes).digest('base64');
      counts.set(digest, (counts.get(digest) ?? 0) + 1);
    }
    return counts;
  };

  test.each(real.filter((name) => name.endsWith('.pcap')))('reorder %s', async (name) => {
    const out = folder.file('out.pcap');
    for (const rate of ['native', '40Gbps']) {
      const result = await reframerJson<{
        packetsIn: number;
        packetsOut: number;
        slfIn: number;
        slfOut: number;
        flowsReordered: number;
        holdMaxUs: number;
      }>(['reorder', path('real', name), out, '--rate', rate]);
      expect(result.flowsReordered).toBe(0);
      expect(result.packetsOut).toBe(result.packetsIn);
      expect(result.slfOut).toBeGreaterThanOrEqual(result.slfIn - 1e-9);
      expect(result.holdMaxUs).toBeLessThan(66);
      expect(multiset(out)).toEqual(multiset(path('real', name)));
    }
  });
});

describe.skipIf(sharedFolder === undefined)('formats', () => {
  test('each is read, or refused with one clear error', async () => {
    const { code, stdout } = await reframer([
      'analyze',
      '--json',
      ...formats.map((name) => path('formats', name)),
    ]);
    expect(code).toBe(1);
    const { files, errors } = JSON.parse(stdout) as {
      files: { file: string }[];
      errors: { file: string; code: string; message: string }[];
    };
    expect(files.length + errors.length).toBe(formats.length);
    for (const error of errors) {
      expect(error.code, error.file).not.toBe('lab-died');
      expect(error.message).toContain(error.file);
    }
    const refused = errors.map((error) => basename(error.file));
    // What is named broken is refused (zeros after the records read as empty ones in some readers), and little else.
    const broken = formats.filter((name) => name.startsWith('broken-'));
    expect(broken.filter((name) => !refused.includes(name))).toEqual([]);
    expect(refused.filter((name) => !name.startsWith('broken-'))).toEqual([]);
  }, 240_000);
});
