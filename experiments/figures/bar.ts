// Bars with their interval; the paper's value is a black tick across the bar.
import type { Summary } from '../core/summary.js';
import type { BarFigure, JsonObject } from '../core/types.js';
import { assemble, hasInterval, uniqueInOrder, type FigureSpec } from './common.js';
import {
  axisTitle,
  makeRow,
  publishedRows,
  publishedSeries,
  text,
  type FigureInput,
} from './data.js';
import { makePalette, publishedColour } from './palette.js';

export function barFigure(figure: BarFigure, input: FigureInput, summary: Summary): FigureSpec {
  const { metric, points } = input;
  const { category, facet: facetParam } = figure;
  const rows = points.map((point) => {
    const name = text(point.params[category.param]);
    return makeRow(point, metric, {
      series: name,
      facet: facetParam === undefined ? '' : text(point.params[facetParam]),
      x: name,
    });
  });
  const published = publishedRows(input, facetParam, category.param);
  const series = uniqueInOrder(rows.map((r) => r.series));
  const facets = uniqueInOrder(rows.map((r) => r.facet));
  const palette = makePalette(input.series.length > 0 ? [...input.series, ...series] : series)(
    series,
  );
  const x = {
    field: 'x',
    type: 'nominal',
    title: category.label,
    sort: series,
    axis: { labelAngle: series.length > 4 ? -35 : 0 },
  };
  const y = { field: 'value', type: 'quantitative', title: axisTitle(metric) };
  const tooltip = [
    { field: 'x', title: category.label },
    { field: 'value', title: axisTitle(metric) },
    { field: 'low', title: '95 % from' },
    { field: 'high', title: '95 % to' },
    { field: 'samples', title: 'samples' },
  ];
  const ours = [{ filter: `datum.series !== '${publishedSeries}'` }];
  const layers: JsonObject[] = [
    {
      transform: ours,
      mark: { type: 'bar', opacity: 0.85 },
      encoding: {
        x,
        y,
        color: {
          field: 'series',
          type: 'nominal',
          legend: null,
          scale: { domain: palette.domain, range: palette.colours },
        },
        tooltip,
      },
    },
    {
      transform: [...ours, hasInterval],
      mark: { type: 'rule', strokeWidth: 1.5 },
      encoding: {
        x,
        y: { field: 'low', type: 'quantitative', title: axisTitle(metric) },
        y2: { field: 'high' },
      },
    },
  ];
  if (published.length > 0) {
    layers.push({
      transform: [{ filter: `datum.series === '${publishedSeries}'` }],
      mark: { type: 'tick', thickness: 3, color: publishedColour },
      encoding: {
        x,
        y,
        tooltip: [
          { field: 'x', title: category.label },
          { field: 'value', title: 'published' },
        ],
      },
    });
  }
  const note = published.length > 0 ? `${figure.title} (black mark: published)` : figure.title;
  const spec = assemble({
    title: note,
    summary,
    rows: [...rows, ...published],
    layers,
    facets,
    facetLabel: facetParam ?? '',
  });
  return {
    id: figure.id,
    title: figure.title,
    kind: 'bar',
    spec,
    series: published.length > 0 ? [...series, publishedSeries] : series,
  };
}
