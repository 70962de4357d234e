// Two runs, point by point.
import type { Run } from '../core/runs.js';
import { machineFingerprint } from '../core/context.js';
import type { History } from '../core/history.js';
import { HarnessError } from '../core/errors.js';
import { seedFrom } from '../core/random.js';
import { fewestPairs, pairedRatio, unpairedRatio, type Interval } from '../core/statistics.js';
import { metricOf, summarize, type PointSummary } from '../core/summary.js';
import { repeatability, visitsOf } from './repeat.js';
import type { Experiment, Metric, Params } from '../core/types.js';
import { canonicalJson } from '../core/hash.js';

export type Change = 'better' | 'worse' | 'no change' | 'inconclusive';

export interface ComparedPoint {
  part: string;
  params: Params;
  metric: string;
  before: number;
  after: number;
  /** After over before. */
  ratio: Interval;
  /** What it must exceed to count: the threshold, or the size of differences that come from nothing in these runs. */
  margin: number;
  change: Change;
  gate: boolean;
}

export interface Comparison {
  experiment: string;
  threshold: number;
  points: ComparedPoint[];
  onlyBefore: number;
  onlyAfter: number;
  regressions: number;
  notes: string[];
}

function changeOf(ratio: Interval, metric: Metric, margin: number, samples: number): Change {
  const certain = samples >= fewestPairs && (ratio.low > 1 || ratio.high < 1);
  if (Math.abs(ratio.value - 1) <= margin) return 'no change';
  if (!certain) return 'inconclusive';
  const grew = ratio.value > 1;
  return grew === (metric.direction === 'higher') ? 'better' : 'worse';
}

/**
 * After over before. Runs of one seed met the same traffic block by block: each visit then has its partner in the
 * other run, and what the traffic of a block does to the figure cancels out.
 */
function ratioOf(before: { history: History; point: PointSummary }, after: { history: History; point: PointSummary }, metric: Metric): Interval {
  const { key } = metric;
  const [x, y] = [before.point.values[key] ?? [], after.point.values[key] ?? []];
  const [m0, m1] = [before.point.metrics[key]?.value ?? 0, after.point.metrics[key]?.value ?? 0];
  // Nothing to divide by: equal zeros are equal, anything else has no ratio.
  if (m0 === 0 || m1 === 0) return m0 === m1 ? { value: 1, low: 1, high: 1 } : { value: Number.NaN, low: Number.NaN, high: Number.NaN };
  const seed = seedFrom('compare', after.point.id, key);
  const ours = visitsOf(after.history, after.point.id, metric);
  const pairs = [...visitsOf(before.history, before.point.id, metric)].flatMap(([visit, theirs]) => {
    const mine = ours.get(visit);
    return mine === undefined ? [] : [[mine, theirs] as const];
  });
  return pairs.length >= fewestPairs ? pairedRatio(pairs, metric.direction, seed) : unpairedRatio(y, x, seed);
}

/** Warnings that tell of time taken by others: it does not fall on both runs alike. */
const disturbances = ['other-load', 'steal', 'void-trials', 'control'];

const keyOf = (p: PointSummary): string => canonicalJson([p.part, p.params]);

function checkAlike(before: Run, after: Run, allow: boolean): string[] {
  const problems: string[] = [];
  const [a, b] = [before.history, after.history];
  if (a.run.experiment !== b.run.experiment) throw new HarnessError('unlike-runs', `one run is of ${a.run.experiment}, the other of ${b.run.experiment}: nothing to compare`, 2);
  if (machineFingerprint(a.context) !== machineFingerprint(b.context)) problems.push('the machines differ');
  if (a.context.engine !== b.context.engine) problems.push(`the engines differ (${String(a.context.engine)}, ${String(b.context.engine)})`);
  if (a.run.profile !== b.run.profile) problems.push(`the profiles differ (${a.run.profile}, ${b.run.profile})`);
  if (a.run.seed !== b.run.seed) problems.push(`the seeds differ (${a.run.seed}, ${b.run.seed}): other traffic`);
  // Same parameters, other specification: durations, queues and the like.
  const specs = new Map([...a.points.values()].map((p) => [canonicalJson([p.part, p.params, p.control]), canonicalJson(p.spec)]));
  const other = [...b.points.values()].filter((p) => {
    const theirs = specs.get(canonicalJson([p.part, p.params, p.control]));
    return theirs !== undefined && theirs !== canonicalJson(p.spec);
  });
  if (other.length > 0) problems.push(`${other.length} points have other specifications under the same parameters`);
  if (problems.length > 0 && !allow) throw new HarnessError('unlike-runs', `${problems.join('; ')}; --allow-unlike compares them all the same`, 2);
  return problems;
}

/** `deciding`: of metrics that decide only, where there are any. */
export function compareRuns(before: Run, after: Run, experiment: Experiment, options: { threshold: number; allowUnlike: boolean; deciding?: boolean }): Comparison {
  const notes = checkAlike(before, after, options.allowUnlike);
  const [a, b] = [summarize(experiment, before.history, 'medians'), summarize(experiment, after.history, 'medians')];
  const decides = (key: string): boolean => metricOf(experiment, key).gate === true;
  const onlyDeciding = options.deciding === true && b.points.some((p) => !p.control && Object.keys(p.metrics).some(decides));
  const noise = new Map<string, number>();
  const marginOf = (part: string, metric: Metric): number => {
    const name = `${part}/${metric.key}`;
    const known = noise.get(name) ?? Math.max(repeatability(before.history, part, metric), repeatability(after.history, part, metric));
    noise.set(name, known);
    return Math.max(options.threshold, known);
  };
  for (const [name, summary] of [['first', a], ['second', b]] as const) {
    if (!summary.complete) notes.push(`the ${name} run is unfinished`);
    for (const { name: warning, seen } of summary.warnings) if (disturbances.includes(warning)) notes.push(`the ${name} run was disturbed: ${seen}; changes may be its doing`);
  }
  const theirs = new Map(a.points.filter((p) => !p.control).map((p) => [keyOf(p), p]));
  const ours = b.points.filter((p) => !p.control);
  const points = ours.flatMap((after_) => {
    const before_ = theirs.get(keyOf(after_));
    if (before_ === undefined) return [];
    return Object.keys(after_.metrics).flatMap((key) => {
      const metric = metricOf(experiment, key);
      const [x, y] = [before_.values[key], after_.values[key]];
      if (metric.direction === 'neutral' || (onlyDeciding && metric.gate !== true) || x === undefined || y === undefined) return [];
      const ratio = ratioOf({ history: before.history, point: before_ }, { history: after.history, point: after_ }, metric);
      const margin = marginOf(after_.part, metric);
      const change = Number.isNaN(ratio.value) ? 'inconclusive' : changeOf(ratio, metric, margin, Math.min(x.length, y.length));
      const [was, is] = [before_.metrics[key]?.value ?? 0, after_.metrics[key]?.value ?? 0];
      return [{ part: after_.part, params: after_.params, metric: key, before: was, after: is, ratio, margin, change, gate: metric.gate === true } satisfies ComparedPoint];
    });
  });
  const matched = ours.filter((p) => theirs.has(keyOf(p))).length;
  if (matched === 0) throw new HarnessError('unlike-runs', 'the runs have no point in common', 2);
  // Of the metrics that decide only: the others show their margin in --json.
  for (const [name, size] of noise) if (size > options.threshold && points.some((p) => p.gate && name === `${p.part}/${p.metric}`)) notes.push(`${name.replace('/', ': ')} differs by up to ${(size * 100).toFixed(1)} % when a run is compared with itself; smaller changes are not told apart`);
  return {
    experiment: experiment.name, threshold: options.threshold, points, onlyBefore: theirs.size - matched, onlyAfter: ours.length - matched,
    regressions: points.filter((p) => p.gate && p.change === 'worse').length, notes,
  };
}
