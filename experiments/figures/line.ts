// Lines with the 95 % interval as a band; contenders without a place on the x axis as level lines;
// the paper's values as hollow diamonds. With a facet parameter: small multiples.
import type { Summary } from '../core/summary.js';
import type { JsonObject, JsonValue, LineFigure } from '../core/types.js';
import { assemble, hasInterval, uniqueInOrder, type FigureSpec } from './common.js';
import {
  axisTitle,
  makeRow,
  publishedRows,
  publishedSeries,
  text,
  type FigureInput,
  type Row,
} from './data.js';
import { makePalette, publishedColour } from './palette.js';

export function lineFigure(figure: LineFigure, input: FigureInput, summary: Summary): FigureSpec {
  const { metric, points } = input;
  const { levels = [], series: seriesParam, facet: facetParam } = figure;
  const isLevel = (row: Row): boolean => levels.includes(row.series);
  const rows = points
    .map((point) => {
      const contender = text(point.params.contender);
      const series = levels.includes(contender)
        ? contender
        : seriesParam === undefined
          ? 'ours'
          : text(point.params[seriesParam]);
      return makeRow(point, metric, {
        series,
        facet: facetParam === undefined ? '' : text(point.params[facetParam]),
        x: point.params[figure.x.param] ?? 0,
      });
    })
    .sort((a, b) =>
      a.series === b.series ? Number(a.x) - Number(b.x) : a.series < b.series ? -1 : 1,
    );
  const lineRows = rows.filter((row) => !isLevel(row));
  const published = publishedRows(input, facetParam, figure.x.param, figure.publishedBeyond);
  const series = uniqueInOrder(rows.map((r) => r.series));
  const facets = uniqueInOrder(rows.map((r) => r.facet));
  const palette = makePalette(input.series.length > 0 ? [...input.series, ...series] : series)(
    series,
  );
  const x = {
    field: 'x',
    type: 'quantitative',
    title: figure.x.label,
    scale: { type: figure.x.scale ?? 'linear', zero: false },
    axis: {
      values: uniqueInOrder(
        [...lineRows, ...(figure.publishedBeyond === true ? published : [])].map((r) =>
          String(r.x),
        ),
      )
        .map(Number)
        .sort((a, b) => a - b),
      labelOverlap: true,
    },
  };
  const y = {
    field: 'value',
    type: 'quantitative',
    title: axisTitle(metric),
    scale: { zero: true },
  };
  const colour = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: palette.domain, range: palette.colours },
  };
  const shape = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: palette.domain, range: palette.shapes },
  };
  const tooltip: JsonValue = [
    { field: 'series', title: 'series' },
    { field: 'x', title: figure.x.label },
    { field: 'value', title: axisTitle(metric) },
    { field: 'low', title: '95 % from' },
    { field: 'high', title: '95 % to' },
    { field: 'samples', title: 'samples' },
  ];
  const levelTest = `indexof(${JSON.stringify(levels)}, datum.series) >= 0`;
  const onLine: JsonObject[] = [
    { filter: `!(${levelTest}) && datum.series !== '${publishedSeries}'` },
  ];
  const onLineWithInterval: JsonValue = [...onLine, hasInterval];
  const layers: JsonObject[] = [
    {
      transform: onLineWithInterval,
      mark: { type: 'area', opacity: 0.2, line: false },
      encoding: {
        x,
        y: { field: 'low', type: 'quantitative', title: axisTitle(metric), scale: { zero: true } },
        y2: { field: 'high' },
        color: colour,
      },
    },
    {
      transform: onLine,
      mark: { type: 'line', strokeWidth: 2 },
      encoding: { x, y, color: colour },
    },
    {
      transform: onLine,
      mark: { type: 'point', filled: true, size: 55 },
      encoding: { x, y, color: colour, shape, tooltip },
    },
  ];
  if (levels.length > 0) {
    layers.push({
      transform: [{ filter: levelTest }],
      mark: { type: 'rule', strokeDash: [6, 3], strokeWidth: 2 },
      encoding: { y, color: colour, tooltip },
    });
  }
  if (published.length > 0) {
    layers.push({
      transform: [{ filter: `datum.series === '${publishedSeries}'` }],
      mark: {
        type: 'point',
        shape: 'diamond',
        size: 75,
        filled: false,
        stroke: publishedColour,
        strokeWidth: 1.5,
      },
      encoding: {
        x,
        y,
        tooltip: [
          { field: 'x', title: figure.x.label },
          { field: 'value', title: 'published' },
        ],
      },
    });
  }
  const note = published.length > 0 ? `${figure.title} (hollow diamonds: published)` : figure.title;
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
    kind: 'line',
    spec,
    series: published.length > 0 ? [...series, publishedSeries] : series,
  };
}
