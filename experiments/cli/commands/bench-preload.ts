// `reframer bench preload`: what the preloaded library adds to a packet of an unmodified dpdk-testpmd.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

import { locate, packageRoot, type NativeFile } from '../../../native/loader.js';
import { medianInterval, type Interval } from '../../core/statistics.js';
import { CliError, exitCodes } from '../errors.js';
import { runLabOnce } from '../lab.js';
import { group } from '../main.js';
import { print, printJson, ProgressLine } from '../output.js';
import { formatFixed, parseCount, parseDuration } from '../units.js';

const preload: NativeFile = { variable: 'REFRAMER_PRELOAD', file: 'libreframer_preload.so' };

interface Options {
  reframer: string;
  rounds: string;
  time: string;
  snaplen: string;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

interface Trial {
  /** Of the forwarding core, by testpmd's counters of sent packets: that core has nothing else to do. */
  nsPerPacket: number;
  /** What testpmd counts itself; it leaves out polls after which it has nothing to forward. */
  cyclesPerPacket: number;
}

/** Before the counters are looked at first: pages are touched, the first packets come due. */
const warmUpMs = 300;

const spanOf = ({ low, high }: Interval): string =>
  Number.isNaN(low)
    ? 'too few pairs for an interval'
    : `95 %: ${formatFixed(low, 1)} to ${formatFixed(high, 1)}`;

export function register(program: Command): void {
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
    .command('preload')
    .description(
      'time a packet of dpdk-testpmd (net_pcap to net_null), plain and with libreframer_preload.so, in ABBA order',
    )
    .option('--reframer <words>', 'as in the environment variable REFRAMER', 'delay=64us')
    .option('--rounds <number>', 'rounds of four trials', '3')
    .option('--time <time>', 'a trial forwards this long', '1s')
    .option(
      '--snaplen <bytes>',
      "bytes of each frame: DPDK's pcap port copies every frame, which a NIC's driver does not",
      '64',
    )
    .option('--seed <number>', 'of the traffic, campus profile', '1')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

/** One run of testpmd. */
function trial(capture: string, environment: NodeJS.ProcessEnv, timeMs: number): Promise<Trial> {
  const child = spawn(
    'dpdk-testpmd',
    [
      '--lcores',
      '0@0,1@1',
      '--no-huge',
      '-m',
      '512',
      '--no-pci',
      '--no-shconf',
      '--no-telemetry',
      '--file-prefix',
      `reframer-bench-${process.pid}`,
      '--vdev',
      `net_pcap0,rx_pcap=${capture},infinite_rx=1`,
      '--vdev',
      'net_null0,no-rx=1',
      '--',
      '--no-flush-rx',
      '--total-num-mbufs=40000',
      '-i',
      '--record-core-cycles',
    ],
    { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let output = '';
  let waiting = true;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (!waiting || !output.includes('testpmd>')) return;
      waiting = false;
      // Rates are since the last look.
      child.stdin.write('start\n');
      setTimeout(() => child.stdin.write('show port stats 1\n'), warmUpMs);
      setTimeout(() => child.stdin.end('show port stats 1\nstop\nquit\n'), warmUpMs + timeMs);
    });
  }
  child.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(new CliError('testpmd', `dpdk-testpmd does not start: ${error.message}`)),
    );
    child.on('close', () => {
      const [, cycles] = /CPU cycles\/packet=([\d.]+)/.exec(output) ?? [];
      const rate = Number([...output.matchAll(/Tx-pps:\s+(\d+)/g)].at(-1)?.[1]);
      if (cycles === undefined || !(rate > 0))
        reject(
          new CliError(
            'testpmd',
            `dpdk-testpmd counted nothing; its last words:\n${output.trimEnd().split('\n').slice(-5).join('\n')}`,
          ),
        );
      else resolve({ nsPerPacket: 1e9 / rate, cyclesPerPacket: Number(cycles) });
    });
  });
}

async function bench(options: Options): Promise<void> {
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const timeMs = parseDuration(options.time, '--time') / 1e6;
  const seed = parseCount(options.seed, '--seed');
  const snaplen = parseCount(options.snaplen, '--snaplen', 60);
  const library =
    process.env[preload.variable] ?? join(packageRoot, 'native', 'build', preload.file);
  if (!existsSync(library)) locate(preload);
  if (spawnSync('dpdk-testpmd', ['--help'], { stdio: 'ignore' }).error !== undefined) {
    throw new CliError(
      'not-supported',
      'dpdk-testpmd is not here: apt-get install dpdk-dev',
      exitCodes.notSupported,
    );
  }
  if (cpus().length < 2)
    throw new CliError(
      'not-supported',
      'testpmd needs two CPUs: one forwards, one waits',
      exitCodes.notSupported,
    );
  const folder = mkdtempSync(join(tmpdir(), 'reframer-bench-'));
  const progress = new ProgressLine('bench preload', options.quiet);
  try {
    const capture = join(folder, 'in.pcap');
    await runLabOnce(
      'generate',
      { out: capture, profile: 'campus', packets: 20_000, seed, snaplen },
      { label: 'generate', quiet: true },
    );
    const plain: Trial[] = [];
    const preloaded: Trial[] = [];
    const differences: number[] = [];
    const control: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const ns: number[] = [];
      for (const [i, with_] of [false, true, true, false].entries()) {
        const result = await trial(
          capture,
          with_ ? { LD_PRELOAD: library, REFRAMER: options.reframer } : {},
          timeMs,
        );
        ns.push(result.nsPerPacket);
        (with_ ? preloaded : plain).push(result);
        progress.update({ done: round * 4 + i + 1, total: rounds * 4, what: 'trials' });
      }
      const [a = 0, b = 0, c = 0, d = 0] = ns;
      differences.push(b - a, c - d);
      control.push(d - a);
    }
    progress.end();
    const median = (trials: readonly Trial[], name: keyof Trial): number =>
      medianInterval(trials.map((each) => each[name])).value;
    const cost = medianInterval(differences);
    const same = medianInterval(control);
    const result = {
      reframer: options.reframer,
      plain,
      preloaded,
      plainNs: median(plain, 'nsPerPacket'),
      preloadedNs: median(preloaded, 'nsPerPacket'),
      plainCycles: median(plain, 'cyclesPerPacket'),
      preloadedCycles: median(preloaded, 'cyclesPerPacket'),
      costNs: cost,
      controlNs: same,
    };
    if (options.json === true) return printJson(result);
    print(
      `ns a packet: plain ${formatFixed(result.plainNs, 1)}, with Reframer ${formatFixed(result.preloadedNs, 1)}; ` +
        `testpmd's own cycles a packet ${formatFixed(result.plainCycles, 1)} and ${formatFixed(result.preloadedCycles, 1)}\n` +
        `Reframer adds ${formatFixed(cost.value, 1)} ns a packet (${spanOf(cost)}), ${differences.length} pairs; ` +
        `plain against plain: ${formatFixed(same.value, 1)} (${spanOf(same)})`,
    );
  } finally {
    progress.end();
    rmSync(folder, { recursive: true, force: true });
  }
}
