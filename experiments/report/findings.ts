// What the verdicts, the controls and the holds of a run come to, in words that fit every experiment.
import { fewestValues } from '../core/statistics.js';
import { metricOf, type Summary } from '../core/summary.js';
import type { Experiment, Figure } from '../core/types.js';
import { pointsFor } from '../figures/data.js';
import { percentChange, withUnit } from './text.js';

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

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
