// A heat map with its numbers written in; viridis reads the same without colour.
import type { Summary } from '../core/summary.js';
import type { HeatFigure, JsonObject } from '../core/types.js';
import { assemble, uniqueInOrder, type FigureSpec } from './common.js';
import { axisTitle, makeRow, text, type FigureInput } from './data.js';

export function heatFigure(figure: HeatFigure, input: FigureInput, summary: Summary): FigureSpec {
  const { metric, points } = input;
  const rows = points.map((point) =>
    makeRow(point, metric, {
      series: text(point.params[figure.y.param]),
      facet: figure.facet === undefined ? '' : text(point.params[figure.facet]),
      x: text(point.params[figure.x.param]),
      y: text(point.params[figure.y.param]),
    }),
  );
  const series = uniqueInOrder(rows.map((r) => r.series));
  const facets = uniqueInOrder(rows.map((r) => r.facet));
  const columns = uniqueInOrder(rows.map((r) => text(r.x)));
  const x = {
    field: 'x',
    type: 'ordinal',
    title: figure.x.label,
    sort: columns,
    axis: { labelAngle: 0 },
  };
  const y = { field: 'y', type: 'ordinal', title: figure.y.label, sort: series };
  const largest = Math.max(...rows.map((r) => r.value));
  const layers: JsonObject[] = [
    {
      mark: 'rect',
      encoding: {
        x,
        y,
        color: {
          field: 'value',
          type: 'quantitative',
          title: axisTitle(metric),
          scale: { scheme: 'viridis' },
        },
        tooltip: [
          { field: 'x', title: figure.x.label },
          { field: 'y', title: figure.y.label },
          { field: 'value', title: axisTitle(metric) },
          { field: 'low', title: '95 % from' },
          { field: 'high', title: '95 % to' },
        ],
      },
    },
    {
      mark: { type: 'text', fontSize: 10 },
      encoding: {
        x,
        y,
        text: { field: 'value', type: 'quantitative', format: '.3~g' },
        color: {
          condition: { test: `datum.value > ${largest * 0.7}`, value: '#000000' },
          value: '#ffffff',
        },
      },
    },
  ];
  const spec = assemble({
    title: figure.title,
    summary,
    rows,
    layers,
    facets,
    facetLabel: figure.facet ?? '',
  });
  return { id: figure.id, title: figure.title, kind: 'heat', spec, series };
}
