// `reframer bench flood`: what a web server behind the box answers while a flood of UDP comes the same
// way, denied or not.
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';

import { medianInterval } from '../../core/statistics.js';
import { FloodPath, missingForFlood, modes, type FloodTrial } from '../linux/flood.js';
import { webTrials } from '../linux/web-bench.js';
import { benchGroup } from '../main.js';
import { print, printJson, renderTable } from '../output.js';
import { formatCount, formatFixed, parseCount, parseDuration } from '../units.js';

interface Options {
  rate: string;
  connections: string;
  file: string;
  time: string;
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

/** Of a guard in front of a server on one core, four of five clients flooding with UDP (NFV-SDN'20). */
const publishedGainPercent = 287;

export function register(program: Command): void {
  benchGroup(program)
    .command('flood')
    .description(
      'requests a second of nginx behind the box: without a flood of UDP, with it, and with it denied by --deny udp; root',
    )
    .option('--rate <number>', 'of the flood, packets a second', '200k')
    .option('--connections <number>', 'that wrk keeps open', '16')
    .option('--file <bytes>', 'length of each response', '1k')
    .option('--time <time>', 'of a trial, whole seconds', '3s')
    .option('--rounds <number>', 'of one trial of each', '3')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const flood = {
    fileBytes: parseCount(options.file, '--file', 1),
    connections: parseCount(options.connections, '--connections', 1),
    seconds: Math.max(1, Math.round(parseDuration(options.time, '--time') / 1e9)),
    rate: parseCount(options.rate, '--rate', 1),
    cpu: availableParallelism() - 1,
  };
  const trials = await webTrials(
    { name: 'bench flood', modes, rounds, quiet: options.quiet },
    missingForFlood(),
    () => new FloodPath(flood),
  );
  if (trials.length > 0) report(options, trials);
}

function report(options: Options, trials: readonly FloodTrial[]): void {
  const of = (mode: string, value: (trial: FloodTrial) => number): number =>
    medianInterval(trials.filter((trial) => trial.mode === mode).map(value)).value;
  const rows = modes.map((mode) => ({
    mode,
    requestsPerSecond: of(mode, (t) => t.requestsPerSecond),
    medianUs: of(mode, (t) => t.medianUs),
    p99Us: of(mode, (t) => t.p99Us),
    socketErrors: of(mode, (t) => t.socketErrors),
    flood: of(mode, (t) => t.flood),
    denied: of(mode, (t) => t.denied),
    boxReceived: of(mode, (t) => t.boxReceived),
    boxMissed: of(mode, (t) => t.boxMissed),
  }));
  const rate = (mode: string): number =>
    rows.find((row) => row.mode === mode)?.requestsPerSecond ?? Number.NaN;
  const gainPercent = 100 * (rate('guarded') / rate('flooded') - 1);
  if (options.json === true) return printJson({ rows, gainPercent, publishedGainPercent, trials });
  print(
    renderTable(
      [
        { title: 'mode', align: 'left' },
        ...['requests/s', 'median µs', '99 % µs', 'errors', 'flood', 'denied', 'missed'].map(
          (title) => ({ title, align: 'right' as const }),
        ),
      ],
      rows.map((row) => [
        row.mode,
        formatCount(Math.round(row.requestsPerSecond)),
        formatFixed(row.medianUs, 0),
        formatFixed(row.p99Us, 0),
        formatCount(row.socketErrors),
        formatCount(row.flood),
        formatCount(row.denied),
        formatCount(row.boxMissed),
      ]),
    ),
  );
  print(
    `The guard brings ${formatFixed(gainPercent, 0)} % over flooded; published, on other terms: +${publishedGainPercent} %. ` +
      'Here the flood, the server and the client share the cores that the box leaves.',
  );
}
