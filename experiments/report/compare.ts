// Two runs, point by point.
import type { Run } from '../core/runs.js';
import { machineFingerprint } from '../core/context.js';
import { enginesOf } from '../core/engines.js';
import type { History } from '../core/history.js';
import { HarnessError } from '../core/errors.js';
import { seedFrom } from '../core/random.js';
import { poolShifts, type Pooled } from '../core/pooled.js';
import {
  fewestValues,
  noInterval,
  pairedRatio,
  unpairedRatio,
  type Interval,
} from '../core/statistics.js';
import type { PointSummary } from '../core/point-summary.js';
import { metricOf, summarize, type Summary } from '../core/summary.js';
import { repeatability, visitsOf } from './repeat.js';
import type { Experiment, Metric, Params } from '../core/types.js';
import { canonicalJson } from '../core/hash.js';

export type Change = 'better' | 'worse' | 'no change' | 'undecided' | 'too few';

export interface ComparedPoint {
  part: string;
  params: Params;
  metric: string;
  before: number;
  after: number;
  /** After over before. */
  ratio: Interval;
  /** The fewer of the two runs' values. */
  n: number;
  /** What it must exceed to count: the threshold, or the size of differences that come from nothing in these runs. */
  margin: number;
  change: Change;
  gate: boolean;
}

/** Points with too few values, taken together: of one part and metric. */
export interface PooledPoints extends Pooled {
  part: string;
  metric: string;
  change: 'better' | 'worse' | 'too few';
}

export interface Comparison {
  experiment: string;
  threshold: number;
  points: ComparedPoint[];
  pooled: PooledPoints[];
  onlyBefore: number;
  onlyAfter: number;
  /** Deciding points that are worse, alone or together with others. */
  regressions: number;
  /** Deciding points of which nothing can be said. */
  undecided: number;
  notes: string[];
}

/**
 * No change takes the whole interval inside the threshold; a change must exceed the margin, which is the
 * noise of the runs where that is more. A wide interval decides nothing.
 */
export function changeOf(
  ratio: Interval,
  { direction }: Pick<Metric, 'direction'>,
  { threshold, margin }: { threshold: number; margin: number },
  n: number,
): Change {
  if (n < fewestValues) return 'too few';
  if ([ratio.value, ratio.low, ratio.high].some(Number.isNaN)) return 'undecided';
  if (ratio.low >= 1 - threshold && ratio.high <= 1 + threshold) return 'no change';
  const apart = ratio.low > 1 || ratio.high < 1;
  if (!apart || Math.abs(ratio.value - 1) <= margin) return 'undecided';
  return ratio.value > 1 === (direction === 'higher') ? 'better' : 'worse';
}

/** Too few values a point may still be many points that all moved: the rule is in core/pooled.ts. */
function poolFew(
  points: readonly (ComparedPoint & { values: readonly [readonly number[], readonly number[]] })[],
  experiment: Experiment,
): PooledPoints[] {
  const few = points.filter((p) => p.change === 'too few');
  const keys = [...new Set(few.map((p) => `${p.part}/${p.metric}`))];
  return keys.map((key) => {
    const own = few.filter((p) => `${p.part}/${p.metric}` === key);
    const { part, metric, margin } = own[0] as ComparedPoint;
    const pooled = poolShifts(
      own.map(({ values: [before, after] }) => ({ before, after })),
      margin,
    );
    const { direction } = metricOf(experiment, metric);
    const change =
      pooled.moved === 'no'
        ? 'too few'
        : (pooled.moved === 'up') === (direction === 'higher')
          ? 'better'
          : 'worse';
    return { ...pooled, part, metric, change };
  });
}

/**
 * After over before. Runs of one seed met the same traffic block by block: each visit then has its partner in the
 * other run, and what the traffic of a block does to the figure cancels out.
 */
function ratioOf(
  before: { history: History; point: PointSummary },
  after: { history: History; point: PointSummary },
  metric: Metric,
): Interval {
  const { key } = metric;
  const [x, y] = [before.point.values[key] ?? [], after.point.values[key] ?? []];
  const [m0, m1] = [before.point.metrics[key]?.value ?? 0, after.point.metrics[key]?.value ?? 0];
  // Nothing to divide by: equal zeros are equal, anything else has no ratio.
  if (m0 === 0 || m1 === 0) {
    const equal = [...x, ...y].every((v) => v === 0);
    return equal && Math.min(x.length, y.length) >= fewestValues
      ? { value: 1, low: 1, high: 1 }
      : { value: equal ? 1 : Number.NaN, ...noInterval };
  }
  const seed = seedFrom('compare', after.point.id, key);
  const ours = visitsOf(after.history, after.point, metric);
  const pairs = [...visitsOf(before.history, before.point, metric)].flatMap(([visit, theirs]) => {
    const mine = ours.get(visit);
    return mine === undefined ? [] : [[mine, theirs] as const];
  });
  return pairs.length >= fewestValues
    ? pairedRatio(pairs, metric.direction)
    : unpairedRatio(y, x, seed);
}

/** Warnings that tell of time taken by others: it does not fall on both runs alike. */
const disturbances = ['other-load', 'steal', 'void-trials'];

function disturbed({ warnings }: Summary): string {
  const controls = warnings.filter(({ name }) => name === 'control').length;
  return [
    ...warnings.filter(({ name }) => disturbances.includes(name)).map(({ seen }) => seen),
    ...(controls > 0 ? [`${controls} of its controls came out as a change`] : []),
  ].join('; ');
}

const keyOf = (p: PointSummary): string => canonicalJson([p.part, p.params]);

/** A point that two engines measured has two figures, not one that changed. */
function mixedEngines(before: History, after: History): string | undefined {
  const engines = (history: History): Map<string, string> =>
    new Map(
      [...history.points.values()].map((p) => [
        canonicalJson([p.part, p.params, p.control]),
        enginesOf(history.samples.get(p.id) ?? [], p),
      ]),
    );
  const theirs = engines(before);
  const found = new Set<string>();
  for (const [point, engine] of engines(after)) {
    const other = theirs.get(point);
    if (other !== undefined && other !== engine) found.add(`${other} and ${engine}`);
  }
  return found.size === 0
    ? undefined
    : `the engines of the same points differ (${[...found].join('; ')})`;
}

function checkAlike(before: Run, after: Run, allow: boolean): string[] {
  const problems: string[] = [];
  const [a, b] = [before.history, after.history];
  if (a.run.experiment !== b.run.experiment)
    throw new HarnessError(
      'unlike-runs',
      `one run is of ${a.run.experiment}, the other of ${b.run.experiment}: nothing to compare`,
      2,
    );
  if (machineFingerprint(a.context) !== machineFingerprint(b.context))
    problems.push('the machines differ');
  if (a.context.engine !== b.context.engine)
    problems.push(
      `the engines differ (${[a, b].map((run) => (typeof run.context.engine === 'string' ? run.context.engine : JSON.stringify(run.context.engine))).join(', ')})`,
    );
  const mixed = mixedEngines(a, b);
  if (mixed !== undefined) problems.push(mixed);
  if (a.run.profile !== b.run.profile)
    problems.push(`the profiles differ (${a.run.profile}, ${b.run.profile})`);
  if (a.run.seed !== b.run.seed)
    problems.push(`the seeds differ (${a.run.seed}, ${b.run.seed}): other traffic`);
  // Same parameters, other specification: durations, queues and the like.
  const specs = new Map(
    [...a.points.values()].map((p) => [
      canonicalJson([p.part, p.params, p.control]),
      canonicalJson(p.spec),
    ]),
  );
  const other = [...b.points.values()].filter((p) => {
    const theirs = specs.get(canonicalJson([p.part, p.params, p.control]));
    return theirs !== undefined && theirs !== canonicalJson(p.spec);
  });
  if (other.length > 0)
    problems.push(`${other.length} points have other specifications under the same parameters`);
  if (problems.length > 0 && !allow)
    throw new HarnessError(
      'unlike-runs',
      `${problems.join('; ')}; --allow-unlike compares them all the same`,
      2,
    );
  return problems;
}

/** `deciding`: of metrics that decide only, where there are any. */
export function compareRuns(
  before: Run,
  after: Run,
  experiment: Experiment,
  options: { threshold: number; allowUnlike: boolean; deciding?: boolean },
): Comparison {
  const notes = checkAlike(before, after, options.allowUnlike);
  const [a, b] = [
    summarize(experiment, before.history, 'medians'),
    summarize(experiment, after.history, 'medians'),
  ];
  const decides = (key: string): boolean => metricOf(experiment, key).gate === true;
  const onlyDeciding =
    options.deciding === true &&
    b.points.some((p) => !p.control && Object.keys(p.metrics).some(decides));
  const noise = new Map<string, number>();
  const of = (summary: Summary, part: string): PointSummary[] =>
    summary.points.filter((p) => p.part === part);
  const marginOf = (part: string, metric: Metric): number => {
    const name = `${part}/${metric.key}`;
    const known =
      noise.get(name) ??
      Math.max(
        repeatability(before.history, of(a, part), metric),
        repeatability(after.history, of(b, part), metric),
      );
    noise.set(name, known);
    return Math.max(options.threshold, known);
  };
  for (const [name, summary] of [
    ['first', a],
    ['second', b],
  ] as const) {
    if (!summary.complete) notes.push(`the ${name} run is unfinished`);
    const seen = disturbed(summary);
    if (seen !== '') notes.push(`the ${name} run was disturbed: ${seen}; changes may be its doing`);
  }
  const theirs = new Map(a.points.filter((p) => !p.control).map((p) => [keyOf(p), p]));
  const ours = b.points.filter((p) => !p.control);
  const compared = ours.flatMap((after_) => {
    const before_ = theirs.get(keyOf(after_));
    if (before_ === undefined) return [];
    return Object.keys(after_.metrics).flatMap((key) => {
      const metric = metricOf(experiment, key);
      const [x, y] = [before_.values[key], after_.values[key]];
      if (
        metric.direction === 'neutral' ||
        (onlyDeciding && metric.gate !== true) ||
        x === undefined ||
        y === undefined
      )
        return [];
      const ratio = ratioOf(
        { history: before.history, point: before_ },
        { history: after.history, point: after_ },
        metric,
      );
      const margin = marginOf(after_.part, metric);
      const n = Math.min(x.length, y.length);
      const [was, is] = [before_.metrics[key]?.value ?? 0, after_.metrics[key]?.value ?? 0];
      return [
        {
          part: after_.part,
          params: after_.params,
          metric: key,
          before: was,
          after: is,
          ratio,
          n,
          margin,
          change: changeOf(ratio, metric, { threshold: options.threshold, margin }, n),
          gate: metric.gate === true,
          values: [x, y] as const,
        },
      ];
    });
  });
  const pooled = poolFew(compared, experiment);
  const points = compared.map(({ values: _values, ...point }) => point satisfies ComparedPoint);
  const matched = ours.filter((p) => theirs.has(keyOf(p))).length;
  if (matched === 0) throw new HarnessError('unlike-runs', 'the runs have no point in common', 2);
  // Of the metrics that decide only: the others show their margin in --json.
  const shaky = [...noise].filter(
    ([name, size]) =>
      size > options.threshold && points.some((p) => p.gate && name === `${p.part}/${p.metric}`),
  );
  if (shaky.length > 0)
    notes.push(
      `a run compared with itself differs by up to ${shaky
        .sort(([, x], [, y]) => y - x)
        .map(([name, size]) => `${(size * 100).toFixed(0)} % in ${name}`)
        .join(', ')}; no smaller change is called better or worse there`,
    );
  const deciding = points.some((p) => p.gate) ? points.filter((p) => p.gate) : points;
  const decides_ = (p: { part: string; metric: string }): boolean =>
    deciding.some((q) => q.part === p.part && q.metric === p.metric);
  const together = pooled
    .filter((p) => p.change === 'worse' && decides_(p))
    .reduce((sum, p) => sum + Math.max(p.up, p.down), 0);
  return {
    experiment: experiment.name,
    threshold: options.threshold,
    points,
    pooled,
    onlyBefore: theirs.size - matched,
    onlyAfter: ours.length - matched,
    regressions: points.filter((p) => p.gate && p.change === 'worse').length + together,
    undecided: deciding.filter((p) => p.change === 'undecided' || p.change === 'too few').length,
    notes,
  };
}
