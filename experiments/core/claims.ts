// Published values and aims against what a run measured. The words are in verdict.ts.
import { expandAxes } from './points.js';
import { seedFrom } from './random.js';
import type { History } from './history.js';
import {
  fewestValues,
  medianInterval,
  noInterval,
  unpairedRatio,
  type Interval,
} from './statistics.js';
import type { PointSummary } from './point-summary.js';
import { HarnessError } from './errors.js';
import type { Claim, Direction, Experiment, Params, Part, Plan, ShapeClaim } from './types.js';
import {
  aimBounds,
  isAim,
  judgeAim,
  judgePublished,
  judgeShape,
  publishedBounds,
  type Bounds,
  type ClaimVerdict,
  type Measured,
  type PublishedVerdict,
} from './verdict.js';

export interface ClaimResult {
  id: string;
  text: string;
  source: string;
  unit: string;
  /** Published or aimed at; null where a curve has one a step. */
  published: number | null;
  ours: Interval | null;
  /** Values, or pairs of values, that ours rests on. */
  n: number;
  /** Of a curve: each value over the first. */
  steps?: {
    label: string;
    published: number;
    ours: Interval;
    n: number;
    verdict: PublishedVerdict;
  }[];
  verdict: ClaimVerdict;
  reason: string;
  /** The author's clause for this verdict. */
  clause?: string;
}

/** What claims are judged by: the run, and what the experiment would have measured. */
export interface Judging {
  experiment: Experiment;
  plan: Plan;
  history: History;
  points: readonly PointSummary[];
}

const matches = (params: Params, wanted: Params): boolean =>
  Object.entries(wanted).every(([name, value]) => params[name] === value);

const pointAt = ({ points }: Judging, part: string, at: Params): PointSummary | undefined =>
  points.find((p) => p.part === part && !p.control && matches(p.params, at));

/** Points of a part as claims see them: those that one record tells about stand for themselves. */
function paramsOf(part: Part): Params[] {
  const unfold = part.unfold ?? [{ params: {} }];
  return expandAxes(part.axes, part.where).flatMap((params) =>
    unfold.map((inner) => ({ ...params, ...inner.params })),
  );
}

const planned = (plan: Plan, part: string, at: Params): boolean =>
  plan.parts.some((p) => p.name === part && paramsOf(p).some((params) => matches(params, at)));

interface Missing {
  verdict: 'not testable here' | 'not in this run';
  reason: string;
}

/** Why the run has no value there. */
function missing({ experiment, plan, history }: Judging, part: string, at: Params): Missing {
  const { run } = history;
  const absent = (reason: string): Missing => ({ verdict: 'not in this run', reason });
  const recorded = [...history.points.values()].filter((p) => p.part === part);
  const failure = history.failures.find((f) => recorded.some((p) => p.id === f.point));
  if (
    recorded.length > 0 &&
    failure !== undefined &&
    !recorded.some((p) => history.samples.has(p.id))
  ) {
    return { verdict: 'not testable here', reason: `part ${part} did not run: ${failure.message}` };
  }
  if (!planned(plan, part, at)) {
    const full = experiment.plan({ profile: 'full', seed: run.seed, traces: [] });
    if (run.profile === 'quick' && planned(full, part, at))
      return absent('a quick run has no such point; --full has');
    return {
      verdict: 'not testable here',
      reason: `part ${part} has no such point on this machine`,
    };
  }
  if (recorded.length === 0 && run.argv.some((word) => word.startsWith('--only')))
    return absent(`--only left part ${part} out`);
  if (recorded.length === 0 && plan.byDefault?.includes(part) === false)
    return absent(`part ${part} runs when asked for: --only ${part}`);
  if (recorded.length === 0) return absent(`the run has no part ${part}`);
  return absent(`the run has no sample of that point that counts`);
}

const asTimesLess = ({ value, low, high }: Interval): Interval => ({
  value: 1 / value,
  low: 1 / high,
  high: 1 / low,
});
const asChange = ({ value, low, high }: Interval): Interval => ({
  value: (value - 1) * 100,
  low: (low - 1) * 100,
  high: (high - 1) * 100,
});

const format = (value: number): string => String(Number(value.toPrecision(4)));

/** Where the interval lies, of what would count: "above 66 %", "the interval crosses 3.5". */
function placeText(ours: Interval, bounds: Bounds, verdict: ClaimVerdict, unit: string): string {
  const end = unit === '' ? '' : ` ${unit}`;
  const told = (bound: number): string => `${format(bound)}${end}`;
  const least = Math.min(ours.value, ours.low);
  const most = Math.max(ours.value, ours.high);
  const { low, high } = bounds;
  if (verdict === 'undecided') {
    const crossed = [low, high].filter((bound) => least <= bound && bound <= most).map(told);
    return crossed.length === 0 ? 'no interval' : `the interval crosses ${crossed.join(' and ')}`;
  }
  if (least > high) return low === high ? `not ${told(high)}` : `above ${told(high)}`;
  if (most < low) return `below ${told(low)}`;
  if (!Number.isFinite(low)) return `at most ${told(high)}`;
  if (!Number.isFinite(high)) return `at least ${told(low)}`;
  return low === high ? `exactly ${told(low)}` : `within ${format(low)} to ${told(high)}`;
}

const tooFew = (n: number): string => `n = ${n}: no verdict; it takes ${fewestValues} values`;

export function judgeClaim(claim: Claim, judging: Judging): ClaimResult {
  const { measured, id, text, source, unit, published } = claim;
  const base = { id, text, source, unit, published };
  const nothing = { ours: null, n: 0 };
  if (measured === undefined) {
    return {
      ...base,
      ...nothing,
      verdict: 'not testable here',
      reason: claim.untestable ?? 'nothing here measures it',
    };
  }
  const { part, metric: key, at, versus, as } = measured;
  const point = pointAt(judging, part, at);
  const refused = point?.refused[key];
  if (refused !== undefined)
    return { ...base, ...nothing, verdict: 'not testable here', reason: refused };
  const share =
    as === 'percent-of' && point !== undefined
      ? shareOf(point, versus ?? {}, key, judging)
      : undefined;
  const ratio = point && versus ? ratioTo(point, versus, key, judging) : undefined;
  const interval = versus === undefined ? point?.metrics[key] : ratio;
  if (interval === undefined) {
    // Of two it may be the other one that the run lacks.
    const lacking = point?.metrics[key] === undefined ? at : { ...at, ...versus };
    return { ...base, ...nothing, ...missing(judging, part, lacking) };
  }
  const compared = share?.value ?? (as === 'times-less' ? 1 / interval.value : interval.value);
  if (!Number.isFinite(compared)) {
    return {
      ...base,
      ...nothing,
      verdict: 'not testable here',
      reason: 'the baseline, or this, is 0: there is no ratio',
    };
  }
  const ours =
    share !== undefined
      ? share
      : versus === undefined
        ? interval
        : as === 'times-less'
          ? asTimesLess(interval)
          : asChange(interval);
  const n = versus === undefined ? (point?.values[key] ?? []).length : (ratio?.pairs ?? 0);
  const bounds = isAim(claim) ? aimBounds(claim) : publishedBounds(claim);
  const none = (point?.values[key] ?? []).filter((value) => value === 0).length;
  const free =
    share === undefined || none === 0
      ? ''
      : `; none in ${none} of ${point?.values[key]?.length ?? 0} runs`;
  const better = as === 'times-less' ? 'higher' : directionOf(judging.experiment, key);
  const values: Measured = { ...ours, n };
  const verdict = isAim(claim) ? judgeAim(values, bounds) : judgePublished(values, bounds, better);
  const place = n < fewestValues ? tooFew(n) : placeText(ours, bounds, verdict, unit);
  return { ...base, ours, n, verdict, reason: `${place}${free}` };
}

/** Percent of the baseline's value, sample by sample: samples of a deterministic part have the same seeds in order. */
function shareOf(point: PointSummary, versus: Params, key: string, { points }: Judging): Interval {
  const baseline = points.find(
    (p) => p.setting === point.setting && !p.control && matches(p.params, versus),
  );
  const [ours, theirs] = [point.values[key] ?? [], baseline?.values[key] ?? []];
  if (ours.length !== theirs.length || theirs.some((value) => value === 0))
    return { value: Number.NaN, ...noInterval };
  return medianInterval(ours.map((value, i) => (value / (theirs[i] as number)) * 100));
}

/**
 * Pair by pair where `versus` is the part's baseline; else of the medians of both. Without a value of
 * another contender there is none: the ratio to the baseline answers another question.
 */
function ratioTo(
  point: PointSummary,
  versus: Params,
  key: string,
  { plan, points }: Judging,
): (Interval & { pairs: number }) | undefined {
  const other = points.find(
    (p) => p.setting === point.setting && !p.control && matches(p.params, versus),
  );
  if (other?.ratios[key] === undefined) {
    const contenders = plan.parts.find(({ name }) => name === point.part)?.contenders;
    const isBaseline =
      contenders !== undefined && other?.params[contenders.axis] === contenders.baseline;
    return isBaseline ? point.ratios[key] : undefined;
  }
  const [ours, theirs] = [point.values[key] ?? [], other.values[key] ?? []];
  const seed = seedFrom('versus', point.id, other.id, key);
  return { ...unpairedRatio(ours, theirs, seed), pairs: Math.min(ours.length, theirs.length) };
}

const directionOf = (experiment: Experiment, key: string): Direction =>
  experiment.metrics.find((m) => m.key === key)?.direction ?? 'neutral';

/** This point over the one that the curve starts from: pair by pair where that is its baseline. */
function overFirst(point: PointSummary, first: PointSummary, key: string): Measured {
  const [ours, theirs] = [point.values[key] ?? [], first.values[key] ?? []];
  const ratio = point.ratios[key];
  if (ratio !== undefined && first.setting === point.setting && first.ratios[key] === undefined)
    return { ...ratio, n: ratio.pairs };
  if (ours.length === 0 || theirs.length === 0) return { value: Number.NaN, ...noInterval, n: 0 };
  return {
    ...unpairedRatio(ours, theirs, seedFrom('shape', point.id, key)),
    n: Math.min(ours.length, theirs.length),
  };
}

export function judgeShapeClaim(claim: ShapeClaim, judging: Judging): ClaimResult {
  const { id, text, source, part, metric: key, from, tolerance } = claim;
  const base = { id, text, source, unit: '', published: null, ours: null, n: 0 };
  const first = pointAt(judging, part, from.at);
  const points = claim.steps.map((step) => pointAt(judging, part, step.at));
  const all = [first, ...points];
  const absent = all.findIndex(
    (p) => p?.values[key] === undefined && p?.refused[key] === undefined,
  );
  if (absent >= 0)
    return {
      ...base,
      ...missing(judging, part, absent === 0 ? from.at : (claim.steps[absent - 1]?.at ?? {})),
    };
  const refused = all.find((p) => p?.refused[key] !== undefined)?.refused[key];
  if (refused !== undefined) return { ...base, verdict: 'not testable here', reason: refused };
  const better = directionOf(judging.experiment, key);
  const steps = claim.steps.map((step, i) => {
    const published = step.published / from.published;
    const ours = overFirst(points[i] as PointSummary, first as PointSummary, key);
    const verdict = judgePublished(ours, publishedBounds({ published, tolerance }), better);
    const { value, low, high, n } = ours;
    return { label: step.label, published, ours: { value, low, high }, n, verdict };
  });
  const n = Math.min(...steps.map((s) => s.n));
  const apart = steps
    .filter((s) => s.verdict !== 'reproduced')
    .map((s) => `${s.label} ${s.verdict}`);
  const rule = `every ratio within ${format(tolerance * 100)} % of the published one`;
  const reason =
    n < fewestValues ? tooFew(n) : apart.length > 0 ? `not ${rule}: ${apart.join(', ')}` : rule;
  const verdict: PublishedVerdict =
    n < fewestValues ? 'undecided' : judgeShape(steps.map((s) => s.verdict));
  return { ...base, n, steps, verdict, reason };
}

/** @throws HarnessError `bad-definition` for a published value that is not two-sided */
export function judgeClaims(judging: Judging): ClaimResult[] {
  const { claims, shapes = [], name } = judging.experiment;
  for (const claim of claims) {
    if (isAim(claim) || (claim.kind === 'near' && claim.tolerance > 0)) continue;
    throw new HarnessError(
      'bad-definition',
      `${name}: claim ${claim.id} is of a published value: it is 'near', with a tolerance above 0`,
      2,
    );
  }
  const because = (claim: Claim | ShapeClaim, result: ClaimResult): ClaimResult => {
    const clause = claim.why?.[result.verdict];
    return clause === undefined ? result : { ...result, clause };
  };
  return [
    ...claims.map((claim) => because(claim, judgeClaim(claim, judging))),
    ...shapes.map((shape) => because(shape, judgeShapeClaim(shape, judging))),
  ];
}
