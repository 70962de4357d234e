// Every sample shown: as a box with its points, or as a cumulative distribution.
import type { Summary } from '../core/summary.js';
import type { BoxFigure, JsonObject } from '../core/types.js';
import { assemble, uniqueInOrder, type FigureSpec } from './common.js';
import { axisTitle, rounded, text, type FigureInput } from './data.js';
import { makePalette } from './palette.js';

interface SampleRow {
  series: string;
  facet: string;
  value: number;
  share: number;
}

function sampleRows(figure: BoxFigure, { metric, points }: FigureInput): SampleRow[] {
  return points.flatMap((point) => {
    const values = [...(point.values[metric.key] ?? [])].sort((a, b) => a - b);
    const series = text(point.params[figure.series]);
    const facet = figure.facet === undefined ? '' : text(point.params[figure.facet]);
    return values.map((value, i) => ({
      series,
      facet,
      value: rounded(value),
      share: rounded((i + 1) / values.length),
    }));
  });
}

export function samplesFigure(figure: BoxFigure, input: FigureInput, summary: Summary): FigureSpec {
  const rows = sampleRows(figure, input);
  const series = uniqueInOrder(rows.map((r) => r.series));
  const facets = uniqueInOrder(rows.map((r) => r.facet));
  const palette = makePalette(input.series.length > 0 ? [...input.series, ...series] : series)(
    series,
  );
  const colour = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: palette.domain, range: palette.colours },
  };
  const value = {
    field: 'value',
    type: 'quantitative',
    title: axisTitle(input.metric),
    scale: { zero: false },
  };
  const tooltip = [
    { field: 'series', title: 'series' },
    { field: 'value', title: axisTitle(input.metric) },
  ];
  const category = { field: 'series', type: 'nominal', title: null, sort: series };
  const box: JsonObject[] = [
    {
      mark: { type: 'boxplot', extent: 'min-max', opacity: 0.5, size: 16 },
      encoding: { y: category, x: value, color: { ...colour, legend: null } },
    },
    {
      mark: { type: 'point', size: 18, filled: true, opacity: 0.7 },
      encoding: { y: category, x: value, color: { ...colour, legend: null }, tooltip },
    },
  ];
  const cdf: JsonObject[] = [
    {
      mark: { type: 'line', interpolate: 'step-after', strokeWidth: 2 },
      encoding: {
        x: value,
        y: { field: 'share', type: 'quantitative', title: 'share of samples at most that' },
        color: colour,
        tooltip,
      },
    },
  ];
  const layers = figure.kind === 'box' ? box : cdf;
  const spec = assemble({
    title: figure.title,
    summary,
    rows: rows as unknown as JsonObject[],
    layers,
    facets,
    facetLabel: figure.facet ?? '',
  });
  return { id: figure.id, title: figure.title, kind: figure.kind, spec, series };
}
