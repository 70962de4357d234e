// Published values against ours.
import type { Interval } from './statistics.js';
import type { PointSummary } from './summary.js';
import { ownTarget, type Claim, type Experiment, type Params } from './types.js';

export interface ClaimResult {
  id: string;
  text: string;
  source: string;
  unit: string;
  published: number;
  ours: Interval | null;
  verdict: 'reproduced' | 'not reproduced' | 'not testable here';
  reason: string;
}

/** What a value that holds is called: papers are reproduced, aims of our own are reached. */
export const metWord = ({ source }: Pick<Claim, 'source'>): string => (source === ownTarget ? 'reached' : 'reproduced');

const matches = (params: Params, wanted: Params): boolean => Object.entries(wanted).every(([name, value]) => params[name] === value);

function pointAt(points: readonly PointSummary[], part: string, at: Params): PointSummary | undefined {
  return points.find((p) => p.part === part && !p.control && matches(p.params, at));
}

const asTimesLess = ({ value, low, high }: Interval): Interval => ({ value: 1 / value, low: 1 / high, high: 1 / low });
const asChange = ({ value, low, high }: Interval): Interval => ({ value: (value - 1) * 100, low: (low - 1) * 100, high: (high - 1) * 100 });

export function judgeClaim(claim: Claim, points: readonly PointSummary[], experiment: Experiment): ClaimResult {
  const base = { id: claim.id, text: claim.text, source: claim.source, unit: claim.unit, published: claim.published };
  const { measured } = claim;
  if (measured === undefined) return { ...base, ours: null, verdict: 'not testable here', reason: claim.untestable ?? 'nothing here measures it' };
  const point = pointAt(points, measured.part, measured.at);
  const interval = measured.versus === undefined ? point?.metrics[measured.metric] : point?.ratios[measured.metric];
  if (interval === undefined || Number.isNaN(interval.value)) {
    const metric = experiment.metrics.find((m) => m.key === measured.metric)?.label ?? measured.metric;
    return { ...base, ours: null, verdict: 'not testable here', reason: `this run did not measure ${metric} in part ${measured.part}; --full does` };
  }
  const ours = measured.versus === undefined ? interval : measured.as === 'times-less' ? asTimesLess(interval) : asChange(interval);
  const slack = Math.abs(claim.published) * claim.tolerance;
  const [low, high] = [claim.published - slack, claim.published + slack];
  const [most, least] = claim.strict === true ? [ours.value, ours.value] : [ours.high, ours.low];
  const fits = (claim.kind === 'at-most' || most >= low) && (claim.kind === 'at-least' || least <= high);
  const bounds = { 'at-least': `at least ${format(low)}`, 'at-most': `at most ${format(high)}`, near: `${format(low)} to ${format(high)}` }[claim.kind];
  const median = claim.strict === true ? ', by the median itself' : '';
  return { ...base, ours, verdict: fits ? 'reproduced' : 'not reproduced', reason: `counts as ${metWord(claim)}: ${bounds} ${claim.unit}${median}` };
}

const format = (value: number): string => String(Number(value.toPrecision(4)));
