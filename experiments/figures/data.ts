// Rows of a figure, from the summary of a run.
import type { PointSummary } from '../core/point-summary.js';
import type { Summary } from '../core/summary.js';
import type { Experiment, FigureCommon, Metric, Params, ParamValue } from '../core/types.js';

export interface Row {
  series: string;
  facet: string;
  x: ParamValue;
  y?: ParamValue;
  value: number;
  /** null: fewer than six values have no interval. */
  low: number | null;
  high: number | null;
  samples: number;
}

const fits = (params: Params, where: Params | undefined): boolean =>
  Object.entries(where ?? {}).every(([name, value]) => params[name] === value);

export function pointsFor(summary: Summary, figure: FigureCommon, metric: string): PointSummary[] {
  return summary.points.filter(
    (p) =>
      p.part === figure.part &&
      !p.control &&
      fits(p.params, figure.where) &&
      p.metrics[metric] !== undefined,
  );
}

/** Six digits: what a reader can see, and the same text for the same journal. */
export const rounded = (value: number): number => Number(value.toPrecision(6));

export function makeRow(
  point: PointSummary,
  metric: Metric,
  parts: { series: string; facet: string; x: ParamValue; y?: ParamValue },
): Row {
  const interval = point.metrics[metric.key];
  if (interval === undefined) throw new Error(`point ${point.id} has no ${metric.key}`);
  const end = (value: number): number | null => (Number.isNaN(value) ? null : rounded(value));
  return {
    ...parts,
    value: rounded(interval.value),
    low: end(interval.low),
    high: end(interval.high),
    samples: point.samples,
  };
}

export const text = (value: ParamValue | undefined): string =>
  value === undefined ? '' : String(value);

export function axisTitle(metric: Metric): string {
  return metric.unit === '' ? metric.label : `${metric.label} (${metric.unit})`;
}

interface Input {
  experiment: Experiment;
  metric: Metric;
  points: readonly PointSummary[];
}

/**
 * The paper's values that belong to these points: same metric, and every parameter they name agrees.
 * @param beyond also where only the parameter of the x axis differs: at places that were not measured here
 */
export function publishedRows(
  { experiment, metric, points }: Input,
  facetParam: string | undefined,
  xParam: string,
  seriesOf: (point: PointSummary) => string,
  beyond = false,
): Row[] {
  const rows = new Map<string, Row>();
  for (const { part, params, metric: key, value } of experiment.published()) {
    if (key !== metric.key) continue;
    for (const point of points) {
      const x = (beyond ? params[xParam] : undefined) ?? point.params[xParam];
      if (point.part !== part || x === undefined || !fits({ ...point.params, [xParam]: x }, params))
        continue;
      const facet = facetParam === undefined ? '' : text(point.params[facetParam]);
      const series = seriesOf(point);
      rows.set(JSON.stringify([facet, series, x]), {
        series,
        facet,
        x,
        value,
        low: null,
        high: null,
        samples: 0,
      });
    }
  }
  return [...rows.values()];
}
