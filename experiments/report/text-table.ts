// Tables of fixed width: numbers to the right, two blanks between columns, no frame.
import type { Table } from './tables.js';

export interface Fit {
  /** Letters of a line; columns that have no room are left out, the last first. */
  width: number;
  /** Columns at most. */
  most?: number;
}

export interface Fitted {
  /** The headings, in as many lines as the longest takes. */
  head: string[];
  lines: string[];
  /** Titles of the columns that were left out. */
  left: string[];
}

// A heading breaks where its values are narrower, but no word of it.
const leastHeading = 10;

const longest = (values: readonly string[]): number =>
  values.reduce((most, value) => Math.max(most, value.length), 0);

function broken(title: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of title.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

export function textTable({ columns, numeric, rows }: Table, { width, most }: Fit): Fitted {
  const values = columns.map((_, i) => longest(rows.map((row) => row[i] ?? '')));
  const titles = columns.map((title, i) => broken(title, Math.max(leastHeading, values[i] ?? 0)));
  const widths = titles.map((lines, i) => Math.max(longest(lines), values[i] ?? 0));
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
  const height = Math.max(...titles.slice(0, kept).map((lines) => lines.length));
  const head = Array.from({ length: height }, (_, at) =>
    line(titles.map((lines) => lines[at - (height - lines.length)] ?? '')),
  );
  return { head, lines: rows.map(line), left: columns.slice(kept) };
}
