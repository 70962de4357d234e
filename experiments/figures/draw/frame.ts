// What stands around the panels of a figure: title, mark of a quick run, names of panels, a key.
import { facetTitle, publishedSeries, type Chart, type Series } from '../chart.js';
import { shownName } from '../../story/names.js';
import type { Row } from '../data.js';
import { publishedColour } from '../palette.js';
import { cutTo, element, label, mark, textWidth, type Style } from './svg.js';

export const fontFamily = 'DejaVu Sans, Verdana, Helvetica, sans-serif';
export const quickMark = 'QUICK RUN: few samples, short trials; use --full for figures to quote';

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Draws a panel into the box, which has no room for its axis labels left out. */
export type Panel = (facet: string, box: Box) => string;

export interface Grid {
  /** Room that a panel's axis labels take at each side of its box. */
  margin: Box;
  height: number;
  columns: number;
  /** Room that the first panel of a row takes more at the left, for names that a row shares. */
  shared: number;
  key: readonly Series[];
}

/** A mark, its name, the next mark: as many lines as it takes. */
function keyOf(
  chart: Chart,
  series: readonly Series[],
  style: Style,
  top: number,
): { svg: string; height: number } {
  const line = style.font * 1.5;
  let [x, y] = [0, top + style.font];
  const items: { name: string; colour: string; shape: Series['shape'] | 'diamond' }[] = [...series];
  if (chart.published.length > 0)
    items.push({ name: publishedSeries, colour: publishedColour, shape: 'diamond' });
  if (items.length < 2) return { svg: '', height: 0 };
  const svg = items.map(({ name, colour, shape }) => {
    const wide = textWidth(shownName(name), style.font) + style.font * 2;
    if (x > 0 && x + wide > style.width) [x, y] = [0, y + line];
    const open = shape === 'diamond';
    const sign = element('path', {
      d: mark(shape, x + style.font / 2, y - style.font * 0.35, style.font * 0.7),
      fill: open ? style.paper : colour,
      stroke: open ? style.ink : colour,
    });
    const text = label(x + style.font * 1.2, y, shownName(name), style);
    x += wide + style.font * 0.6;
    return element('g', { class: 'key', 'data-series': name }, sign + text);
  });
  return { svg: svg.join(''), height: y - top + style.font * 0.7 };
}

function headOf(chart: Chart, style: Style): { svg: string; height: number } {
  if (!style.titled) return { svg: '', height: 0 };
  const big = { font: style.font * 1.2, ink: style.ink };
  const title = label(0, big.font, chart.title, big, { 'font-weight': 'bold' });
  if (!chart.quick) return { svg: title, height: big.font * 1.9 };
  const quick = label(0, big.font + style.font * 1.5, quickMark, {
    font: style.font,
    ink: '#b00020',
  });
  return { svg: title + quick, height: big.font * 1.9 + style.font * 1.6 };
}

/** Of bold letters over ordinary ones. */
const boldWidth = 1.12;

const titledByFrame = ({ kind }: Chart): boolean => kind === 'line' || kind === 'bar';

export function framed(chart: Chart, style: Style, grid: Grid, panel: Panel): string {
  const { font, width } = style;
  const head = headOf(chart, style);
  const key = keyOf(chart, grid.key, style, head.height);
  const { margin, columns, shared } = grid;
  const gap = font * 1.2;
  const each = (width - shared - gap * (columns - 1)) / columns - margin.left - margin.right;
  const named = chart.facets.length > 1;
  const strip = (named ? font * 1.5 : 0) + margin.top;
  // What the values are, once for all panels.
  const values = titledByFrame(chart)
    ? label(0, head.height + key.height + font, cutTo(chart.y.title, width, font), style)
    : '';
  let y = head.height + key.height + (values === '' ? 0 : font * 1.6);
  const body = chart.facets.map((facet, i) => {
    const column = i % columns;
    if (column === 0 && i > 0) y += strip + grid.height + margin.bottom + gap * 0.8;
    const left = shared + column * (each + margin.left + margin.right + gap) + margin.left;
    const box: Box = { left, right: left + each, top: y + strip, bottom: y + strip + grid.height };
    const name = named
      ? label(
          left,
          y + font,
          cutTo(facetTitle(chart, facet), (each + margin.right) / boldWidth, font),
          style,
          {
            'font-weight': 'bold',
          },
        )
      : '';
    return name + panel(facet, box);
  });
  const height = y + strip + grid.height + margin.bottom;
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${width} ${Number(height.toFixed(1))}`,
      width,
      height,
      'font-family': fontFamily,
      'font-size': font,
      fill: style.ink,
      role: 'img',
      'aria-label': chart.title,
      ...(style.told ? { 'data-x': chart.x.title, 'data-y': chart.y.title } : {}),
    },
    `${style.titled ? element('rect', { width, height, fill: style.paper }) : ''}${head.svg}${key.svg}${values}${body.join('')}`,
  );
}

/** What a reader takes from a value under the pointer. */
const short = (value: number): number => Number(value.toPrecision(4));

/** What a page tells of a mark: place, value, interval; the page knows the names. */
export const tellOf = (
  style: Style,
  { x, value, low, high }: Pick<Row, 'x' | 'value' | 'low' | 'high'>,
): Record<string, string> =>
  style.told
    ? { 'data-t': [x, ...[value, low, high].map((v) => (v === null ? '' : short(v)))].join(';') }
    : {};
