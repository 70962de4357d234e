// What a figure or part shows, in words, with numbers from the data.
import type { PointSummary, Summary } from '../core/summary.js';
import { metWord } from '../core/claims.js';
import { fewestPairs } from '../core/statistics.js';
import { metricOf } from '../core/summary.js';
import { ownTarget, type Experiment, type Figure, type Metric, type Params, type Part } from '../core/types.js';
import { pointsFor } from '../figures/data.js';
import { percentChange, withUnit } from './text.js';

const better = (metric: Metric, a: number, b: number): boolean => (metric.direction === 'lower' ? a < b : a > b);

function bestOf(points: readonly PointSummary[], metric: Metric): PointSummary | undefined {
  return points.reduce<PointSummary | undefined>((best, point) => {
    const value = point.metrics[metric.key]?.value ?? Number.NaN;
    return best === undefined || better(metric, value, best.metrics[metric.key]?.value ?? Number.NaN) ? point : best;
  }, undefined);
}

function nameOf(params: Params, skip: readonly string[]): string {
  const { contender } = params;
  if (typeof contender === 'string') return contender === 'off' ? 'no Reframer' : /^\d/.test(contender) ? `T = ${contender.replace('us', ' µs')}` : contender;
  return Object.entries(params).filter(([name]) => !skip.includes(name)).map(([name, value]) => `${name} ${value}`).join(', ');
}

/** One sentence a facet: the baseline, the best, how much apart, and whether that is certain. */
export function finding(experiment: Experiment, summary: Summary, figure: Figure): string {
  const metric = metricOf(experiment, figure.metric);
  const points = pointsFor(summary, figure, metric.key);
  const facetParam = 'facet' in figure ? figure.facet : undefined;
  const facets = [...new Set(points.map((p) => (facetParam === undefined ? '' : String(p.params[facetParam]))))];
  const sentences = facets.map((facet) => {
    const inside = points.filter((p) => facetParam === undefined || String(p.params[facetParam]) === facet);
    const where = facet === '' ? '' : `${facetParam} ${facet}: `;
    const baseline = inside.find((p) => p.ratios[metric.key] === undefined);
    const best = bestOf(inside, metric);
    if (best === undefined) return '';
    const value = withUnit(best.metrics[metric.key]?.value ?? Number.NaN, metric);
    const skip = [facetParam ?? ''];
    const ratio = best.ratios[metric.key];
    if (baseline === undefined || ratio === undefined) {
      // Each contender in a panel of its own: its name is said already, where it is best is not.
      if (facetParam === 'contender') return `${facet}: best is ${value}${figure.kind === 'line' ? ` at ${figure.x.label} ${String(best.params[figure.x.param])}` : ''}.`;
      return `${where}best is ${value}, with ${nameOf(best.params, skip)}.`;
    }
    const from = withUnit(baseline.metrics[metric.key]?.value ?? Number.NaN, metric);
    if (!Number.isFinite(ratio.value)) return `${where}${metric.label} is ${from} with ${nameOf(baseline.params, skip)} and ${value} with ${nameOf(best.params, skip)}, in trials that have no partner in a block.`;
    const sure = ratio.verdict === 'faster' ? '' : ratio.verdict === 'slower' ? ', which is worse' : `, ${ratio.verdict}`;
    return `${where}${metric.label} goes from ${from} with ${nameOf(baseline.params, skip)} to ${value} with ${nameOf(best.params, skip)}: ${percentChange(ratio.value)} (95 % interval ${percentChange(ratio.low)} to ${percentChange(ratio.high)})${sure}.`;
  });
  return sentences.filter((s) => s !== '').join(' ');
}

export function partFinding(experiment: Experiment, summary: Summary, part: Part): string {
  const figure = experiment.figures.find((f) => f.part === part.name && f.metric === part.headline) ?? experiment.figures.find((f) => f.part === part.name);
  return figure === undefined ? '' : finding(experiment, summary, figure);
}

export function claimsFinding(summary: Summary): string {
  const tell = (claims: Summary['claims'], what: string): string => {
    const [first] = claims;
    if (first === undefined) return '';
    const count = (verdict: string): number => claims.filter((c) => c.verdict === verdict).length;
    return `Of ${claims.length} ${what}, ${count('reproduced')} are ${metWord(first)}, ${count('not reproduced')} are not, and ${count('not testable here')} cannot be tested here.`;
  };
  const published = summary.claims.filter(({ source }) => source !== ownTarget);
  const own = summary.claims.filter(({ source }) => source === ownTarget);
  return [tell(published, 'published values'), tell(own, 'aims of this project')].filter((s) => s !== '').join(' ');
}

function pooledFinding({ control, controlPooled }: Summary): string {
  const alone = `None of the ${control.length} same-against-same controls has the ${fewestPairs} pairs that a word takes`;
  if (controlPooled === null || controlPooled.verdict === 'inconclusive') return `${alone}, nor do all together.`;
  const { ratio, verdict } = controlPooled;
  return `${alone}; all together, the ${ratio.pairs} pairs of the baseline with itself differ by ${percentChange(ratio.value)} (95 % interval ${percentChange(ratio.low)} to ${percentChange(ratio.high)}): ${verdict}.`;
}

export function controlFinding(summary: Summary): string {
  if (summary.control.length === 0) return 'The run has no same-against-same control.';
  const decided = summary.control.filter((c) => c.verdict !== 'inconclusive');
  if (decided.length === 0) return pooledFinding(summary);
  const changed = decided.filter((c) => c.verdict === 'changed').length;
  const worst = Math.max(...decided.map((c) => Math.abs(c.ratio.value - 1)));
  return `The baseline measured against itself differs by at most ${(worst * 100).toFixed(1)} % in ${decided.length} controls, of which ${changed} would have been called a change.`;
}
