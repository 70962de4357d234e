// The outcome of a run, from its journal alone.
import { counted } from './count.js';
import { median } from 'simple-statistics';

import { costRefused } from './backlog.js';
import { budgetOf, withBudget } from './budget.js';
import { judgeClaims, type ClaimResult } from './claims.js';
import { blocksOf, numberAt, type History } from './history.js';
import type { PointRecord, SampleRecord, WarningRecord } from './records.js';
import { shortHash } from './hash.js';
import { runWarnings } from './noise.js';
import { engineMember, enginesOf } from './engines.js';
import type { PointSummary } from './point-summary.js';
import { seedFrom } from './random.js';
import {
  equivalenceMargin,
  fewestValues,
  medianInterval,
  noInterval,
  outliers,
  pairedRatio,
  permutationP,
  type Interval,
  type Ratio,
} from './statistics.js';
import type {
  Experiment,
  JsonObject,
  Metric,
  Params,
  Part,
  Plan,
  RunOptions,
  Trace,
} from './types.js';
import { countVerdicts, type VerdictCounts } from './verdict.js';

export interface ControlResult {
  setting: string;
  params: Params;
  metric: string;
  ratio: Ratio;
  verdict: 'no change' | 'changed' | 'undecided' | 'too few';
}

/** The pairs of all controls, each of its own setting's metric, as if they were of one. */
export interface PooledControl {
  settings: number;
  ratio: Ratio;
  verdict: ControlResult['verdict'];
}

export interface Summary {
  v: 1;
  experiment: string;
  title: string;
  profile: RunOptions['profile'];
  seed: number;
  started: string;
  complete: boolean;
  pointsPlanned: number;
  /** Points with samples. A point whose record tells about several others counts once, whatever `points` holds of it. */
  pointsMeasured: number;
  points: PointSummary[];
  claims: ClaimResult[];
  /** Published values and aims of this project, counted apart. */
  verdicts: VerdictCounts;
  warnings: WarningRecord[];
  control: ControlResult[];
  controlPooled: PooledControl | null;
  noise: JsonObject;
  context: JsonObject;
  samples: number;
  setAside: number;
  overheadShare: number | null;
}

export function metricOf(experiment: Experiment, key: string): Metric {
  const metric = experiment.metrics.find((m) => m.key === key);
  if (metric === undefined) throw new Error(`experiment ${experiment.name} has no metric ${key}`);
  return metric;
}

export function planOf(experiment: Experiment, history: History): Plan {
  const traces: Trace[] = history.run.traces.map((t) => ({ ...t, file: t.name }));
  const { profile, seed, bed } = history.run;
  const plan = experiment.plan({ profile, seed, traces, ...(bed === undefined ? {} : { bed }) });
  return withBudget(plan, budgetOf(history.context));
}

const valueOf = (metric: Metric, sample: SampleRecord, prefix = ''): number | undefined => {
  const value = numberAt(sample.record, prefix + metric.path);
  return value === undefined ? undefined : value * (metric.scale ?? 1);
};

/**
 * Pairs a half block each: forward half with forward half, so that neither stands first more often.
 * A block of a deterministic part has each contender once and is one half.
 */
function pairsOf(
  history: History,
  point: string,
  baseline: string,
  metric: Metric,
  prefix = '',
): [number, number][] {
  const pairs: [number, number][] = [];
  for (const { record, slots } of blocksOf(history, point)) {
    const once = new Set(record.order).size === record.order.length;
    const half = once ? record.order.length : record.order.length / 2;
    for (const start of once ? [0] : [0, half]) {
      const find = (id: string): number | undefined => {
        const slot = record.order.findIndex(
          (other, i) => other === id && i >= start && i < start + half,
        );
        const sample = slot < 0 ? undefined : slots[slot];
        return sample === undefined ? undefined : valueOf(metric, sample, prefix);
      };
      const ours = find(point);
      const theirs = find(baseline);
      if (ours !== undefined && theirs !== undefined) pairs.push([ours, theirs]);
    }
  }
  return pairs;
}

/** `medians`: no intervals, ratios and outliers except of controls; for who has other use for the samples. */
export type Detail = 'full' | 'medians';

const medianOf = (values: readonly number[], detail: Detail): Interval => {
  if (detail === 'full') return medianInterval(values);
  return { value: median([...values]), ...noInterval };
};

const noFigures = () => ({
  metrics: {},
  refused: {},
  ratios: {},
  permutationP: {},
  outliers: {},
  values: {},
});

/** One trial whose queue ran empty is enough: leaving out just those would favour the slow ones. */
function refusal(
  metric: Metric,
  samples: readonly SampleRecord[],
  point: PointRecord,
): string | undefined {
  const { backlog } = metric;
  if (backlog === undefined) return undefined;
  return samples
    .map((s) => costRefused(backlog, s.record, point.spec))
    .find((why) => why !== undefined);
}

function summarizePoint(
  history: History,
  point: PointRecord,
  metrics: readonly Metric[],
  baseline: PointRecord | undefined,
  detail: Detail,
): PointSummary {
  const samples = history.samples.get(point.id) ?? [];
  const theirSamples = baseline === undefined ? [] : (history.samples.get(baseline.id) ?? []);
  const { id, part, setting, params, control } = point;
  const summary: PointSummary = {
    id,
    part,
    setting,
    params,
    control,
    samples: samples.length,
    warmups: history.warmups.get(id)?.length ?? 0,
    stopped: history.done.get(id)?.reason ?? 'unfinished',
    ...engineMember(enginesOf(samples, point)),
    ...noFigures(),
  };
  for (const metric of metrics) {
    const values = samples.flatMap((s) => valueOf(metric, s) ?? []);
    if (values.length === 0) continue;
    const { key, direction } = metric;
    const refused = refusal(metric, samples, point);
    if (refused !== undefined) {
      summary.refused[key] = refused;
      continue;
    }
    summary.values[key] = values;
    summary.metrics[key] = medianOf(values, detail);
    if (detail === 'medians' && !control) continue;
    summary.outliers[key] = outliers(values).length;
    if (baseline === undefined || baseline.id === id || direction === 'neutral') continue;
    if (refusal(metric, theirSamples, baseline) !== undefined) continue;
    summary.ratios[key] = pairedRatio(pairsOf(history, id, baseline.id, metric), direction);
    const theirs = theirSamples.flatMap((s) => valueOf(metric, s) ?? []);
    const p = permutationP(values, theirs, seedFrom('permutation', id, key));
    summary.permutationP[key] = Number.isFinite(p) ? p : null;
  }
  return summary;
}

/** Points that lie inside the records of another one. */
function unfoldPoint(
  history: History,
  point: PointSummary,
  part: Part,
  metrics: readonly Metric[],
  baseline: PointRecord | undefined,
  detail: Detail,
): PointSummary[] {
  const samples = history.samples.get(point.id) ?? [];
  const axis = part.contenders?.axis ?? 'contender';
  return (part.unfold ?? []).flatMap(({ params, path }) => {
    // Inner parameters make a setting of their own, apart from the contender's name.
    const own = Object.fromEntries(Object.entries(params).filter(([name]) => name !== axis));
    const inner: PointSummary = {
      ...point,
      id: shortHash({ outer: point.id, params }),
      params: { ...point.params, ...params },
      setting: `${part.name}:${shortHash({ outer: point.setting, own })}`,
      inside: { point: point.id, path },
      ...noFigures(),
    };
    const prefix = path === '' ? '' : `${path}.`;
    for (const metric of metrics) {
      const values = samples.flatMap((s) => valueOf(metric, s, prefix) ?? []);
      if (values.length === 0) continue;
      // Of the control alone: the others' ratios would be hundreds that no one reads.
      if (point.control && baseline !== undefined && metric.key === part.headline) {
        const pairs = pairsOf(history, point.id, baseline.id, metric, prefix);
        inner.ratios[metric.key] = pairedRatio(pairs, metric.direction);
      }
      inner.values[metric.key] = values;
      inner.metrics[metric.key] = medianOf(values, detail);
    }
    return Object.keys(inner.metrics).length > 0 ? [inner] : [];
  });
}

const baselineOf = (history: History, part: Part, setting: string): PointRecord | undefined => {
  const { contenders } = part;
  if (contenders === undefined) return undefined;
  return [...history.points.values()].find(
    (p) => p.setting === setting && !p.control && p.params[contenders.axis] === contenders.baseline,
  );
};

/** Same against same: nothing is found unless the interval leaves 1 out. */
function controlWord(
  { verdict, pairs, value, low, high }: Ratio,
  margin = 0,
): ControlResult['verdict'] {
  if (pairs < fewestValues) return 'too few';
  if ([value, low, high].some(Number.isNaN)) return 'undecided';
  return (verdict === 'better' || verdict === 'worse') && Math.abs(value - 1) > margin
    ? 'changed'
    : 'no change';
}

function controls(points: readonly PointSummary[], parts: readonly Part[]): ControlResult[] {
  return points
    .filter((p) => p.control)
    .flatMap((point) => {
      const metric = parts.find((p) => p.name === point.part)?.headline ?? '';
      const ratio = point.ratios[metric];
      if (ratio === undefined) return [];
      const { setting, params } = point;
      return [
        { setting, params, metric, ratio, verdict: controlWord(ratio) } satisfies ControlResult,
      ];
    });
}

/** Where single controls have too few pairs for a word: does the same against itself come out even over all of them? */
function poolControls(
  history: History,
  points: readonly PointSummary[],
  plan: Plan,
  experiment: Experiment,
): PooledControl | null {
  const pairs = points
    .filter((p) => p.control)
    .flatMap((point) => {
      const part = plan.parts.find((p) => p.name === point.part);
      const baseline = part === undefined ? undefined : baselineOf(history, part, point.setting);
      const found =
        part === undefined || baseline === undefined
          ? []
          : pairsOf(history, point.id, baseline.id, metricOf(experiment, part.headline));
      return found.length > 0 ? [found] : [];
    });
  if (pairs.length === 0) return null;
  const ratio = pairedRatio(pairs.flat(), 'higher');
  return { settings: pairs.length, ratio, verdict: controlWord(ratio, equivalenceMargin) };
}

/** `points`: as they were measured, before records that tell about several points are taken apart. */
function resultWarnings(
  summary: Pick<Summary, 'points' | 'control' | 'profile'>,
  plan: Plan,
  history: History,
  unmeasured: number,
  pooled: PooledControl | null,
): WarningRecord[] {
  const found: WarningRecord[] = [];
  const more =
    summary.profile === 'full' ? 'run again when the machine is quieter' : 'run with --full';
  const blocksOf = new Map<string, number>();
  for (const { record } of history.blocks)
    for (const id of new Set(record.order)) blocksOf.set(id, (blocksOf.get(id) ?? 0) + 1);
  const short = (p: PointSummary): boolean =>
    p.stopped === 'limit' && (blocksOf.get(p.id) ?? 0) < plan.profile.blocks.min;
  const add = (name: string, seen: string, remedy: string): number =>
    found.push({ type: 'warning', name, seen, remedy });
  for (const { ratio, metric, verdict } of summary.control) {
    if (verdict === 'changed')
      add(
        'control',
        `the baseline against itself came out as ${((ratio.value - 1) * 100).toFixed(1)} % on ${metric}`,
        'take differences of that size for noise; quieten the machine and run again',
      );
  }
  if (pooled?.verdict === 'changed' && summary.control.every((c) => c.verdict === 'too few')) {
    add(
      'control',
      `over all controls the baseline against itself came out as ${((pooled.ratio.value - 1) * 100).toFixed(1)} %`,
      'take differences of that size for noise; quieten the machine and run again',
    );
  }
  const few = summary.points.filter(
    (p) => Object.values(p.ratios).some((r) => r.pairs < 10) && !p.control,
  ).length;
  if (few > 0)
    add('few-pairs', `${counted(few, 'point rests', 'points rest')} on fewer than 10 pairs`, more);
  const odd = summary.points.reduce((sum, p) => sum + Math.max(0, ...Object.values(p.outliers)), 0);
  if (odd > 0)
    add(
      'outliers',
      `${counted(odd, 'sample lies far from its', 'samples lie far from their')} median; ${odd === 1 ? 'it is' : 'they are'} counted like the others`,
      'look at the box figure; stop other programs',
    );
  const unsettled = summary.points.filter(
    (p) =>
      p.stopped !== 'once' &&
      p.stopped !== 'found' &&
      p.warmups >= plan.profile.warmup.max &&
      plan.profile.warmup.max > 2,
  ).length;
  if (unsettled > 0)
    add(
      'warm-up',
      `${counted(unsettled, 'point')} still drifted after ${plan.profile.warmup.max} warm-up trials`,
      'let the machine settle, then run again',
    );
  if (unmeasured > 0)
    add(
      'no-samples',
      `${counted(unmeasured, 'point has', 'points have')} no sample that may be used: every trial was void or failed`,
      'keep other programs off the processors, then run again',
    );
  const cut = summary.points.filter(short).length;
  if (cut > 0)
    add(
      'time-limit',
      `${counted(cut, 'point')} had fewer than ${plan.profile.blocks.min} blocks when the time limit of ${plan.profile.limitSeconds} s was reached`,
      more,
    );
  const wide = summary.points.filter(
    (p) => ['budget', 'blocks', 'limit'].includes(p.stopped) && !short(p),
  ).length;
  if (wide > 0)
    add(
      'wide-intervals',
      `${counted(wide, 'point')} ended on the number of blocks or the budget before ${wide === 1 ? 'its' : 'their'} interval was as narrow as asked`,
      more,
    );
  return found;
}

export function summarize(
  experiment: Experiment,
  history: History,
  detail: Detail = 'full',
): Summary {
  const plan = planOf(experiment, history);
  const points: PointSummary[] = [];
  const measured: PointSummary[] = [];
  for (const point of history.points.values()) {
    const part = plan.parts.find((p) => p.name === point.part);
    if (part === undefined || !history.samples.has(point.id)) continue;
    const metrics = part.metrics.map((key) => metricOf(experiment, key));
    const baseline = baselineOf(history, part, point.setting);
    const summary = summarizePoint(history, point, metrics, baseline, detail);
    measured.push(summary);
    // A record that tells about several points is no point of its own.
    points.push(
      ...(part.unfold === undefined
        ? [summary]
        : unfoldPoint(history, summary, part, metrics, baseline, detail)),
    );
  }
  const planned = [...history.points.keys()].filter((id) => !history.probes.has(id));
  const leftOut = new Set(history.failures.flatMap((f) => (f.leftOut === true ? [f.point] : [])));
  const unmeasured = planned.filter(
    (id) => history.done.has(id) && !history.samples.has(id) && !leftOut.has(id),
  ).length;
  const control = controls(points, plan.parts);
  const controlPooled = poolControls(history, measured, plan, experiment);
  const base = { points: measured, control, profile: history.run.profile };
  const claims = judgeClaims({ experiment, plan, history, points });
  const wall = history.ends.reduce((sum, e) => sum + e.wallMs, 0);
  const trial = history.ends.reduce((sum, e) => sum + e.trialMs, 0);
  const lastNoise = Object.assign({}, ...history.noise.map((n) => n.measures)) as JsonObject;
  return {
    v: 1,
    experiment: experiment.name,
    title: experiment.title,
    profile: history.run.profile,
    seed: history.run.seed,
    started: history.run.started,
    complete: planned.length > 0 && planned.every((id) => history.done.has(id)),
    pointsPlanned: planned.length,
    pointsMeasured: measured.length,
    points,
    claims,
    verdicts: countVerdicts(claims),
    warnings: uniqueWarnings([
      ...history.warnings,
      ...runWarnings(history),
      ...resultWarnings(base, plan, history, unmeasured, controlPooled),
    ]),
    control,
    controlPooled,
    noise: lastNoise,
    context: history.context,
    samples: history.measured,
    setAside: history.setAside,
    // A session that only found everything done tells nothing.
    overheadShare: trial > 0 ? (wall - trial) / wall : null,
  };
}

/** The last word of each name and sight. */
function uniqueWarnings(warnings: readonly WarningRecord[]): WarningRecord[] {
  return [...new Map(warnings.map((w) => [`${w.name}:${w.seen}`, w])).values()];
}
