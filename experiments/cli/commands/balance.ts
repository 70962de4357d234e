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
import {
  addDeviceOptions,
  deviceSpec,
  numberBetween,
  quickToWrite,
  refuseIgnoredOf,
  type DeviceOptions,
} from '../balance-device.js';
import { BalanceView, type BalanceEpoch } from '../balance-view.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { print, printJson, talk } from '../output.js';
import { formatCount, formatFixed, parseChoice, parseMilliseconds } from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options extends DeviceOptions {
  interval: string;
  busyInterval?: string;
  duration?: string;
  target?: string;
  method: string;
  dryRun?: boolean;
  json?: boolean;
}

// Writes that fail one after the other before the command gives up.
const patience = 5;

export function register(program: Command): void {
  const command = program
    .command('balance')
    .description(
      'balance the cores behind a device by its indirection table, live; the first table is put back at the end',
    )
    .option('--interval <duration>', 'epoch: how often the table may be rewritten', '100ms')
    .option(
      '--busy-interval <duration>',
      'epoch while a core is above 90 % load, and for a second after; otherwise 10ms where a table write disturbs nothing (tap, dpdk software), else the interval',
    )
    .option('--duration <duration>', 'end after this time; otherwise at Ctrl-C, exit code 0')
    .option('--target <load>', 'use only as many cores as this load needs; otherwise all')
    .option('--method <name>', methods.join(', '), 'balanced')
    .option('--dry-run', 'say what would move, write nothing');
  addDeviceOptions(command)
    .option('--json', 'print one JSON line an epoch and a summary')
    .action(balance);
}

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

async function balance(options: Options, command: Command): Promise<void> {
  refuseIgnoredOf(options, command);
  const intervalMs = parseMilliseconds(options.interval, '--interval');
  const durationMs =
    options.duration === undefined ? 0 : parseMilliseconds(options.duration, '--duration');
  // `ours` is what `balanced` was called.
  const word = options.method === 'ours' ? 'balanced' : options.method;
  const method: Method = parseChoice(word, '--method', methods);
  const target =
    options.target === undefined ? undefined : numberBetween(options.target, '--target', 0.11, 1);
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
          ? spec.kind === 'cpumap'
            ? 'the program has left the interface'
            : 'the first table is in force again'
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
