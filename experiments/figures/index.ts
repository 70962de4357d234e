// Figures of a run: one function a kind.
import type { Summary } from '../core/summary.js';
import { metricOf } from '../core/summary.js';
import type { Experiment, Figure } from '../core/types.js';
import { barFigure } from './bar.js';
import type { FigureSpec } from './common.js';
import { pointsFor, type FigureInput } from './data.js';
import { heatFigure } from './heat.js';
import { lineFigure } from './line.js';
import { samplesFigure } from './samples.js';

/** Values of the parameter that a figure colours by, in the order of the whole run. */
function seriesOf(summary: Summary, figure: Figure): string[] {
  const param =
    figure.kind === 'bar' ? figure.category.param : 'series' in figure ? figure.series : undefined;
  if (param === undefined) return [];
  return [
    ...new Set(
      summary.points.flatMap((p) => (p.control ? [] : (p.params[param] ?? []))).map(String),
    ),
  ];
}

/** @returns undefined when the run has no points for this figure */
export function figureSpec(
  figure: Figure,
  experiment: Experiment,
  summary: Summary,
): FigureSpec | undefined {
  const metric = metricOf(experiment, figure.metric);
  const points = pointsFor(summary, figure, metric.key);
  if (points.length === 0) return undefined;
  const input: FigureInput = {
    experiment,
    summary,
    metric,
    points,
    series: seriesOf(summary, figure),
  };
  switch (figure.kind) {
    case 'line':
      return lineFigure(figure, input, summary);
    case 'bar':
      return barFigure(figure, input, summary);
    case 'box':
    case 'cdf':
      return samplesFigure(figure, input, summary);
    case 'heat':
      return heatFigure(figure, input, summary);
  }
}

export function figuresOf(experiment: Experiment, summary: Summary): FigureSpec[] {
  return experiment.figures.flatMap((figure) => figureSpec(figure, experiment, summary) ?? []);
}
