// What sentences may ask of a run. Nothing here words anything but numbers.
import type { ClaimResult } from '../core/claims.js';
import type { PointSummary } from '../core/point-summary.js';
import { fewestValues, type Ratio } from '../core/statistics.js';
import type { Change, Facts, PointFacts } from '../core/story.js';
import type { Experiment, Metric, Params } from '../core/types.js';
import type { VerdictCounts } from '../core/verdict.js';
import { brief, hasInterval, shortChange, shortShare, withUnit } from '../report/text.js';

/** What facts are made of: a summary has it. */
export interface Told {
  points: readonly PointSummary[];
  claims: readonly ClaimResult[];
  verdicts: VerdictCounts;
  profile: 'quick' | 'full';
}

const fits = (params: Params, wanted: Params): boolean =>
  Object.entries(wanted).every(([name, value]) => params[name] === value);

export function changeOf(ratio: Ratio): Change | undefined {
  if (!Number.isFinite(ratio.value)) return undefined;
  return {
    verdict: ratio.verdict,
    ratio: ratio.value,
    percent: shortChange(ratio.value),
    size: shortShare(Math.abs(ratio.value - 1) * 100),
    times: `${brief(ratio.value, 2)} times`,
    span: hasInterval(ratio)
      ? `95 % interval ${shortChange(ratio.low)} to ${shortChange(ratio.high)}`
      : `${ratio.pairs} pairs; an interval takes ${fewestValues}`,
  };
}

function pointFacts(
  point: PointSummary | undefined,
  metricOf: (key: string) => Metric,
): PointFacts {
  const value = (key: string): number | undefined => {
    const found = point?.metrics[key]?.value;
    return found !== undefined && Number.isFinite(found) ? found : undefined;
  };
  const shown = (key: string, text: (v: number, m: Metric) => string): string | undefined => {
    const found = value(key);
    return found === undefined ? undefined : text(found, metricOf(key));
  };
  return {
    params: point?.params ?? {},
    value,
    told: (key) => shown(key, withUnit),
    bare: (key) => shown(key, (v, m) => brief(v, m.digits ?? 2)),
    change: (key) => {
      const ratio = point?.ratios[key];
      return ratio === undefined ? undefined : changeOf(ratio);
    },
  };
}

export function factsOf(experiment: Pick<Experiment, 'metrics' | 'published'>, run: Told): Facts {
  const metricOf = (key: string): Metric => {
    const metric = experiment.metrics.find((m) => m.key === key);
    if (metric === undefined) throw new Error(`no metric ${key}`);
    return metric;
  };
  const parts = new Map<string, PointSummary[]>();
  for (const point of run.points) {
    if (point.control) continue;
    const own = parts.get(point.part);
    if (own === undefined) parts.set(point.part, [point]);
    else own.push(point);
  }
  return {
    quick: run.profile === 'quick',
    counts: run.verdicts,
    verdict: (id) => run.claims.find((c) => c.id === id)?.verdict,
    part: (name) => {
      const own = parts.get(name) ?? [];
      return {
        at: (params) =>
          pointFacts(
            own.find((p) => fits(p.params, params)),
            metricOf,
          ),
        points: (where = {}) =>
          own.filter((p) => fits(p.params, where)).map((p) => pointFacts(p, metricOf)),
        published: (params, key) => {
          const row = experiment
            .published()
            .find((r) => r.part === name && r.metric === key && fits(r.params, params));
          return row === undefined ? undefined : withUnit(row.value, metricOf(key));
        },
      };
    },
  };
}
