// Tables of fixed width: numbers to the right, two blanks between columns, no frame.
import type { Table } from './tables.js';

export interface Fit {
  /** Letters of a line; columns that have no room are left out, the last first. */
  width: number;
  /** Columns at most. */
  most?: number;
}

export interface Fitted {
  text: string;
  /** Titles of the columns that were left out. */
  left: string[];
}

const longest = (values: readonly string[]): number =>
  values.reduce((most, value) => Math.max(most, value.length), 0);

export function textTable({ columns, numeric, rows }: Table, { width, most }: Fit): Fitted {
  const widths = columns.map((title, i) => longest([title, ...rows.map((row) => row[i] ?? '')]));
  let [kept, used] = [0, -2];
  while (kept < Math.min(columns.length, most ?? columns.length)) {
    const next = used + 2 + (widths[kept] ?? 0);
    // A first column that is too wide stays: a table without it says nothing.
    if (next > width && kept > 0) break;
    used = next;
    kept += 1;
  }
  const line = (cells: readonly string[]): string =>
    cells
      .slice(0, kept)
      .map((cell, i) =>
        numeric[i] === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return { text: [line(columns), ...rows.map(line)].join('\n'), left: columns.slice(kept) };
}
