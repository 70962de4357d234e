// `reframer balance`: the balancer at work on a device, to look at.
import type { Command } from 'commander';

import {
  Balancing,
  Device,
  RssppError,
  methods,
  type DeviceSpec,
  type Method,
  type Report,
} from '../../../rsspp/index.js';
import { BalanceView, type BalanceEpoch } from '../balance-view.js';
import { ealOptions } from '../eal.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { print, printJson, talk } from '../output.js';
import {
  formatCount,
  formatFixed,
  parseChoice,
  parseCount,
  parseDuration,
  parseMilliseconds,
} from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options {
  backend: string;
  interval: string;
  busyInterval?: string;
  duration?: string;
  target?: string;
  method: string;
  dryRun?: boolean;
  interface?: string;
  cpus?: string;
  port?: string;
  table: string;
  eal: string;
  cores?: string;
  reta: string;
  rate: string;
  flows: string;
  skew: string;
  work: string;
  seed: string;
  json?: boolean;
}

// Writes that fail one after the other before the command gives up.
const patience = 5;

export function register(program: Command): void {
  program
    .command('balance')
    .description(
      'balance the cores behind a device by its indirection table, live; the first table is put back at the end',
    )
    .requiredOption(
      '--backend <kind>',
      'tap: a multi-queue TAP with traffic of its own, in its own network namespace; ethtool: an interface of Linux; dpdk: a DPDK port',
    )
    .option('--interval <duration>', 'epoch: how often the table may be rewritten', '100ms')
    .option(
      '--busy-interval <duration>',
      'epoch while a core is above 90 % load, and for a second after; otherwise 10ms where a table write disturbs nothing (tap, dpdk software), else the interval',
    )
    .option('--duration <duration>', 'end after this time; otherwise at Ctrl-C, exit code 0')
    .option('--target <load>', 'use only as many cores as this load needs; otherwise all')
    .option('--method <name>', methods.join(', '), 'balanced')
    .option('--dry-run', 'say what would move, write nothing')
    .option('--interface <name>', 'ethtool: the interface')
    .option(
      '--cpus <list>',
      "ethtool: CPU that serves each queue, such as 0,1,2,3; otherwise queue i is CPU i's",
    )
    .option('--port <name>', "dpdk: EAL's name of the port")
    .option(
      '--table <kind>',
      'dpdk: reta, flow, or software (one core dispatches to rings)',
      'reta',
    )
    .option(
      '--eal <options>',
      'dpdk: options of EAL besides --no-huge -m 256 --no-shconf --no-telemetry, such as --vdev=net_null0; one that is given replaces that default',
      '',
    )
    .option(
      '--cores <number>',
      'tap, dpdk: queues, one thread each; by default 4. dpdk: each on a CPU of its own, by default at most the CPUs, or one for each lcore that -l in --eal names',
    )
    .option(
      '--reta <number>',
      'tap, dpdk flow and software: entries of the table, 64 to 4096',
      '128',
    )
    .option('--rate <number>', 'tap: packets a second', '20k')
    .option('--flows <number>', 'tap: flows of the traffic', '1000')
    .option(
      '--skew <exponent>',
      'tap: Zipf exponent of the shares of the flows; 0 makes them alike',
      '0.9',
    )
    .option(
      '--work <rounds>',
      'tap, dpdk: rounds of arithmetic a packet, about a nanosecond each',
      '10k',
    )
    .option('--seed <number>', 'tap: of the traffic', '1')
    .option('--json', 'print one JSON line an epoch and a summary')
    .action(balance);
}

function number(text: string, option: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= low && value <= high))
    throw new UsageError(`${option}: '${text}' is not a number from ${low} to ${high}`);
  return value;
}

function deviceSpec(options: Options): DeviceSpec {
  const backend = parseChoice(options.backend, '--backend', ['tap', 'ethtool', 'dpdk'] as const);
  if (backend === 'dpdk') {
    if (options.port === undefined)
      throw new UsageError('--backend dpdk needs --port: whose table?');
    const eal = ealOptions(options.eal, 256, { telemetry: false });
    if (options.eal !== '' && eal.added.length > 0)
      talk(`reframer: EAL also gets ${eal.added.join(' ')}`);
    return {
      kind: 'dpdk',
      eal: eal.words,
      port: options.port,
      table: parseChoice(options.table, '--table', ['reta', 'flow', 'software'] as const),
      ...(options.cores === undefined ? {} : { cores: parseCount(options.cores, '--cores', 1) }),
      entries: parseCount(options.reta, '--reta', 64),
      workRounds: parseCount(options.work, '--work'),
    };
  }
  if (backend === 'ethtool') {
    if (options.interface === undefined)
      throw new UsageError('--backend ethtool needs --interface: whose table?');
    const cpus = options.cpus?.split(',').map((cpu) => parseCount(cpu, '--cpus'));
    return {
      kind: 'ethtool',
      interface: options.interface,
      ...(cpus === undefined ? {} : { cpus }),
    };
  }
  return {
    kind: 'tap',
    cores: parseCount(options.cores ?? '4', '--cores', 1),
    entries: parseCount(options.reta, '--reta', 64),
    packetsPerSecond: parseCount(options.rate, '--rate', 1),
    flows: parseCount(options.flows, '--flows', 1),
    skew: number(options.skew, '--skew', 0, 4),
    workRounds: parseCount(options.work, '--work'),
    seed: parseCount(options.seed, '--seed'),
  };
}

// Half a RETA driver stops reception while it writes, and the load of a CPU comes in steps of 10 ms.
const quickToWrite = (spec: DeviceSpec): boolean =>
  spec.kind === 'tap' || (spec.kind === 'dpdk' && spec.table === 'software');

function busyInterval(options: Options, spec: DeviceSpec, intervalMs: number): number {
  if (options.busyInterval === undefined)
    return quickToWrite(spec) ? Math.min(10, intervalMs) : intervalMs;
  const ms = parseMilliseconds(options.busyInterval, '--busy-interval');
  if (ms > intervalMs)
    throw new UsageError(`--busy-interval: ${options.busyInterval} is longer than --interval`);
  return ms;
}

/** RssppError as what the command line ends with. */
function cliError(error: unknown): unknown {
  if (!(error instanceof RssppError)) return error;
  const codes = { 'not-supported': exitCodes.notSupported, 'bad-option': exitCodes.usage };
  return new CliError(
    error.code,
    error.message,
    error.code in codes ? codes[error.code as keyof typeof codes] : exitCodes.failed,
  );
}

class Totals {
  epochs = 0;
  moves = 0;
  failedWrites = 0;
  readonly imbalances: number[] = [];

  add(report: Report): void {
    this.epochs++;
    this.moves += report.moves.length;
    this.imbalances.push(report.imbalanceBeforePercent);
  }

  /** Of the second half: what the balancer settled at. */
  settled(): number {
    const half = this.imbalances
      .slice(Math.floor(this.imbalances.length / 2))
      .sort((a, b) => a - b);
    return half[Math.floor(half.length / 2)] ?? 0;
  }
}

async function balance(options: Options): Promise<void> {
  const intervalMs = parseMilliseconds(options.interval, '--interval');
  const durationMs =
    options.duration === undefined ? 0 : parseDuration(options.duration, '--duration') / 1e6;
  // `ours` is what `balanced` was called.
  const word = options.method === 'ours' ? 'balanced' : options.method;
  const method: Method = parseChoice(word, '--method', methods);
  const target =
    options.target === undefined ? undefined : number(options.target, '--target', 0.11, 1);
  const spec = deviceSpec(options);
  const busyIntervalMs = busyInterval(options, spec, intervalMs);
  const run = untilStopped(durationMs);
  try {
    const device = await Device.open(spec);
    const totals = new Totals();
    let deviceSummary;
    try {
      const balancing = await Balancing.start(device, {
        cores: device.queues,
        method,
        intervalNs: Math.round(intervalMs * 1e6),
        busyIntervalNs: Math.round(busyIntervalMs * 1e6),
        dryRun: options.dryRun === true,
        ...(target === undefined ? {} : { autoscale: true, targetLoad: target }),
      });
      await epochs(balancing, device, totals, { intervalMs, json: options.json === true, run });
      // What this cannot put back the device's process tries again, and counts in its summary.
      await balancing.stop().catch(() => undefined);
    } finally {
      deviceSummary = await device.close();
    }
    const { refused = 0, ...counted } = deviceSummary;
    const summary = {
      backend: device.name,
      cores: device.queues,
      entries: device.entries,
      method,
      dryRun: options.dryRun === true,
      epochs: totals.epochs,
      moves: totals.moves,
      failedWrites: totals.failedWrites,
      imbalanceFirstPercent: totals.imbalances[0] ?? 0,
      imbalanceSettledPercent: totals.settled(),
      firstTableRestored: refused === 0,
      device: counted,
    };
    if (options.json === true) printJson({ summary });
    else {
      print(
        `${device.name}: ${formatCount(summary.epochs)} epochs, ${formatCount(summary.moves)} moves${summary.dryRun ? ' proposed, none made' : ''}; ` +
          `imbalance (max-min)/min ${formatFixed(summary.imbalanceFirstPercent, 0)} % at first, ${formatFixed(summary.imbalanceSettledPercent, 0)} % in the second half`,
      );
      print(
        Object.entries(counted)
          .map(([name, value]) => `${name} ${formatCount(value)}`)
          .join(', '),
      );
      print(
        refused === 0
          ? 'the first table is in force again'
          : `${refused} entries of the first table could not be put back`,
      );
    }
    if (refused > 0) process.exitCode = exitCodes.failed;
  } catch (error) {
    throw cliError(error);
  } finally {
    run.release();
  }
}

interface EpochOptions {
  intervalMs: number;
  json: boolean;
  run: ReturnType<typeof untilStopped>;
}

async function epochs(
  balancing: Balancing,
  device: Device,
  totals: Totals,
  { intervalMs, json, run }: EpochOptions,
): Promise<void> {
  const view = json ? undefined : new BalanceView(device.name);
  let failuresInARow = 0;
  let waitMs = intervalMs;
  for (let next = Date.now() + waitMs; !run.stopped(); next = Math.max(next + waitMs, Date.now())) {
    await run.sleep(next - Date.now());
    if (run.stopped()) break;
    const table = balancing.balancer.table();
    let report: Report;
    try {
      report = await balancing.epoch();
      failuresInARow = 0;
      waitMs = report.nextEpochNs / 1e6;
    } catch (error) {
      // Entries that the device kept are where they were, and may be asked for again.
      if (
        !(error instanceof RssppError) ||
        error.code !== 'backend' ||
        ++failuresInARow === patience
      )
        throw error;
      totals.failedWrites++;
      talk(`reframer: ${error.message}`);
      continue;
    }
    totals.add(report);
    const epoch: BalanceEpoch = {
      ...report,
      loads: [...device.loads],
      buckets: perCore(table, device.queues),
      details: device.details,
    };
    if (json) printJson(epoch);
    else view?.update(epoch);
  }
  view?.end();
}

function perCore(table: readonly number[], cores: number): number[] {
  const counts = new Array<number>(cores).fill(0);
  for (const owner of table) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}
