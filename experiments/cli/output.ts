// stdout is data, stderr is talk. Both may show what others wrote (names of files, journals, telemetry):
// it is cleaned here, so that no terminal obeys it.
import { writeSync } from 'node:fs';

import { cleanLine, cleanText } from '../core/clean.js';

export type Align = 'left' | 'right';

export interface Column {
  title: string;
  align?: Align;
}

/** A table for people: numbers to the right, two blanks between columns, no frame. */
export function renderTable(
  columns: readonly Column[],
  given: readonly (readonly string[])[],
): string {
  const rows = given.map((row) => row.map(cleanLine)); // first, so that widths fit
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
    if (tty) writeSync(2, `\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
    else talk(text);
    this.shown = tty;
  }

  end(): void {
    if (this.shown) writeSync(2, '\r\x1b[2K');
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
