// Runs that nobody measured: every point of an experiment with values that a template may meet.
import { judgeClaims } from '../../experiments/core/claims.js';
import type { History } from '../../experiments/core/history.js';
import { expandAxes } from '../../experiments/core/points.js';
import type { PointSummary } from '../../experiments/core/point-summary.js';
import { seededRandom } from '../../experiments/core/random.js';
import type { Ratio } from '../../experiments/core/statistics.js';
import { metricOf, type Summary } from '../../experiments/core/summary.js';
import type { Experiment, Metric, Params, Part, Plan } from '../../experiments/core/types.js';
import { countVerdicts } from '../../experiments/core/verdict.js';

export const outcomes = [
  'better',
  'worse',
  'no change',
  'undecided',
  'too few',
  'mixed',
  'no values',
] as const;
export type Outcome = (typeof outcomes)[number];
type Verdict = Ratio['verdict'];

const verdicts: readonly Verdict[] = ['better', 'worse', 'no change', 'undecided', 'too few'];

/** A value of the size that this unit has. */
function sizeOf({ unit, label }: Metric): number {
  const sizes: Readonly<Record<string, number>> = {
    Gbps: 60,
    µs: 80,
    ns: 90,
    '%': 8,
    cycles: 150,
    times: 1.4,
    'M/s': 40,
    MiB: 3,
    kpps: 300,
  };
  return sizes[unit] ?? (/SLF|segments|run/.test(label) ? 3 : 20);
}

function ratioOf(verdict: Verdict, higherIsBetter: boolean): Ratio {
  const up = (verdict === 'better') === higherIsBetter;
  const value =
    verdict === 'no change'
      ? 1.002
      : verdict === 'better' || verdict === 'worse'
        ? up
          ? 1.6
          : 0.7
        : 1.04;
  const spread = verdict === 'undecided' ? 0.2 : 0.01;
  const pairs = verdict === 'too few' ? 3 : 8;
  const ends =
    verdict === 'too few'
      ? { low: Number.NaN, high: Number.NaN }
      : { low: value - spread, high: value + spread };
  return { value, ...ends, pairs, verdict };
}

function pointOf(
  experiment: Experiment,
  part: Part,
  params: Params,
  control: boolean,
  outcome: Outcome,
  random: () => number,
): PointSummary {
  const id = JSON.stringify([part.name, params, control]);
  const { axis = '', baseline } = part.contenders ?? {};
  const others = Object.entries(params).filter(([name]) => name !== axis);
  const isBaseline = part.contenders !== undefined && params[axis] === baseline && !control;
  const point: PointSummary = {
    id,
    part: part.name,
    setting: JSON.stringify(
      others.filter(([name]) => part.axes.some((a) => 'name' in a && a.name === name)),
    ),
    params,
    control,
    samples: outcome === 'too few' ? 3 : 8,
    warmups: 0,
    stopped: 'blocks',
    metrics: {},
    refused: {},
    ratios: {},
    permutationP: {},
    outliers: {},
    values: {},
  };
  for (const key of new Set([...part.metrics, part.headline])) {
    const metric = metricOf(experiment, key);
    if (outcome === 'no values' && metric.backlog !== undefined) {
      point.refused[key] = 'not measured: the core was not always busy';
      continue;
    }
    const verdict =
      outcome === 'mixed' || outcome === 'no values'
        ? (verdicts[Math.floor(random() * verdicts.length)] ?? 'undecided')
        : outcome;
    const drawn = sizeOf(metric) * (0.5 + random());
    const value = metric.digits === 0 ? Math.round(drawn) : drawn;
    const few = outcome === 'too few';
    point.metrics[key] = few
      ? { value, low: Number.NaN, high: Number.NaN }
      : { value, low: value * 0.97, high: value * 1.03 };
    point.values[key] = Array.from({ length: point.samples }, (_, i) => value * (0.97 + i / 100));
    if (part.contenders !== undefined && !isBaseline && metric.direction !== 'neutral')
      point.ratios[key] = ratioOf(control ? 'no change' : verdict, metric.direction === 'higher');
  }
  return point;
}

export interface Synthetic {
  summary: Summary;
  history: History;
  plan: Plan;
}

/** @param every also parts that run only when asked for */
export function synthetic(
  experiment: Experiment,
  profile: 'quick' | 'full',
  outcome: Outcome,
  every = false,
): Synthetic {
  const plan = experiment.plan({ profile, seed: 1, traces: [] });
  const parts = plan.parts.filter(
    (p) => every || plan.byDefault === undefined || plan.byDefault.includes(p.name),
  );
  const random = seededRandom(7);
  const points = parts.flatMap((part) =>
    expandAxes(part.axes, part.where).flatMap((params) =>
      (part.unfold ?? [{ params: {} }]).flatMap((inner) => {
        const all = { ...params, ...inner.params };
        const one = (control: boolean): PointSummary =>
          pointOf(experiment, part, all, control, outcome, random);
        return part.contenders !== undefined &&
          all[part.contenders.axis] === part.contenders.baseline
          ? [one(false), one(true)]
          : [one(false)];
      }),
    ),
  );
  const argv = ['exp', experiment.name, ...(profile === 'full' ? ['--full'] : [])];
  const context = {
    machine: { cpu: 'a processor', processors: 2, memoryGiB: 24, virtual: true },
    system: { kernel: '6.1.0', governors: ['performance'] },
    build: { compiler: 'gcc 12.2.0', git: { commit: '0'.repeat(40), dirty: false } },
  };
  const history = {
    run: { type: 'run', profile, seed: 1, traces: [], argv, experiment: experiment.name },
    context,
    points: new Map(),
    samples: new Map(),
    failures: [],
    blocks: [],
  } as unknown as History;
  const claims = judgeClaims({ experiment, plan, history, points });
  const summary: Summary = {
    v: 1,
    experiment: experiment.name,
    title: experiment.title,
    profile,
    seed: 1,
    started: '2026-01-02T03:04:05Z',
    complete: true,
    pointsPlanned: points.length,
    pointsMeasured: points.length,
    points,
    claims,
    verdicts: countVerdicts(claims),
    warnings: [],
    control: [],
    controlPooled: null,
    noise: {},
    context,
    samples: points.length * 8,
    setAside: 0,
    overheadShare: null,
  };
  return { summary, history, plan };
}
