// Pieces of SVG, and how wide text is.
import type { Shape } from '../palette.js';

export interface Style {
  /** Points on paper, pixels on a screen. */
  width: number;
  /** Panels beside one another, at most. */
  columns: number;
  font: number;
  /** Height of a panel of lines. */
  panel: number;
  ink: string;
  faint: string;
  paper: string;
  /** The title and the mark of a quick run stand in the picture. */
  titled: boolean;
  /** Marks carry what they show, for a page that tells it. */
  told: boolean;
  /** Values of bars stand in a column where a diamond is in the way of one: on paper it is close. */
  inColumn: boolean;
}

const inks = { ink: '#1a1a1a', faint: '#d9d9d9', paper: '#ffffff' } as const;
/** A column of a page in two columns, and both. */
export const columnStyle: Style = {
  ...inks,
  width: 240,
  columns: 2,
  font: 7.2,
  panel: 92,
  titled: false,
  told: false,
  inColumn: true,
};
export const pageStyle: Style = { ...columnStyle, width: 500, columns: 4, panel: 72 };
/** A file of its own. */
export const fileStyle: Style = {
  ...inks,
  width: 760,
  columns: 3,
  font: 13,
  panel: 250,
  titled: true,
  told: false,
  inColumn: false,
};

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
export const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => escapes[c] ?? c);

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** A tenth of a pixel is more than an eye sees, and the same text for the same figure. */
const short = (value: string | number): string =>
  typeof value === 'number' ? String(Number(value.toFixed(1))) : escapeXml(value);

export function element(name: string, attributes: Attributes, content?: string): string {
  const list = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${short(value ?? '')}"`)
    .join('');
  return content === undefined ? `<${name}${list}/>` : `<${name}${list}>${content}</${name}>`;
}

/** DejaVu Sans by its narrow, ordinary and wide letters: within a twentieth of the text. */
export function textWidth(text: string, font: number): number {
  let width = 0;
  for (const letter of text)
    width += /[ijl.,:;'|!’]/.test(letter)
      ? 0.31
      : /[frtI ()/[\]-]/.test(letter)
        ? 0.4
        : /[mMWw%@µ—+=<>]/.test(letter)
          ? 0.84
          : /[A-Z]/.test(letter)
            ? 0.68
            : 0.61;
  return width * font;
}

export function cutTo(text: string, room: number, font: number): string {
  if (textWidth(text, font) <= room) return text;
  let kept = text;
  while (kept.length > 1 && textWidth(`${kept}…`, font) > room) kept = kept.slice(0, -1);
  return `${kept.trimEnd()}…`;
}

/** Letters in the picture's own style have their size and colour from its root. */
export const label = (
  x: number,
  y: number,
  text: string,
  style: Style | Pick<Style, 'font' | 'ink'>,
  more: Attributes = {},
): string => {
  if (text === '') return '';
  const own = 'panel' in style ? {} : { 'font-size': style.font, fill: style.ink };
  return element('text', { x, y, ...own, ...more }, escapeXml(text));
};

export const path = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${short(x)} ${short(y)}`).join('');

/** A mark of a point, about `size` wide. */
export function mark(shape: Shape | 'diamond', x: number, y: number, size: number): string {
  const r = size / 2;
  const move = `M${short(x)} ${short(y)}`;
  switch (shape) {
    case 'circle':
      return `${move}m${short(-r)} 0a${short(r)} ${short(r)} 0 1 0 ${short(size)} 0a${short(r)} ${short(r)} 0 1 0 ${short(-size)} 0z`;
    case 'square':
      return `${move}m${short(-r)} ${short(-r)}h${short(size)}v${short(size)}h${short(-size)}z`;
    case 'triangle':
      return `${move}m0 ${short(-r * 1.2)}l${short(r * 1.2)} ${short(size * 1.1)}h${short(-size * 1.2)}z`;
    case 'wedge':
      return `${move}m0 ${short(r * 1.2)}l${short(r * 1.2)} ${short(-size * 1.1)}h${short(-size * 1.2)}z`;
    case 'cross':
      return `${move}m${short(-r)} ${short(-r * 0.4)}h${short(r * 0.6)}v${short(-r * 0.6)}h${short(r * 0.8)}v${short(r * 0.6)}h${short(r * 0.6)}v${short(r * 0.8)}h${short(-r * 0.6)}v${short(r * 0.6)}h${short(-r * 0.8)}v${short(-r * 0.6)}h${short(-r * 0.6)}z`;
    case 'bar':
      return `${move}m${short(-r)} ${short(-r * 0.4)}h${short(size)}v${short(r * 0.8)}h${short(-size)}z`;
    case 'diamond':
      return `${move}m0 ${short(-r * 1.3)}l${short(r * 1.1)} ${short(r * 1.3)}l${short(-r * 1.1)} ${short(r * 1.3)}l${short(-r * 1.1)} ${short(-r * 1.3)}z`;
  }
}

/** Moves places apart that are nearer than `gap`, as little as it takes, inside [low, high]. */
export function apart(places: readonly number[], gap: number, low: number, high: number): number[] {
  const order = places.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = order.map((i) => Math.min(high, Math.max(low, places[i] ?? 0)));
  for (let round = 0; round < 60; round++) {
    let still = true;
    for (let i = 1; i < moved.length; i++) {
      const lack = gap - ((moved[i] ?? 0) - (moved[i - 1] ?? 0));
      if (lack <= 0.05) continue;
      still = false;
      moved[i - 1] = Math.max(low, (moved[i - 1] ?? 0) - lack / 2);
      moved[i] = Math.min(high, (moved[i] ?? 0) + lack / 2);
      if (moved[i - 1] === low) moved[i] = Math.max(moved[i] ?? 0, low + gap);
      if (moved[i] === high) moved[i - 1] = Math.min(moved[i - 1] ?? 0, high - gap);
    }
    if (still) break;
  }
  const places_ = new Array<number>(places.length).fill(0);
  order.forEach((place, i) => (places_[place] = moved[i] ?? 0));
  return places_;
}
