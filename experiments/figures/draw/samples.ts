// Every sample: a strip with its box, or the share of samples up to a value. And maps.
import type { Chart } from '../chart.js';
import { shownName } from '../../story/names.js';
import { framed, tellOf, type Grid } from './frame.js';
import { tickText } from './scale.js';
import { cutTo, element, label, mark, path, textWidth, type Style } from './svg.js';

interface Span {
  at: (value: number) => number;
  ticks: number[];
}

/** Samples lie close together: the axis need not begin at zero. */
function spanOf(values: readonly number[], from: number, to: number): Span {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  const [a, b] = [low - room, high + room];
  const at = (v: number): number => from + ((v - a) / (b - a)) * (to - from);
  return { at, ticks: [low, (low + high) / 2, high] };
}

function ticksOf(span: Span, box: { bottom: number }, style: Style): string {
  return [...new Set(span.ticks.map((t) => Number(t.toPrecision(3))))]
    .map((t) =>
      label(span.at(t), box.bottom + style.font * 1.3, tickText(t), style, {
        'text-anchor': 'middle',
      }),
    )
    .join('');
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.round(share * (sorted.length - 1)))] ?? 0;

export function drawSamples(chart: Chart, style: Style): string {
  const { font } = style;
  const isBox = chart.kind === 'box';
  const names = chart.series.map((s) => s.name);
  const line = font * 1.7;
  const shared = isBox
    ? Math.min(style.width * 0.4, Math.max(...names.map((n) => textWidth(n, font))) + font)
    : 0;
  const grid: Grid = {
    margin: {
      left: isBox ? font : font * 2.4,
      right: font * 2,
      top: font * 0.8,
      bottom: font * 2.8,
    },
    height: isBox ? names.length * line : style.panel,
    columns: Math.min(2, chart.facets.length),
    shared,
    key: isBox ? [] : chart.series,
  };
  return framed(chart, style, grid, (facet, box) => {
    const own = chart.rows.filter((r) => r.facet === facet);
    const span = spanOf(
      own.map((r) => r.value),
      box.left,
      box.right,
    );
    const column = chart.facets.indexOf(facet) % grid.columns;
    const body = chart.series.map(({ name, colour }, i) => {
      const rows = own.filter((r) => r.series === name);
      if (rows.length === 0) return '';
      if (!isBox) {
        const up = (share: number): number => box.bottom - share * (box.bottom - box.top);
        const stairs = rows.flatMap((r, j): [number, number][] => [
          [span.at(r.value), up(Number(rows[j - 1]?.x ?? 0))],
          [span.at(r.value), up(Number(r.x))],
        ]);
        const line = element('path', {
          d: path(stairs),
          fill: 'none',
          stroke: colour,
          'stroke-width': font / 6.5,
          ...tellOf(style, {
            x: '',
            value: quantile(
              rows.map((r) => r.value),
              0.5,
            ),
            low: null,
            high: null,
          }),
        });
        return element('g', { class: 'series', 'data-series': name }, line);
      }
      const middle = box.top + (i + 0.5) * line;
      const values = rows.map((r) => r.value);
      const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => span.at(quantile(values, share))) as [
        number,
        number,
        number,
      ];
      const title =
        column === 0
          ? label(
              box.left - font * 0.8,
              middle + font * 0.36,
              cutTo(shownName(name), shared - font, font),
              style,
              { 'text-anchor': 'end' },
            )
          : '';
      const frame = element('rect', {
        x: q1,
        y: middle - line * 0.3,
        width: Math.max(1, q3 - q1),
        height: line * 0.6,
        fill: colour,
        'fill-opacity': '0.25',
      });
      const centre = element('path', {
        d: path([
          [q2, middle - line * 0.3],
          [q2, middle + line * 0.3],
        ]),
        stroke: colour,
        'stroke-width': font / 5,
      });
      const points = values.map((v) =>
        element('path', {
          d: mark('circle', span.at(v), middle, font * 0.35),
          fill: colour,
          'fill-opacity': '0.7',
          ...tellOf(style, { x: '', value: v, low: null, high: null }),
        }),
      );
      return (
        title +
        element('g', { class: 'series', 'data-series': name }, frame + centre + points.join(''))
      );
    });
    const base = element('path', {
      d: path([
        [box.left, box.bottom],
        [box.right, box.bottom],
      ]),
      stroke: style.ink,
      'stroke-width': 0.8,
    });
    const title = label((box.left + box.right) / 2, box.bottom + font * 2.5, chart.y.title, style, {
      'text-anchor': 'middle',
    });
    const shares = isBox
      ? ''
      : ['0', '0.5', '1']
          .map((t) =>
            label(
              box.left - font * 0.4,
              box.bottom - Number(t) * (box.bottom - box.top) + font * 0.36,
              t,
              style,
              { 'text-anchor': 'end' },
            ),
          )
          .join('');
    return body.join('') + base + ticksOf(span, box, style) + shares + title;
  });
}

/** Light to dark blue; the number stands in each field, so colour alone tells nothing. */
export function drawHeat(chart: Chart, style: Style): string {
  const { font } = style;
  const places = [...new Set(chart.rows.map((r) => String(r.x)))];
  const names = chart.series.map((s) => s.name);
  const line = font * 2;
  const shared = Math.min(
    style.width * 0.4,
    Math.max(...names.map((n) => textWidth(n, font))) + font,
  );
  const most = Math.max(...chart.rows.map((r) => r.value));
  const grid: Grid = {
    margin: { left: 0, right: 0, top: font * 0.4, bottom: font * 2.8 },
    height: names.length * line,
    columns: 1,
    shared,
    key: [],
  };
  return framed(chart, style, grid, (facet, box) => {
    const wide = (box.right - box.left) / places.length;
    const fields = chart.rows
      .filter((r) => r.facet === facet)
      .map((r) => {
        const x = box.left + places.indexOf(String(r.x)) * wide;
        const y = box.top + names.indexOf(r.series) * line;
        const share = most > 0 ? Math.max(0, r.value / most) : 0;
        return (
          element('rect', {
            x,
            y,
            width: wide - 1,
            height: line - 1,
            fill: '#0072b2',
            'fill-opacity': (0.08 + 0.82 * share).toFixed(2),
            ...tellOf(style, r),
          }) +
          label(
            x + wide / 2,
            y + line / 2 + font * 0.36,
            tickText(Number(r.value.toPrecision(3))),
            { font, ink: share > 0.55 ? '#ffffff' : style.ink },
            { 'text-anchor': 'middle' },
          )
        );
      });
    const rows = names.map((name, i) =>
      label(
        box.left - font * 0.6,
        box.top + (i + 0.5) * line + font * 0.36,
        cutTo(name, shared - font, font),
        style,
        { 'text-anchor': 'end' },
      ),
    );
    const columns = places.map((place, i) =>
      label(box.left + (i + 0.5) * wide, box.bottom + font * 1.2, cutTo(place, wide, font), style, {
        'text-anchor': 'middle',
      }),
    );
    const title = label(
      (box.left + box.right) / 2,
      box.bottom + font * 2.5,
      `${chart.x.title}; fields: ${chart.y.title}`,
      style,
      { 'text-anchor': 'middle' },
    );
    return fields.join('') + rows.join('') + columns.join('') + title;
  });
}
