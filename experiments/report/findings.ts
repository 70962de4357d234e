// What the verdicts, the controls and the holds of a run come to, in words that fit every experiment.
import { fewestValues } from '../core/statistics.js';
import { metricOf, type Summary } from '../core/summary.js';
import type { Experiment, Figure } from '../core/types.js';
import { pointsFor } from '../figures/data.js';
import { counted } from '../story/counts.js';
import { shownName } from '../story/names.js';
import { together } from '../story/say.js';
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
    const name = facet === undefined ? '' : `, ${shownName(String(params[facet]), facet)}`;
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

export const claimsFinding = ({ verdicts }: Pick<Summary, 'verdicts'>): string =>
  together(
    counted(verdicts.published, 'published values'),
    counted(verdicts.aims, 'aims of this project'),
  );

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

/** How far a control differs that is neither the best nor the worst. */
export function typicalFinding({ control }: Summary): string | undefined {
  const decided = control.filter((c) => c.verdict !== 'too few');
  if (decided.length < fewestValues) return undefined;
  const apart = decided.map((c) => Math.abs(c.ratio.value - 1)).sort((a, b) => a - b);
  const [middle = 0, most = 0] = [apart[Math.floor(apart.length / 2)], apart.at(-1)];
  // Where they hardly differ at all, the worst of them says enough.
  if (most < 0.05) return undefined;
  return `Half of all ${decided.length} controls differ by less than ${(middle * 100).toFixed(1)} %.`;
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
    `Measured against itself, the baseline differs by at most ${(worst * 100).toFixed(1)} % in ${decided.length} ${decided.length === 1 ? 'control' : 'controls'}; ` +
    (changed === 0
      ? 'none would have been called a change.'
      : `${changed} would have been called a change.`)
  );
}
