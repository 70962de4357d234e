// `reframer bench cpumap`: nginx behind an interface without an indirection table, its packets spread by
// nothing, by the kernel's own RPS, by our table as it is at first, and balanced.
import type { Command } from 'commander';

import { medianInterval } from '../../core/statistics.js';
import { CpumapPath, missingForCpumap, modes, type CpumapTrial } from '../linux/cpumap.js';
import { webTrials } from '../linux/web-bench.js';
import { benchGroup } from '../main.js';
import { print, printJson, renderTable } from '../output.js';
import { formatCount, formatFixed, parseCount, parseDuration } from '../units.js';

interface Options {
  connections: string;
  file: string;
  time: string;
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

export function register(program: Command): void {
  benchGroup(program)
    .command('cpumap')
    .description(
      'requests a second of nginx, a worker a CPU, behind a veth: packets spread by nothing, by RPS, by balance --backend cpumap; root',
    )
    .option('--connections <number>', 'that wrk keeps open', '64')
    .option('--file <bytes>', 'length of each response', '1k')
    .option('--time <time>', 'of a trial, whole seconds', '3s')
    .option('--rounds <number>', 'of one trial of each', '3')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const path = {
    fileBytes: parseCount(options.file, '--file', 1),
    connections: parseCount(options.connections, '--connections', 1),
    seconds: Math.max(1, Math.round(parseDuration(options.time, '--time') / 1e9)),
  };
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const trials = await webTrials(
    { name: 'bench cpumap', modes, rounds, quiet: options.quiet },
    missingForCpumap(),
    () => new CpumapPath(path),
  );
  if (trials.length > 0) report(options, trials);
}

const measures = {
  requestsPerSecond: 'requests/s',
  medianUs: 'median µs',
  p99Us: '99 % µs',
  spreadPoints: 'CPU spread',
  outOfOrder: 'out of order',
  retransmitted: 'retransmitted',
  moves: 'moves',
  stayed: 'stayed',
  dropped: 'dropped',
} as const;
type Measure = keyof typeof measures;

function report(options: Options, trials: readonly CpumapTrial[]): void {
  const middle = (mode: string, measure: Measure): number =>
    medianInterval(trials.filter((trial) => trial.mode === mode).map((trial) => trial[measure]))
      .value;
  const names = Object.keys(measures) as Measure[];
  const rows = modes.map((mode) => ({
    mode,
    ...(Object.fromEntries(names.map((name) => [name, middle(mode, name)])) as Record<
      Measure,
      number
    >),
  }));
  if (options.json === true) return printJson({ rows, trials });
  print(
    renderTable(
      [
        { title: 'spread by', align: 'left' },
        ...names.map((name) => ({ title: measures[name], align: 'right' as const })),
      ],
      rows.map((row) => [
        { plain: 'nothing', rps: 'RPS', static: 'cpumap, static', balanced: 'cpumap, balanced' }[
          row.mode
        ],
        ...names.map((name) =>
          name === 'spreadPoints' ? formatFixed(row[name], 0) : formatCount(Math.round(row[name])),
        ),
      ]),
    ),
  );
  print(
    'Medians. Out of order and retransmitted: TCP segments at either end; CPU spread: busiest less idlest, points, with the client on the same CPUs. stayed: frames that followed earlier ones of their flow to their old CPU. Published on 18 cores: busiest CPU 100 to 67 %, 99 % of RTT 1,412 to 534 µs; with the client on these CPUs a direction only.',
  );
}
