// stdout is data, stderr is talk. Both may show what others wrote (names of files, journals, telemetry):
// it is cleaned here, so that no terminal obeys it.
import { cleanLine, cleanText } from '../core/clean.js';
import { tellNow } from '../core/tell.js';

export type Align = 'left' | 'right';

export interface Column {
  title: string;
  align?: Align;
}

export interface Fit {
  /** Every column in full, however wide the terminal is. */
  wide?: boolean;
  /** Letters of a line; default the terminal's, and no limit in a file or a pipe. */
  room?: number;
}

/** Cuts the widest column on the left until a line fits, as far as it still says something. */
function fitted(widths: readonly number[], columns: readonly Column[], room: number): number[] {
  const fit = [...widths];
  const total = (): number => fit.reduce((sum, w) => sum + w + 2, -2);
  while (total() > room) {
    const words = fit.map((w, i) => (columns[i]?.align === 'left' ? w : 0));
    const widest = words.indexOf(Math.max(...words));
    if ((fit[widest] ?? 0) <= 12) break;
    fit[widest] = (fit[widest] ?? 0) - 1;
  }
  return fit;
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;

/** A table for people: numbers to the right, two blanks between columns, no frame; it fits the terminal. */
export function renderTable(
  columns: readonly Column[],
  given: readonly (readonly string[])[],
  { wide = false, room = process.stdout.columns || Number.POSITIVE_INFINITY }: Fit = {},
): string {
  const all = given.map((row) => row.map(cleanLine)); // first, so that widths fit
  const full = columns.map((column, i) =>
    all.reduce((most, row) => Math.max(most, (row[i] ?? '').length), column.title.length),
  );
  const limits = wide ? full : fitted(full, columns, room);
  const rows = all.map((row) => row.map((cell, i) => cut(cell, limits[i] ?? cell.length)));
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return columns[i]?.align === 'left' ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)].join('\n');
}

/** Breaks a sentence into lines of two blanks and at most 96 characters of text. */
export function wrap(text: string): string {
  const lines = text.match(/.{1,96}(?=\s|$)|\S+/g) ?? [];
  return lines.map((line) => `  ${line.trim()}`).join('\n');
}

export function printJson(value: unknown): void {
  // JSON names the control characters below 32 by number; some terminals obey those from 127 on too.
  const text = JSON.stringify(value).replace(
    /[\u007f-\u009f]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16)}`,
  );
  process.stdout.write(`${text}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${cleanText(text)}\n`);
}

const green = 32;
const red = 31;
const colours: Readonly<Record<string, number>> = {
  better: green,
  reproduced: green,
  reached: green,
  exceeds: green,
  worse: red,
  missed: red,
  'falls short': red,
};

/** Verdicts at the ends of lines, in colour where a terminal shows it (NO_COLOR: never). */
export function coloured(
  text: string,
  shows = process.stdout.isTTY && process.env.NO_COLOR === undefined,
): string {
  const words = Object.keys(colours).join('|');
  return shows
    ? text.replace(
        new RegExp(`(?<= )(${words})$`, 'gm'),
        (w) => `\x1b[${colours[w] ?? 0}m${w}\x1b[0m`,
      )
    : text;
}

/** A table of verdicts. */
export function printVerdicts(table: string): void {
  process.stdout.write(`${coloured(cleanText(table))}\n`);
}

export function talk(text: string): void {
  process.stderr.write(`${cleanText(text)}\n`);
}

export interface Progress {
  done: number;
  total: number | null;
  what: string;
}

/**
 * Progress on a terminal is one line that rewrites itself, with an estimate of what is left;
 * elsewhere nothing for short jobs, and a plain line every ten seconds for long ones.
 */
export class ProgressLine {
  private readonly start = Date.now();
  private last = Date.now();
  private shown = false;

  constructor(
    private readonly label: string,
    private readonly quiet = false,
  ) {}

  update(progress: Progress): void {
    if (this.quiet) return;
    const tty = process.stderr.isTTY === true;
    const now = Date.now();
    if (!tty && now - this.last < 10_000) return;
    this.last = now;
    const text = cleanLine(`${this.label}: ${this.describe(progress, now)}`);
    if (tty) tellNow(`\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
    else talk(text);
    this.shown = tty;
  }

  end(): void {
    if (this.shown) tellNow('\r\x1b[2K');
    this.shown = false;
  }

  private describe({ done, total, what }: Progress, now: number): string {
    if (total === null || total <= 0) return `${done.toLocaleString('en-US')} ${what}`;
    const share = Math.min(1, done / total);
    const left = share > 0 ? ((now - this.start) / 1000) * (1 / share - 1) : undefined;
    const estimate = left === undefined ? '' : `, about ${left.toFixed(0)} s left`;
    return `${(share * 100).toFixed(0)} % ${what}${estimate}`;
  }
}
