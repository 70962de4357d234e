// `reframer bench programs`: dpdk-testpmd and Open vSwitch, unmodified, plain and with Reframer preloaded.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { reframer, reframerJson, skipSuite } from '../helpers/cli.js';

interface Row {
  program: string;
  traffic: string;
  reframer: string;
  trials: unknown[];
  nsPerPacket: { value: number };
  cyclesPerPacket: number;
  packetsPerBatch?: number;
  emcHits?: number;
  timesPlain: { value: number };
}

const brief = ['--rounds', '1', '--time', '50ms', '--quiet', '--json'];
const bench = (...args: string[]): Promise<{ rows: Row[] }> =>
  reframerJson(['bench', 'programs', ...args, ...brief]);

const hugePages = '/proc/sys/vm/nr_hugepages';
const pagesOfSwitch = 512;

test('wrong options are refused before anything is started', async () => {
  for (const [option, value] of [
    ['--programs', 'vpp'],
    ['--traffic', 'none'],
    ['--emc', 'maybe'],
    ['--rules', '0'],
    ['--actions', 'drop'],
    ['--rounds', '0'],
  ] as const) {
    const { code, stderr } = await reframer(['bench', 'programs', option, value]);
    expect(code, `${option} ${value}`).toBe(2);
    expect(stderr).toContain(option);
  }
});

const built = existsSync(join(packageRoot, 'native/build/libreframer_preload.so'));
if (!built || !existsSync('/usr/bin/dpdk-testpmd') || cpus().length < 2)
  skipSuite(
    'dpdk-testpmd (Debian package dpdk-dev), libreframer_preload.so or a second CPU is missing: bench programs was not tested',
  );
else
  test('dpdk-testpmd: a row for the program as it is, and one for each text', async () => {
    const { rows } = await bench(
      ...['--programs', 'testpmd-5tswap', '--traffic', 'trains', '--reframer', 'delay=16us'],
    );
    expect(rows.map((row) => row.reframer)).toEqual(['off', 'delay=16us']);
    for (const row of rows) {
      expect(row.trials).toHaveLength(2);
      expect(row.nsPerPacket.value).toBeGreaterThan(1);
      expect(row.cyclesPerPacket).toBeGreaterThan(1);
    }
    expect(rows[0]?.timesPlain.value).toBe(1);
  });

const root = process.getuid?.() === 0;
if (
  !built ||
  !root ||
  !existsSync('/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk') ||
  cpus().length < 2
)
  skipSuite(
    'Open vSwitch (Debian package openvswitch-switch-dpdk) or root is missing: the preloaded library was not tested in it',
  );
else
  describe('Open vSwitch', { timeout: 180_000 }, () => {
    const before = readFileSync(hugePages, 'utf8');
    beforeAll(() => {
      if (Number(before) < pagesOfSwitch) writeFileSync(hugePages, String(pagesOfSwitch));
    });
    afterAll(() => writeFileSync(hugePages, before));

    test('connection tracking, and rules into a tunnel, with Reframer in its ports', async () => {
      const { rows } = await bench(
        ...['--programs', 'ovs', '--traffic', 'trains', '--actions', 'ct,tunnel', '--rules', '20'],
        ...['--reframer', 'delay=64us'],
      );
      expect(rows.map((row) => row.reframer)).toEqual(['off', 'delay=64us', 'off', 'delay=64us']);
      for (const row of rows) {
        expect(row.cyclesPerPacket).toBeGreaterThan(10);
        expect(row.packetsPerBatch).toBeGreaterThan(1);
        expect(row.emcHits).toBeGreaterThanOrEqual(0);
      }
    });
  });
