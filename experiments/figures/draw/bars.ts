// Bars to the right, each with its name before it and its value behind it.
import { chartScale, publishedSeries, type Chart } from '../chart.js';
import { shownName } from '../../story/names.js';
import { brief } from '../../report/text.js';
import type { Row } from '../data.js';
import { framed, tellOf, type Box, type Grid } from './frame.js';
import { tickText, valueScale, type Scale } from './scale.js';
import { cutTo, element, label, mark, path, textWidth, type Style } from './svg.js';

/** The axis' title stands above; a logarithmic one needs its numbers, too. */
function ticksBelow(x: Scale, box: Box, style: Style): string {
  let free = Number.NEGATIVE_INFINITY;
  return x.ticks
    .map((tick) => {
      const [at, text] = [x.at(tick), tickText(tick)];
      const half = textWidth(text, style.font) / 2;
      if (at - half < free) return '';
      free = at + half + style.font * 0.5;
      return label(at, box.bottom + style.font * 1.3, text, style, { 'text-anchor': 'middle' });
    })
    .join('');
}

export function drawBars(chart: Chart, style: Style): string {
  const { font } = style;
  const line = font * 1.45;
  const names = chart.series.map((s) => s.name);
  const told = (value: number): string => brief(value, Math.min(2, chart.y.digits));
  const log = chartScale(chart) === 'log';
  const ends = [...chart.rows, ...chart.published].flatMap((r) => [
    r.value,
    r.high ?? r.value,
    r.low ?? r.value,
  ]);
  const shared = Math.min(
    style.width * 0.46,
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
    margin: { left: 0, right: behind, top: font * 0.4, bottom: font * (log ? 1.8 : 0.8) },
    height: names.length * line,
    columns,
    shared,
    key: [],
  };
  return framed(chart, style, grid, (facet, box) => {
    const own = chart.rows.filter((r) => r.facet === facet);
    const published = chart.published.filter((r) => r.facet === facet);
    const x = valueScale(
      log ? ends.filter((v) => v > 0) : ends,
      log ? 'log' : 'linear',
      box.left,
      box.right,
      4,
    );
    const zero = log ? box.left : x.at(0);
    const column = chart.facets.indexOf(facet) % columns;
    const beside = (row: Row): number =>
      Math.max(zero, x.at(row.value) + (log ? line * 0.3 : 0), x.at(row.high ?? row.value));
    // A value stands beside its bar, or behind the diamond that is in its way, as if it were the diamond's.
    const inTheWay = (row: Row): number | undefined => {
      const theirs = published.find((p) => p.series === row.series);
      if (theirs === undefined) return undefined;
      const [at, from] = [x.at(theirs.value), beside(row)];
      const room = textWidth(told(row.value), font) + font;
      return at > from - font * 0.5 && at < from + room ? at : undefined;
    };
    const inColumn = style.inColumn && own.some((row) => inTheWay(row) !== undefined);
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
      // A bar's length means nothing on a logarithmic axis: there a dot stands at its place.
      const guide = element('path', {
        d: path([
          [zero, middle],
          [end, middle],
        ]),
        stroke: style.faint,
        'stroke-width': 0.8,
      });
      const bar = log
        ? guide +
          element('path', {
            d: mark('circle', end, middle, line * 0.55),
            fill: colour,
            ...tellOf(style, { ...row, x: '' }),
          })
        : element('rect', {
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
      const diamondAt = inTheWay(row);
      const right = inColumn
        ? box.right + font * 0.5
        : diamondAt === undefined
          ? beside(row)
          : diamondAt + font * 0.5;
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
    const ticks = log ? ticksBelow(x, box, style) : '';
    return rows.join('') + base + ticks;
  });
}
