// Bars to the right, each with its name before it and its value behind it.
import { panelScale, publishedSeries, shownName, type Chart } from '../chart.js';
import { number } from '../../report/text.js';
import { framed, tellOf, type Grid } from './frame.js';
import { valueScale } from './scale.js';
import { cutTo, element, label, mark, path, textWidth, type Style } from './svg.js';

export function drawBars(chart: Chart, style: Style): string {
  const { font } = style;
  const line = font * 1.45;
  const names = chart.series.map((s) => s.name);
  const told = (value: number): string =>
    number(value, Math.abs(value) >= 1000 ? 0 : Math.min(2, chart.y.digits));
  const shared = Math.min(
    style.width * 0.4,
    Math.max(...names.map((name) => textWidth(shownName(name), font))) + font * 0.8,
  );
  const behind = Math.max(...chart.rows.map((r) => textWidth(told(r.value), font))) + font * 1.1;
  // Narrow panels would be all labels.
  const columns = Math.max(
    1,
    Math.min(
      style.columns,
      chart.facets.length,
      Math.floor((style.width - shared) / (behind + font * 7)),
    ),
  );
  const grid: Grid = {
    margin: { left: 0, right: behind, top: font * 0.4, bottom: font * 1.3 },
    height: names.length * line,
    columns,
    shared,
    key: [],
  };
  return framed(chart, style, grid, (facet, box) => {
    const own = chart.rows.filter((r) => r.facet === facet);
    const published = chart.published.filter((r) => r.facet === facet);
    const ends = [...own, ...published].flatMap((r) => [
      r.value,
      r.high ?? r.value,
      r.low ?? r.value,
    ]);
    const log = panelScale(chart, ends) === 'log';
    const x = valueScale(ends, log ? 'log' : 'linear', box.left, box.right, 4);
    const zero = log ? box.left : x.at(0);
    const column = chart.facets.indexOf(facet) % columns;
    const rows = names.map((name, i) => {
      const middle = box.top + (i + 0.5) * line;
      const title =
        column === 0
          ? label(
              box.left - font * 0.6,
              middle + font * 0.36,
              cutTo(shownName(name), shared - font * 0.6, font),
              style,
              { 'text-anchor': 'end' },
            )
          : '';
      const row = own.find((r) => r.series === name);
      const theirs = published.find((r) => r.series === name);
      if (row === undefined) return title;
      const end = x.at(row.value);
      const colour = chart.series[i]?.colour ?? '';
      const bar = element('rect', {
        x: Math.min(zero, end),
        y: middle - line * 0.34,
        width: Math.max(0.6, Math.abs(end - zero)),
        height: line * 0.68,
        fill: colour,
        ...tellOf(style, { ...row, x: '' }),
      });
      const interval =
        row.low === null || row.high === null || x.at(row.high) - x.at(row.low) < 1
          ? ''
          : element('path', {
              d: path([
                [x.at(row.low), middle],
                [x.at(row.high), middle],
              ]),
              stroke: style.ink,
              'stroke-width': style.font / 7,
            });
      const diamond =
        theirs === undefined
          ? ''
          : element(
              'g',
              { class: 'series', 'data-series': publishedSeries },
              element('path', {
                d: mark('diamond', x.at(theirs.value), middle, font * 0.75),
                fill: style.paper,
                stroke: style.ink,
                'stroke-width': style.font / 8,
                ...tellOf(style, { ...theirs, x: '' }),
              }),
            );
      const right = Math.max(
        zero,
        end,
        x.at(row.high ?? row.value),
        theirs === undefined ? end : x.at(theirs.value) + font * 0.5,
      );
      const value = label(right + font * 0.4, middle + font * 0.36, told(row.value), style);
      return (
        title +
        element('g', { class: 'series', 'data-series': name }, bar + interval + value) +
        diamond
      );
    });
    const base = element('path', {
      d: path([
        [zero, box.top],
        [zero, box.bottom],
      ]),
      stroke: style.ink,
      'stroke-width': 0.8,
    });
    // The axis' title stands above; here only what sets this panel apart.
    const title = label(box.left, box.bottom + font * 1.1, log ? 'log scale' : '', style);
    return rows.join('') + base + title;
  });
}
