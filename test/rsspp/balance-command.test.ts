// `reframer balance` and the devices behind it, for real: packets, kernel, table.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { Balancing, Device, RssppError } from '../../rsspp/index.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, runProgram, skipSuite, type Outcome } from '../helpers/cli.js';

interface EpochLine {
  epoch: number;
  changes: unknown[];
  loads: number[];
  buckets: number[];
  imbalanceBeforePercent: number;
}

interface Summary {
  summary: {
    cores: number;
    entries: number;
    epochs: number;
    moves: number;
    dryRun: boolean;
    firstTableRestored: boolean;
    device: Record<string, number>;
  };
}

/** undefined where this machine cannot make the device, which is said. */
async function openTap(spec: object): Promise<Device | undefined> {
  try {
    return await Device.open({ kind: 'tap', ...spec });
  } catch (error) {
    if (!(error instanceof RssppError) || error.code !== 'not-supported') throw error;
    skipSuite(`\`reframer balance\` was not tested on a TAP: ${error.message}`);
    return undefined;
  }
}

const tapWorks = await (async () => {
  const device = await openTap({ packetsPerSecond: 100 });
  await device?.close();
  return device !== undefined;
})();

function parse({ stdout }: Outcome): { epochs: EpochLine[]; summary: Summary['summary'] } {
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EpochLine & Summary);
  const last = lines.pop();
  if (last === undefined) throw new Error('no output');
  return { epochs: lines, summary: last.summary };
}

const quiet = ['--rate', '5k', '--work', '0'];

test.skipIf(!tapWorks)(
  'a TAP is balanced, every packet is accounted for, the first table comes back',
  { timeout: 60_000 },
  async () => {
    const outcome = await reframer([
      'balance',
      '--backend',
      'tap',
      '--cores',
      '3',
      '--reta',
      '256',
      '--skew',
      '1.2',
      '--duration',
      '2s',
      '--json',
      ...quiet,
    ]);
    expect(outcome.code).toBe(0);
    const { epochs, summary } = parse(outcome);
    expect(summary).toMatchObject({
      cores: 3,
      entries: 256,
      firstTableRestored: true,
      dryRun: false,
      epochs: epochs.length,
    });
    expect(summary.moves).toBe(epochs.reduce((sum, epoch) => sum + epoch.changes.length, 0));
    expect(summary.moves).toBeGreaterThan(0);
    for (const { loads, buckets } of epochs) {
      expect(loads).toHaveLength(3);
      expect(buckets.reduce((a, b) => a + b, 0)).toBe(256);
    }
    const {
      sent = 0,
      received = 0,
      processed,
      dropped = 0,
      missing,
      reordered,
      foreign,
    } = summary.device;
    expect(sent).toBeGreaterThan(0);
    expect(received + dropped).toBe(sent);
    expect(processed).toBe(received);
    expect([reordered, foreign]).toEqual([0, 0]);
    expect(missing).toBeLessThanOrEqual(dropped);
  },
);

test.skipIf(!tapWorks)('a dry run proposes and moves nothing', { timeout: 60_000 }, async () => {
  const outcome = await reframer([
    'balance',
    '--backend',
    'tap',
    '--skew',
    '1.2',
    '--duration',
    '1s',
    '--dry-run',
    '--json',
    ...quiet,
  ]);
  expect(outcome.code).toBe(0);
  const { epochs, summary } = parse(outcome);
  expect(summary.dryRun).toBe(true);
  expect(summary.moves).toBeGreaterThan(0);
  for (const { buckets } of epochs) expect(buckets).toEqual([32, 32, 32, 32]);
  expect(summary.device['held']).toBe(0);
});

/** As reframer(), with a signal once the first epoch has been told. */
async function signalled(args: readonly string[], signal: NodeJS.Signals): Promise<Outcome> {
  const child = spawn(
    process.execPath,
    [join(packageRoot, 'experiments/cli/reframer.mjs'), ...args],
    {
      env: { ...process.env, REFRAMER_NO_SETUP: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout === '') child.kill(signal);
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

test.skipIf(!tapWorks).each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends it with a summary and the first table, and that is no failure',
  { timeout: 60_000 },
  async (signal) => {
    const outcome = await signalled(['balance', '--backend', 'tap', '--json', ...quiet], signal);
    expect(outcome.code).toBe(0);
    expect(parse(outcome).summary.firstTableRestored).toBe(true);
  },
);

test.skipIf(!tapWorks)('people get lines, not JSON', { timeout: 60_000 }, async () => {
  const { code, stdout } = await reframer([
    'balance',
    '--backend',
    'tap',
    '--duration',
    '1500ms',
    '--target',
    '0.8',
    ...quiet,
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^epoch \d+: loads .*imbalance .*moves/m);
  expect(stdout).toContain('the first table is in force again');
});

test('options that cannot be meant', async () => {
  for (const [args, words] of [
    [['--backend', 'abacus'], /--backend/],
    [['--backend', 'tap', '--target', '3'], /--target/],
    [['--backend', 'tap', '--skew', 'much'], /--skew/],
    [['--backend', 'tap', '--busy-interval', '1s'], /--busy-interval/],
    [['--backend', 'tap', '--interval', '0'], /--interval: '0' is shorter than 1ms/],
    [['--backend', 'tap', '--method', 'worst'], /--method/],
    [['--backend', 'ethtool'], /--interface/],
    [['--backend', 'ethtool', '--interface', 'absent0'], /absent0/],
    [['--backend', 'dpdk'], /--port/],
    [[], /--backend/],
    // Options that would change nothing there.
    [
      ['--backend', 'cpumap', '--interface', 'lo', '--cores', '2'],
      /--cores goes with .* tap or dpdk/,
    ],
    [['--backend', 'ethtool', '--interface', 'lo', '--reta', '256'], /--reta goes with/],
    [['--backend', 'tap', '--table', 'flow'], /--table goes with --backend dpdk/],
    [['--backend', 'tap', '--interface', 'lo'], /--interface goes with .* ethtool or cpumap/],
    [
      ['--backend', 'dpdk', '--port', 'net_null0', '--rate', '5k'],
      /--rate goes with --backend tap/,
    ],
    [
      ['--backend', 'dpdk', '--port', 'net_null0', '--reta', '256'],
      /--reta goes with --table flow/,
    ],
  ] as const) {
    const { code, stderr } = await reframer(['balance', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(words);
  }
});

test.skipIf(!tapWorks)('a table that no NIC has is refused by name', async () => {
  await expect(Device.open({ kind: 'tap', entries: 100 })).rejects.toMatchObject({
    code: 'bad-option',
  });
  const { code, stderr } = await reframer(['balance', '--backend', 'tap', '--reta', '100']);
  expect(code).toBe(2);
  expect(stderr).toContain('64, 128');
});

test.skipIf(!tapWorks)(
  'the API balances a device, and a closed one says so',
  { timeout: 60_000 },
  async () => {
    const device = await openTap({ cores: 2, packetsPerSecond: 4000, workRounds: 0, skew: 1.2 });
    if (device === undefined) return;
    const first = await device.readTable();
    const balancing = await Balancing.start(device, { cores: device.queues });
    let moves = 0;
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      moves += (await balancing.epoch()).changes.length;
    }
    expect(moves).toBeGreaterThan(0);
    expect(await device.readTable()).toEqual(balancing.balancer.table());
    await expect(device.writeTable([9], [0])).rejects.toMatchObject({ code: 'backend' });
    await balancing.stop();
    expect(await device.readTable()).toEqual(first);
    expect(await device.close()).toMatchObject({ refused: 0, reordered: 0 });
    await expect(device.readTable()).rejects.toMatchObject({ code: 'closed' });
  },
);

test.skipIf(!tapWorks)(
  'an interface without a table: exit code 3 and what is missing',
  { timeout: 30_000 },
  async () => {
    // In a namespace of its own: no interface of this machine is touched.
    const command = join(packageRoot, 'experiments/cli/reframer.mjs');
    const { code, stdout, stderr } = await runProgram('unshare', [
      '--net',
      process.execPath,
      command,
      'balance',
      '--backend',
      'ethtool',
      '--interface',
      'lo',
      '--json',
    ]);
    expect(stderr).toMatch(/lo: no indirection table/);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'not-supported' } });
    expect(code).toBe(3);
  },
);

const dpdkBuilt = existsSync(join(packageRoot, 'native/build/reframer-dpdk'));
const dpdk = (
  table: string,
  eal = '--no-huge -m 256 --no-shconf --no-telemetry --vdev=net_null0,copy=1',
): string[] => [
  'balance',
  '--backend',
  'dpdk',
  '--port',
  'net_null0',
  '--table',
  table,
  '--eal',
  eal,
  '--cores',
  '2',
  '--work',
  '100',
  '--duration',
  '2s',
  '--json',
];

if (!dpdkBuilt)
  skipSuite(
    'reframer-dpdk was not built (libdpdk-dev is missing): `reframer balance` was not tested on DPDK',
  );
test.skipIf(!dpdkBuilt).each([
  ['reta', 128],
  ['software', 128],
] as const)(
  'DPDK, table %s: the table is worked on and comes back',
  { timeout: 60_000 },
  async (table, entries) => {
    const outcome = await reframer(dpdk(table));
    // On two processors the dispatching core has none of its own, which is said; see test/dpdk/cores.test.ts.
    expect(outcome.stderr).not.toMatch(/reframer: (?!warning: the dispatching core shares)/);
    expect(outcome.code).toBe(0);
    const { summary } = parse(outcome);
    expect(summary).toMatchObject({ cores: 2, entries, firstTableRestored: true });
    expect(summary.device['received']).toBeGreaterThan(0);
  },
);

test.skipIf(!dpdkBuilt)(
  'DPDK: what a port cannot do is said, with exit code 3',
  { timeout: 60_000 },
  async () => {
    const flow = await reframer(dpdk('flow'));
    expect(flow.code).toBe(3);
    expect(flow.stderr).toContain('no RSS flow rules');
    const absent = await reframer([...dpdk('reta', '--no-huge -m 64 --no-shconf --no-telemetry')]);
    expect(absent.code).toBe(2);
    expect(absent.stderr).toContain("no port 'net_null0'");
    const eal = await reframer(dpdk('reta', '--no-such-option'));
    expect(eal.code).toBe(3);
    expect(JSON.parse(eal.stdout)).toMatchObject({ error: { code: 'not-supported' } });
  },
);
