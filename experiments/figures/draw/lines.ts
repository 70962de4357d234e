// Lines by a place on the x axis, with the interval as a band and names at their ends.
import { chartScale, publishedSeries, type Chart, type Series } from '../chart.js';
import { shownName } from '../../story/names.js';
import type { Row } from '../data.js';
import { publishedColour } from '../palette.js';
import { framed, tellOf, type Box, type Grid } from './frame.js';
import { placeScale, tickText, valueScale, type Scale } from './scale.js';
import { apart, cutTo, element, label, mark, path, textWidth, type Style } from './svg.js';

const dashes = [undefined, '4 2', '1.5 1.5'] as const;
/** Places of a dense curve that a page tells, at most. */
const mostTold = 24;
/** Published marks of a series, at most about. */
const mostMarks = 12;
/** A level has its own dash: it is no curve. */
const levelDash = '6 3';

const rowsOf = (chart: Chart, facet: string, name: string): Row[] =>
  chart.rows.filter((r) => r.facet === facet && r.series === name);

const inPanel = (chart: Chart, facet: string): Series[] =>
  chart.series.filter(({ name }) => chart.rows.some((r) => r.facet === facet && r.series === name));

function axes(chart: Chart, style: Style, box: Box, x: Scale, y: Scale): string {
  const { font, faint, ink } = style;
  type Line = readonly [from: [number, number], to: [number, number]];
  const stroke = (lines: readonly Line[], colour: string, width: number): string =>
    element('path', { d: lines.map(path).join(''), stroke: colour, 'stroke-width': width });
  const across = y.ticks.map((tick) =>
    label(box.left - font * 0.4, y.at(tick) + font * 0.36, tickText(tick), style, {
      'text-anchor': 'end',
    }),
  );
  const grid = stroke(
    y.ticks.map((tick): Line => [
      [box.left, y.at(tick)],
      [box.right, y.at(tick)],
    ]),
    faint,
    0.6,
  );
  const along = x.ticks.map((tick) =>
    label(x.at(tick), box.bottom + font * 1.35, tickText(tick), style, {
      'text-anchor': 'middle',
    }),
  );
  const notches = stroke(
    x.ticks.map((tick): Line => [
      [x.at(tick), box.bottom],
      [x.at(tick), box.bottom + font * 0.35],
    ]),
    ink,
    0.6,
  );
  const base = stroke(
    [
      [
        [box.left, box.bottom],
        [box.right, box.bottom],
      ],
    ],
    ink,
    0.8,
  );
  const title = label((box.left + box.right) / 2, box.bottom + font * 2.6, chart.x.title, style, {
    'text-anchor': 'middle',
  });
  return grid + across.join('') + notches + along.join('') + base + title;
}

function curve(
  { name, colour, alike, shape }: Series,
  rows: readonly Row[],
  x: Scale,
  y: Scale,
  style: Style,
): string {
  const points = rows.map((r): [number, number] => [x.at(Number(r.x)), y.at(r.value)]);
  const sure = rows.filter((r) => r.low !== null && r.high !== null);
  const band =
    sure.length < 2
      ? ''
      : element('path', {
          d: `${path([
            ...sure.map((r): [number, number] => [x.at(Number(r.x)), y.at(r.high ?? 0)]),
            ...[...sure]
              .reverse()
              .map((r): [number, number] => [x.at(Number(r.x)), y.at(r.low ?? 0)]),
          ])}z`,
          fill: colour,
          'fill-opacity': '0.18',
        });
  const line = element('path', {
    d: path(points),
    fill: 'none',
    stroke: colour,
    'stroke-width': style.font / 6.5,
    'stroke-dasharray': dashes[alike % dashes.length],
  });
  // Of many points in a row marks would be a smear.
  const dense = points.length > 24;
  const marks = rows.map((r, i) => {
    const [cx = 0, cy = 0] = points[i] ?? [];
    if (dense)
      return style.told && i % Math.ceil(points.length / mostTold) === 0
        ? element('circle', { cx, cy, r: style.font * 0.2, ...tellOf(style, r) })
        : '';
    return element('path', { d: mark(shape, cx, cy, style.font * 0.55), ...tellOf(style, r) });
  });
  const marked = element('g', { fill: colour }, marks.join(''));
  return element('g', { class: 'series', 'data-series': name }, band + line + marked);
}

function level(
  { name, colour }: Series,
  rows: readonly Row[],
  y: Scale,
  box: Box,
  style: Style,
): string {
  const lines = rows.slice(0, 1).map((r) =>
    element('path', {
      d: path([
        [box.left, y.at(r.value)],
        [box.right, y.at(r.value)],
      ]),
      stroke: colour,
      fill: 'none',
      'stroke-width': style.font / 6.5,
      'stroke-dasharray': levelDash,
      ...tellOf(style, { ...r, x: '' }),
    }),
  );
  return element('g', { class: 'series', 'data-series': name }, lines.join(''));
}

function publishedMarks(
  chart: Chart,
  facet: string,
  shown: readonly Series[],
  x: Scale,
  y: Scale,
  style: Style,
): string {
  const own = chart.published.filter((r) => r.facet === facet);
  const many = shown.filter((s) => own.some((r) => r.series === s.name)).length > 1;
  // Of a dense curve a mark here and there is enough; the line goes through all of its values.
  const every = Math.ceil(own.length / shown.length / mostMarks);
  const dense = shown.map((series) => own.filter((r) => r.series === series.name));
  const lines = dense.map((rows) =>
    every < 2
      ? ''
      : element('path', {
          d: path(rows.map((r): [number, number] => [x.at(Number(r.x)), y.at(r.value)])),
          fill: 'none',
          stroke: style.ink,
          'stroke-width': style.font / 12,
        }),
  );
  const sparse = dense.flatMap((rows) => rows.filter((_, i) => i % every === 0));
  const marks = sparse.map((r) =>
    element('path', {
      d: mark('diamond', x.at(Number(r.x)), y.at(r.value), style.font * 0.65),
      fill: style.paper,
      'fill-opacity': '0.7',
      stroke: many
        ? (shown.find((s) => s.name === r.series)?.colour ?? publishedColour)
        : style.ink,
      'stroke-width': style.font / 8,
      ...tellOf(style, r),
    }),
  );
  return element(
    'g',
    { class: 'series', 'data-series': publishedSeries },
    lines.join('') + marks.join(''),
  );
}

/** Names at the ends of their lines: the eye need not go to a key and back. */
function names(
  shown: readonly { series: Series; at: number }[],
  box: Box,
  room: number,
  style: Style,
): string {
  const places = apart(
    shown.map((s) => s.at),
    style.font * 1.12,
    box.top,
    box.bottom,
  );
  return shown
    .map(({ series: { name, plain: colour } }, i) =>
      label(
        box.right + style.font * 0.7,
        (places[i] ?? 0) + style.font * 0.36,
        cutTo(shownName(name), room - style.font * 0.7, style.font),
        { font: style.font, ink: style.told ? 'var(--ink)' : colour },
        { class: 'key', 'data-series': name, ...(style.told ? { style: `fill:${colour}` } : {}) },
      ),
    )
    .join('');
}

export function drawLines(chart: Chart, style: Style): string {
  const { font } = style;
  const panelsAreSeries =
    chart.facets.length > 1 &&
    chart.facets.every((f) => inPanel(chart, f).every((s) => s.name === f || s.level));
  const shownNames = chart.series.filter(() => chart.series.length > 1 && !panelsAreSeries);
  // Names have room beside a single panel; several panels share a key.
  const direct =
    chart.facets.length === 1 &&
    shownNames.length > 1 &&
    shownNames.length * font * 1.12 <= style.panel;
  const room = direct
    ? Math.min(
        style.width * 0.4,
        Math.max(...shownNames.map((s) => textWidth(shownName(s.name), font))) + font,
      )
    : font;
  const values = [...chart.rows, ...chart.published];
  // Ticks are about as long as the values are, rounded.
  const rounded = (value: number): number =>
    Math.abs(value) < 1 ? Number(value.toPrecision(1)) : Math.round(value);
  const widest = Math.max(...values.map((r) => textWidth(tickText(rounded(r.value)), font)));
  const grid: Grid = {
    margin: {
      left: Math.max(font * 2.4, widest + font * 1.2),
      right: room,
      top: font * 1.7,
      bottom: font * 2.9,
    },
    height: style.panel,
    columns: Math.min(style.columns, chart.facets.length),
    shared: 0,
    key: direct || panelsAreSeries ? [] : shownNames,
  };
  const levels = new Set(chart.series.filter((s) => s.level).map((s) => s.name));
  const places = values.filter((r) => !levels.has(r.series)).map((r) => Number(r.x));
  const ends = values.flatMap((r) => [r.value, r.low ?? r.value, r.high ?? r.value]);
  const kind = chartScale(chart);
  return framed(chart, style, grid, (facet, box) => {
    const shown = inPanel(chart, facet);
    const y = valueScale(
      kind === 'log' ? ends.filter((v) => v > 0) : ends,
      kind,
      box.bottom,
      box.top,
      Math.max(2, style.panel / font / 3.2),
    );
    const wide = Math.max(...places.map((p) => textWidth(tickText(p), font)), font) + font * 0.7;
    const inner = { ...box, left: box.left + font * 0.5, right: box.right - font * 0.3 };
    const x = placeScale(places, chart.x.scale, inner.left, inner.right, wide);
    const body = shown.map((s) => {
      const rows = rowsOf(chart, facet, s.name);
      return s.level ? level(s, rows, y, box, style) : curve(s, rows, x, y, style);
    });
    const ended = shown.map((series) => ({
      series,
      at: y.at(rowsOf(chart, facet, series.name).at(-1)?.value ?? 0),
    }));
    return (
      axes(chart, style, box, x, y) +
      body.join('') +
      publishedMarks(chart, facet, shown, x, y, style) +
      (direct ? names(ended, box, room, style) : '')
    );
  });
}
