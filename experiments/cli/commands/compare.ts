// `reframer compare RUN_A RUN_B`: what changed from the first run to the second, with an exit code.
import type { Command } from 'commander';

import { describeParams } from '../../core/points.js';
import { findExperiment } from '../../core/registry.js';
import { findRun } from '../../core/runs.js';
import { metricOf } from '../../core/summary.js';
import type { Experiment } from '../../core/types.js';
import {
  compareRuns,
  type Comparison,
  type ComparedPoint,
  type PooledPoints,
} from '../../report/compare.js';
import { number, percentChange, ratioText } from '../../report/text.js';
import { exitCodes, UsageError } from '../errors.js';
import { print, printJson, printVerdicts, renderTable, talk } from '../output.js';

interface Options {
  threshold: string;
  allowUnlike?: boolean;
  all?: boolean;
  wide?: boolean;
  json?: boolean;
}

// What does not fit a screen or two is told as a number.
const mostRows = 40;

/** What changed, the largest changes first. */
function changed(points: readonly ComparedPoint[]): ComparedPoint[] {
  const size = ({ ratio }: ComparedPoint): number => Math.abs(Math.log(ratio.value));
  return points
    .filter(({ change }) => change === 'better' || change === 'worse')
    .sort((a, b) => size(b) - size(a));
}

export function register(program: Command): void {
  program
    .command('compare')
    .description(
      'compare two runs point by point; exit code 4 when the second is worse, 3 when that cannot be told',
    )
    .argument('<before>', 'run: folder, name, or `latest`')
    .argument('<after>', 'run: folder, name, or `latest`')
    .option('--threshold <share>', 'smallest change that counts', '5%')
    .option('--allow-unlike', 'compare runs of unlike machines, engines, profiles or parameters')
    .option('--all', 'every point and metric; otherwise what changed of those that decide')
    .option('--wide', 'every column in full, however wide the terminal is')
    .option('--json', 'print JSON')
    .action(compare);
}

function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1);
  if (!(value >= 0 && value < 1))
    throw new UsageError(`--threshold: '${text}' is not a share; write 5% or 0.05`);
  return value;
}

const wordOf = ({ change, n }: ComparedPoint): string =>
  change === 'too few' ? `n = ${n}: no verdict` : change;

/** Of points with too few values each. */
function pooledLine(
  { part, metric, points, up, down, ratio, p, change }: PooledPoints,
  experiment: Experiment,
): string {
  const label = `${part}, ${metricOf(experiment, metric).label}, ${points} points with too few values each`;
  const median = Number.isFinite(ratio)
    ? `the median point by ${percentChange(ratio)}`
    : 'without a ratio';
  const chance = p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`;
  const word = change === 'too few' ? 'too few to tell' : change;
  return `${label}: ${up} rose and ${down} fell in all their samples, ${median} (${chance}): ${word}`;
}

/** 4 when something is worse; 3 when something that decides is open; else 0. */
const exitCodeOf = ({ regressions, undecided }: Comparison): number =>
  regressions > 0 ? exitCodes.regression : undecided > 0 ? exitCodes.notSupported : exitCodes.ok;

function compare(before: string, after: string, options: Options): void {
  const [a, b] = [findRun(before), findRun(after)];
  const experiment = findExperiment(a.history.run.experiment);
  const deciding = options.all !== true && options.json !== true;
  const comparison = compareRuns(a, b, experiment, {
    threshold: parseShare(options.threshold),
    allowUnlike: options.allowUnlike === true,
    deciding,
  });
  process.exitCode = exitCodeOf(comparison);
  if (options.json === true) return printJson(comparison);
  const shown = comparison.points.filter(
    (p) => options.all === true || p.gate || !comparison.points.some((q) => q.gate),
  );
  const listed = options.all === true ? shown : changed(shown);
  const printed = options.all === true ? listed : listed.slice(0, mostRows);
  const rows = printed.map((p) => {
    const metric = metricOf(experiment, p.metric);
    const digits = metric.digits ?? 2;
    return [
      p.part,
      describeParams(p.params),
      metric.label,
      number(p.before, digits),
      number(p.after, digits),
      ratioText(p.ratio),
      wordOf(p),
    ];
  });
  if (rows.length > 0)
    printVerdicts(
      renderTable(
        [
          { title: 'part', align: 'left' },
          { title: 'point', align: 'left' },
          { title: 'metric', align: 'left' },
          { title: 'before' },
          { title: 'after' },
          { title: 'change (95 % interval)' },
          { title: 'verdict', align: 'left' },
        ],
        rows,
        { wide: options.wide === true },
      ),
    );
  else print('nothing changed that the runs can tell; --all lists every point');
  if (printed.length < listed.length)
    print(`and ${listed.length - printed.length} smaller changes: --all lists them`);
  const moved = comparison.pooled.filter((p) => p.change !== 'too few');
  for (const pooled of options.all === true ? comparison.pooled : moved)
    print(pooledLine(pooled, experiment));
  const still = comparison.pooled.length - moved.length;
  if (options.all !== true && still > 0)
    print(
      `${still} ${still === 1 ? 'group' : 'groups'} of points with too few values each: no shift that the runs can tell; --all lists them`,
    );
  const count = (change: string): number => shown.filter((p) => p.change === change).length;
  const few = count('too few');
  print(
    `\n${shown.length} compared: ${count('no change')} no change, ${count('better')} better, ${count('worse')} worse, ` +
      `${count('undecided')} undecided${few > 0 ? `, ${few} with too few values` : ''}; ` +
      `no change: the whole interval within ${(comparison.threshold * 100).toFixed(1)} %; better and worse: beyond that, and beyond what a run differs from itself`,
  );
  if (comparison.regressions === 0 && comparison.undecided > 0) {
    talk(
      `not decided: whether ${comparison.undecided} points are worse${few > 0 ? `; ${few} of them have fewer than six values in a run` : ''}`,
    );
  }
  if (comparison.onlyBefore + comparison.onlyAfter > 0)
    talk(`points in one run only: ${comparison.onlyBefore} before, ${comparison.onlyAfter} after`);
  for (const note of comparison.notes) talk(`note: ${note}`);
}
