// A chart as a Vega-Lite specification with its rows inside: for who wants to draw it differently.
import type { JsonObject, JsonValue } from '../core/types.js';
import { chartScale, publishedSeries, type Chart } from './chart.js';
import { fontFamily, quickMark } from './draw/index.js';
import { publishedColour } from './palette.js';

const ours: JsonObject = { filter: `datum.kind === 'ours'` };
const theirs: JsonObject = { filter: `datum.kind === '${publishedSeries}'` };
const known: JsonObject = { filter: 'isValid(datum.low) && isValid(datum.high)' };

function layersOf(chart: Chart): JsonObject[] {
  const { kind, x, y, series } = chart;
  const colour = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: series.map((s) => s.name), range: series.map((s) => s.colour) },
  };
  const value = {
    field: 'value',
    type: 'quantitative',
    title: y.title,
    scale: { type: chartScale(chart) },
  };
  const low = { ...value, field: 'low' };
  const place =
    x.scale === 'band'
      ? { field: 'x', type: 'nominal', title: x.title, sort: null }
      : { field: 'x', type: 'quantitative', title: x.title, scale: { type: x.scale, zero: false } };
  const published: JsonObject = {
    transform: [theirs],
    mark: { type: 'point', shape: 'diamond', stroke: publishedColour },
    encoding: { x: place, y: value },
  };
  switch (kind) {
    case 'bar':
      return [
        {
          transform: [ours],
          mark: chartScale(chart) === 'log' ? { type: 'point', filled: true, size: 80 } : 'bar',
          encoding: { x: place, y: value, color: { ...colour, legend: null } },
        },
        {
          transform: [ours, known],
          mark: 'rule',
          encoding: { x: place, y: low, y2: { field: 'high' } },
        },
        published,
      ];
    case 'line':
      return [
        {
          transform: [ours, known],
          mark: { type: 'area', opacity: 0.2 },
          encoding: { x: place, y: low, y2: { field: 'high' }, color: colour },
        },
        {
          transform: [ours],
          mark: { type: 'line', point: true },
          encoding: { x: place, y: value, color: colour },
        },
        {
          transform: [{ filter: `datum.kind === 'level'` }],
          mark: { type: 'rule', strokeDash: [6, 3] },
          encoding: { y: value, color: colour },
        },
        published,
      ];
    case 'box':
      return [
        {
          mark: { type: 'point', filled: true },
          encoding: {
            y: { field: 'series', type: 'nominal', title: null, sort: null },
            x: value,
            color: colour,
          },
        },
      ];
    case 'cdf':
      return [
        {
          mark: { type: 'line', interpolate: 'step-after' },
          encoding: {
            x: value,
            y: { field: 'x', type: 'quantitative', title: x.title },
            color: colour,
          },
        },
      ];
    case 'heat': {
      const row = { field: 'y', type: 'nominal', title: null, sort: null };
      return [
        {
          mark: 'rect',
          encoding: { x: place, y: row, color: { ...value, scale: { scheme: 'blues' } } },
        },
        { mark: 'text', encoding: { x: place, y: row, text: { field: 'value', format: '.3~g' } } },
      ];
    }
  }
}

export function vegaLite(chart: Chart): JsonObject {
  const levels = new Set(chart.series.filter((s) => s.level).map((s) => s.name));
  const rows = [
    ...chart.rows.map((r) => ({ ...r, kind: levels.has(r.series) ? 'level' : 'ours' })),
    ...chart.published.map((r) => ({ ...r, kind: publishedSeries })),
  ];
  const layer = layersOf(chart);
  const head: JsonObject = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: chart.title,
      subtitle: chart.quick ? [quickMark] : [],
      subtitleColor: '#b00020',
      anchor: 'start',
    },
    background: '#ffffff',
    datasets: { rows: rows as unknown as JsonValue },
    data: { name: 'rows' },
    config: { font: fontFamily },
  };
  if (chart.facets.length < 2) return { ...head, width: 420, height: 250, layer };
  return {
    ...head,
    facet: { field: 'facet', type: 'nominal', title: chart.facetLabel, sort: [...chart.facets] },
    columns: 2,
    spec: { width: 300, height: 210, layer },
  };
}
