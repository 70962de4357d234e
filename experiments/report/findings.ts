// What a figure or part shows, in words, with numbers from the data. Only points of one setting are
// compared: they met the same traffic and differ in the contender alone. Nothing is said otherwise.
import { fewestValues, type Ratio, type Verdict } from '../core/statistics.js';
import type { PointSummary } from '../core/point-summary.js';
import { metricOf, type Summary } from '../core/summary.js';
import type { Experiment, Figure, Metric, Params, Part } from '../core/types.js';
import { pointsFor } from '../figures/data.js';
import { percentChange, withUnit } from './text.js';

/** Settings that get a sentence each; of more there is a count. */
const mostSentences = 2;
/** Contenders that get a count each; more would fill a page. */
const mostContenders = 4;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function grouped(points: readonly PointSummary[]): PointSummary[][] {
  const groups = new Map<string, PointSummary[]>();
  for (const point of points)
    groups.set(point.setting, [...(groups.get(point.setting) ?? []), point]);
  return [...groups.values()];
}

const differing = (points: readonly PointSummary[]): string[] =>
  [...new Set(points.flatMap((p) => Object.keys(p.params)))].filter(
    (name) => new Set(points.map((p) => p.params[name])).size > 1,
  );

/** What sets this setting apart from the figure's others: "chain modern, slf 8". */
function whereOf(
  setting: readonly PointSummary[],
  all: readonly PointSummary[],
  figure: Figure,
): string {
  const inside = differing(setting);
  const names = differing(all).filter((name) => !inside.includes(name));
  const label = (name: string): string =>
    'x' in figure && figure.x.param === name ? figure.x.label : name;
  return names.map((name) => `${label(name)} ${String(setting[0]?.params[name])}`).join(', ');
}

function nameOf(params: Params, setting: readonly PointSummary[]): string {
  const { contender } = params;
  if (typeof contender === 'string') {
    return contender === 'off' ? 'no Reframer' : contender.replace(/^(\d+)us/, 'T = $1 µs');
  }
  const [first] = differing(setting);
  return first === undefined ? '' : `${first} ${String(params[first])}`;
}

interface Compared {
  point: PointSummary;
  ratio: Ratio;
}

interface Setting {
  where: string;
  baseline: PointSummary;
  others: Compared[];
  all: readonly PointSummary[];
}

function settingsOf(summary: Summary, figure: Figure, metric: Metric): Setting[] {
  const points = pointsFor(summary, figure, metric.key);
  return grouped(points).flatMap((all) => {
    const baseline = all.find((p) => p.ratios[metric.key] === undefined);
    const others = all.flatMap((point) => {
      const ratio = point.ratios[metric.key];
      return ratio === undefined ? [] : [{ point, ratio }];
    });
    if (baseline === undefined || others.length !== all.length - 1 || others.length === 0)
      return [];
    return [{ where: whereOf(all, points, figure), baseline, others, all }];
  });
}

const value = (point: PointSummary, metric: Metric): number =>
  point.metrics[metric.key]?.value ?? Number.NaN;

const order: readonly Verdict[] = ['better', 'worse', 'no change', 'undecided', 'too few'];

function counts(compared: readonly Compared[]): string {
  const count = (word: Verdict): number =>
    compared.filter(({ ratio }) => ratio.verdict === word).length;
  return order
    .filter((word) => count(word) > 0)
    .map((word) => `${count(word)} ${word}`)
    .join(', ');
}

/** The baseline, the best contender that is decided, how far apart they are. */
function sentence({ where, baseline, others, all }: Setting, metric: Metric): string {
  const start = where === '' ? '' : `${where}: `;
  const most = Math.max(...others.map(({ ratio }) => ratio.pairs));
  if (most < fewestValues) return `${capital(`${start}${metric.label}`)}: n = ${most}: no verdict.`;
  const decided = others.filter(
    ({ ratio }) => ratio.verdict !== 'too few' && ratio.verdict !== 'undecided',
  );
  if (decided.length === 0) return `${capital(`${start}${metric.label}`)} is undecided.`;
  const first = `${start}${metric.label} is ${withUnit(value(baseline, metric), metric)} with ${nameOf(baseline.params, all)}`;
  const better = decided.filter(({ ratio }) => ratio.verdict === 'better');
  if (better.length === 0)
    return capital(`${first}; no contender is better: ${counts(others)} of ${others.length}.`);
  const { point, ratio } = better.reduce((a, b) =>
    (metric.direction === 'lower') === value(a.point, metric) < value(b.point, metric) ? a : b,
  );
  return capital(
    `${first} and ${withUnit(value(point, metric), metric)} with ${nameOf(point.params, all)}: ${percentChange(ratio.value)} ` +
      `(95 % interval ${percentChange(ratio.low)} to ${percentChange(ratio.high)}).`,
  );
}

/** Over many settings: how often a contender is better or worse than the baseline of its own setting. */
function tally(settings: readonly Setting[], metric: Metric): string {
  const names = [
    ...new Set(
      settings.flatMap(({ others, all }) => others.map(({ point }) => nameOf(point.params, all))),
    ),
  ];
  if (names.length > mostContenders) return '';
  const baselines = [...new Set(settings.map(({ baseline, all }) => nameOf(baseline.params, all)))];
  if (baselines.length !== 1) return '';
  return names
    .map((name) => {
      const found = settings.flatMap(({ others, all }) =>
        others.filter(({ point }) => nameOf(point.params, all) === name),
      );
      const what = `${capital(metric.label)}, ${name} against ${baselines[0]}`;
      if (found.every(({ ratio }) => ratio.verdict === 'too few')) {
        const most = Math.max(...found.map(({ ratio }) => ratio.pairs));
        return `${what}: n = ${most}: no verdict at any of ${found.length} settings.`;
      }
      return `${what} at the same setting: ${counts(found)} of ${found.length}.`;
    })
    .join(' ');
}

export function finding(experiment: Experiment, summary: Summary, figure: Figure): string {
  const metric = metricOf(experiment, figure.metric);
  const settings = settingsOf(summary, figure, metric);
  if (settings.length > mostSentences) return tally(settings, metric);
  return settings.map((setting) => sentence(setting, metric)).join(' ');
}

/** "Median hold measured, chain paper: 197 µs at 8, 213 µs at 16." */
export function besideFinding(experiment: Experiment, summary: Summary, figure: Figure): string {
  if (figure.kind !== 'line' || figure.beside === undefined) return '';
  const { x, facet, levels = [] } = figure;
  const metric = metricOf(experiment, figure.beside);
  const byFacet = new Map<string, Map<number, string>>();
  for (const { params, metrics } of pointsFor(summary, figure, figure.beside)) {
    const value = metrics[metric.key]?.value;
    const at = params[x.param];
    if (typeof at !== 'number' || at <= 0 || levels.includes(String(params['contender']))) continue;
    if (value === undefined || !Number.isFinite(value)) continue;
    const name = facet === undefined ? '' : `, ${facet} ${String(params[facet])}`;
    const places = byFacet.get(name) ?? new Map<number, string>();
    if (!places.has(at)) places.set(at, `${withUnit(value, metric)} at ${at}`);
    byFacet.set(name, places);
  }
  return [...byFacet]
    .map(([name, places]) => {
      const told = [...places].sort(([a], [b]) => a - b).map(([, text]) => text);
      return `${capital(metric.label)} measured${name}: ${told.join(', ')}.`;
    })
    .join(' ');
}

export function partFinding(experiment: Experiment, summary: Summary, part: Part): string {
  const own = experiment.figures.filter((f) => f.part === part.name);
  const figure = own.find((f) => f.metric === part.headline) ?? own[0];
  return figure === undefined ? '' : finding(experiment, summary, figure);
}

export function claimsFinding({ verdicts }: Pick<Summary, 'verdicts'>): string {
  const tell = (counts: Record<string, number>, what: string): string => {
    const told = Object.entries(counts).filter(([, count]) => count > 0);
    const all = told.reduce((sum, [, count]) => sum + count, 0);
    return all === 0
      ? ''
      : `Of ${all} ${what}: ${told.map(([word, count]) => `${count} ${word}`).join(', ')}.`;
  };
  return [tell(verdicts.published, 'published values'), tell(verdicts.aims, 'aims of this project')]
    .filter((s) => s !== '')
    .join(' ');
}

function pooledFinding({ control, controlPooled }: Summary): string {
  const alone = `None of the ${control.length} same-against-same controls has the ${fewestValues} pairs that a verdict takes`;
  if (controlPooled === null || controlPooled.verdict === 'too few')
    return `${alone}, nor do all together.`;
  const { ratio, verdict } = controlPooled;
  return (
    `${alone}; all together, the ${ratio.pairs} pairs of the baseline with itself differ by ${percentChange(ratio.value)} ` +
    `(95 % interval ${percentChange(ratio.low)} to ${percentChange(ratio.high)}): ${verdict}.`
  );
}

export function controlFinding(summary: Summary): string {
  if (summary.control.length === 0) return 'The run has no same-against-same control.';
  const decided = summary.control.filter(
    (c) => c.verdict === 'no change' || c.verdict === 'changed',
  );
  if (decided.length === 0) return pooledFinding(summary);
  const changed = decided.filter((c) => c.verdict === 'changed').length;
  const worst = Math.max(...decided.map((c) => Math.abs(c.ratio.value - 1)));
  return (
    `The baseline measured against itself differs by at most ${(worst * 100).toFixed(1)} % in ${decided.length} controls, ` +
    `of which ${changed} would have been called a change.`
  );
}
