// What a figure shows, before anything is drawn: rows, series with their colours, panels, axes.
import type { Summary } from '../core/summary.js';
import { metricOf } from '../core/summary.js';
import type {
  BarFigure,
  BoxFigure,
  Experiment,
  Figure,
  HeatFigure,
  LineFigure,
  Metric,
} from '../core/types.js';
import type { PointSummary } from '../core/point-summary.js';
import { axisTitle, makeRow, pointsFor, publishedRows, rounded, text, type Row } from './data.js';
import { colourOf, shapeOf, tinted, type Shape } from './palette.js';
import { shownName } from '../story/names.js';

/** The series of the paper's values: it can be switched off like the others. */
export const publishedSeries = 'published';

export interface Series {
  name: string;
  colour: string;
  /** The colour without the tint: for its name. */
  plain: string;
  /** Series before this one that have its colour. */
  alike: number;
  shape: Shape;
  /** A contender without a place on the x axis: a level line. */
  level: boolean;
}

export type XScale = 'linear' | 'log' | 'symlog' | 'band';

export interface Chart {
  id: string;
  title: string;
  kind: Figure['kind'];
  x: { title: string; scale: XScale };
  /** `auto`: logarithmic where values span decades. */
  y: { title: string; scale: 'auto' | 'linear' | 'log'; digits: number };
  /** Names of panels; one without a name where there is only one. */
  facets: string[];
  facetLabel: string;
  series: Series[];
  rows: Row[];
  published: Row[];
  quick: boolean;
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

// Spans that ask for a logarithmic axis. Panels share one: their lines must not lie flat on it.
const logSpan = 100;
const sharedLogSpan = 30;

/** One scale for all panels, so that they can be compared. */
export function chartScale({
  kind,
  y: { scale },
  facets,
  rows,
  published,
}: Chart): 'linear' | 'log' {
  if (scale !== 'auto') return scale;
  const values = [...rows, ...published].map((r) => r.value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  // A short bar still has its value behind it.
  const span = kind === 'line' && facets.length > 1 ? sharedLogSpan : logSpan;
  return least > 0 && most / least >= span ? 'log' : 'linear';
}

interface Input {
  experiment: Experiment;
  summary: Summary;
  metric: Metric;
  points: readonly PointSummary[];
}

function seriesFrom(names: readonly string[], levels: readonly string[] = []): Series[] {
  const all = unique(names);
  const plain = all.map((name) => colourOf(name, all));
  return all.map((name, i) => {
    const colour = plain[i] ?? '';
    const alike = plain.slice(0, i).filter((other) => other === colour).length;
    return {
      name,
      colour: tinted(colour, alike),
      plain: colour,
      alike,
      shape: shapeOf(i),
      level: levels.includes(name),
    };
  });
}

/** One look for all, but for the levels. */
function alikeBut(series: Series[]): Series[] {
  const first = series.find((s) => !s.level);
  if (first === undefined) return series;
  const { colour, plain, alike, shape } = first;
  return series.map((s) => (s.level ? s : { ...s, colour, plain, alike, shape }));
}

/** Panels that have a line; of lone points the table tells. All, where no panel has one. */
export function withLines(chart: Chart): Chart {
  if (chart.kind !== 'line') return chart;
  const has = (facet: string): boolean =>
    chart.series.some(
      ({ name, level }) =>
        !level && chart.rows.filter((r) => r.facet === facet && r.series === name).length > 1,
    );
  const facets = chart.facets.filter(has);
  return facets.length === 0 || facets.length === chart.facets.length
    ? chart
    : { ...chart, facets };
}

type Shown = Pick<Chart, 'x' | 'y' | 'series' | 'rows' | 'published'>;

function lineChart(figure: LineFigure, input: Input): Shown {
  const { metric, points } = input;
  const { levels = [], series: seriesParam, facet } = figure;
  const nameOf = (point: PointSummary): string => {
    const contender = text(point.params.contender);
    if (levels.includes(contender)) return contender;
    return seriesParam === undefined ? metric.label : text(point.params[seriesParam]);
  };
  const all = points.map((point) =>
    makeRow(point, metric, {
      series: nameOf(point),
      facet: facet === undefined ? '' : text(point.params[facet]),
      x: point.params[figure.x.param] ?? 0,
    }),
  );
  const names = unique(all.map((r) => r.series));
  const rows = all.sort((a, b) =>
    a.series === b.series
      ? Number(a.x) - Number(b.x)
      : names.indexOf(a.series) - names.indexOf(b.series),
  );
  const published = publishedRows(input, facet, figure.x.param, nameOf, figure.publishedBeyond);
  return {
    x: { title: figure.x.label, scale: figure.x.scale ?? 'linear' },
    y: {
      title: axisTitle(metric),
      scale: figure.y ?? 'auto',
      digits: metric.digits ?? 2,
    },
    // A panel each: a colour of its own would only be taken for that of a level.
    series:
      facet !== undefined && facet === seriesParam && levels.length > 0
        ? alikeBut(seriesFrom(names, levels))
        : seriesFrom(names, levels),
    rows,
    published,
  };
}

function barChart(figure: BarFigure, input: Input): Shown {
  const { metric, points } = input;
  const nameOf = (point: PointSummary): string => text(point.params[figure.category.param]);
  const rows = points.map((point) =>
    makeRow(point, metric, {
      series: nameOf(point),
      facet: figure.facet === undefined ? '' : text(point.params[figure.facet]),
      x: nameOf(point),
    }),
  );
  const published = publishedRows(input, figure.facet, figure.category.param, nameOf);
  return {
    x: { title: figure.category.label, scale: 'band' },
    y: { title: axisTitle(metric), scale: 'auto', digits: metric.digits ?? 2 },
    series: seriesFrom(rows.map((r) => r.series)),
    rows,
    published,
  };
}

function samplesChart(figure: BoxFigure, { metric, points }: Input): Shown {
  const rows = points.flatMap((point): Row[] => {
    const values = [...(point.values[metric.key] ?? [])].sort((a, b) => a - b);
    const series = text(point.params[figure.series]);
    const facet = figure.facet === undefined ? '' : text(point.params[figure.facet]);
    return values.map((value, i) => ({
      series,
      facet,
      x: rounded((i + 1) / values.length),
      value: rounded(value),
      low: null,
      high: null,
      samples: values.length,
    }));
  });
  return {
    x: { title: 'share of samples at most that', scale: figure.kind === 'box' ? 'band' : 'linear' },
    y: { title: axisTitle(metric), scale: 'linear', digits: metric.digits ?? 2 },
    series: seriesFrom(rows.map((r) => r.series)),
    rows,
    published: [],
  };
}

function heatChart(figure: HeatFigure, { metric, points }: Input): Shown {
  const rows = points.map((point) =>
    makeRow(point, metric, {
      series: text(point.params[figure.y.param]),
      facet: figure.facet === undefined ? '' : text(point.params[figure.facet]),
      x: text(point.params[figure.x.param]),
      y: text(point.params[figure.y.param]),
    }),
  );
  return {
    x: { title: figure.x.label, scale: 'band' },
    y: { title: axisTitle(metric), scale: 'linear', digits: metric.digits ?? 2 },
    series: seriesFrom(rows.map((r) => r.series)),
    rows,
    published: [],
  };
}

function shown(figure: Figure, input: Input): Shown {
  switch (figure.kind) {
    case 'line':
      return lineChart(figure, input);
    case 'bar':
      return barChart(figure, input);
    case 'box':
    case 'cdf':
      return samplesChart(figure, input);
    case 'heat':
      return heatChart(figure, input);
  }
}

/** @returns undefined when the run has no points for this figure */
export function chartOf(
  figure: Figure,
  experiment: Experiment,
  summary: Summary,
): Chart | undefined {
  const metric = metricOf(experiment, figure.metric);
  const points = pointsFor(summary, figure, metric.key);
  if (points.length === 0) return undefined;
  const chart = shown(figure, { experiment, summary, metric, points });
  const { id, title, kind, facet } = figure;
  return {
    id,
    title,
    kind,
    ...chart,
    facets: unique(chart.rows.map((r) => r.facet)),
    facetLabel: facet ?? '',
    quick: summary.profile === 'quick',
  };
}

export const chartsOf = (experiment: Experiment, summary: Summary): Chart[] =>
  experiment.figures.flatMap((figure) => chartOf(figure, experiment, summary) ?? []);

/** What stands behind the value of a parameter that names panels; others stand before it. */
const facetUnits: Readonly<Record<string, string>> = {
  offeredGbps: 'Gbps offered',
  flows: 'flows',
  cores: 'cores',
  depth: 'keys at once',
  call: 'packets a call',
  keySize: 'bytes of key',
  threads: 'threads',
  speedPercent: '% of the trace’s speed',
  connections: 'connections',
};
const namedByValue =
  /^(contender|chain|way|trace|tracker|traffic|port|rate|workload|stage|hash|policy|locality|function|placing|work)$/;

/** Panels by name: "8 cores"; where the value says what it is, that alone. */
export function facetTitle({ facetLabel, facets }: Chart, facet: string): string {
  if (facets.length < 2) return '';
  const unit = facetUnits[facetLabel];
  const value = Number(facet);
  if (unit !== undefined && value === 1) return `1 ${unit.replace(/s( |$)/, '$1')}`;
  if (unit !== undefined)
    return `${Number.isFinite(value) && value >= 1e4 ? value.toLocaleString('en-US') : facet} ${unit}`;
  return namedByValue.test(facetLabel) ? shownName(facet, facetLabel) : `${facetLabel} ${facet}`;
}
