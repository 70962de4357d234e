// Rows of a figure, from the summary of a run.
import type { PointSummary, Summary } from '../core/summary.js';
import type { Experiment, FigureCommon, Metric, Params, ParamValue } from '../core/types.js';

export interface Row {
  series: string;
  facet: string;
  x: ParamValue;
  y?: ParamValue;
  value: number;
  low: number;
  high: number;
  samples: number;
}

export interface FigureInput {
  experiment: Experiment;
  summary: Summary;
  metric: Metric;
  points: readonly PointSummary[];
  /** Every series of the run, for colours. */
  series: readonly string[];
}

const fits = (params: Params, where: Params | undefined): boolean => Object.entries(where ?? {}).every(([name, value]) => params[name] === value);

export function pointsFor(summary: Summary, figure: FigureCommon, metric: string): PointSummary[] {
  return summary.points.filter((p) => p.part === figure.part && !p.control && fits(p.params, figure.where) && p.metrics[metric] !== undefined);
}

/** Six digits: what a reader can see, and the same text for the same journal. */
export const rounded = (value: number): number => Number(value.toPrecision(6));

export function makeRow(point: PointSummary, metric: Metric, parts: { series: string; facet: string; x: ParamValue; y?: ParamValue }): Row {
  const interval = point.metrics[metric.key];
  if (interval === undefined) throw new Error(`point ${point.id} has no ${metric.key}`);
  return { ...parts, value: rounded(interval.value), low: rounded(interval.low), high: rounded(interval.high), samples: point.samples };
}

export const text = (value: ParamValue | undefined): string => (value === undefined ? '' : String(value));

export function axisTitle(metric: Metric): string {
  return metric.unit === '' ? metric.label : `${metric.label} (${metric.unit})`;
}

export interface PublishedMark {
  series: string;
  facet: string;
  x: ParamValue;
  value: number;
}

/** The paper's values that belong to these points: same metric, and every parameter they name agrees. */
export function publishedFor(input: FigureInput, seriesParam: string | undefined, facetParam: string | undefined, xParam: string): PublishedMark[] {
  const marks = new Map<string, PublishedMark>();
  for (const row of input.experiment.published()) {
    if (row.metric !== input.metric.key || row.part !== input.points[0]?.part) continue;
    for (const point of input.points) {
      if (!fits(point.params, row.params)) continue;
      const x = point.params[xParam];
      if (x === undefined) continue;
      const mark: PublishedMark = { series: seriesParam === undefined ? '' : text(point.params[seriesParam]), facet: facetParam === undefined ? '' : text(point.params[facetParam]), x, value: row.value };
      marks.set(JSON.stringify([mark.facet, mark.series, mark.x]), mark);
    }
  }
  return [...marks.values()];
}
