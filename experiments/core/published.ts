// Published values: small tables under experiments/published/, each naming its source in its head.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from '../../native/loader.js';
import { HarnessError } from './errors.js';

export interface PublishedTable {
  source: string;
  columns: string[];
  /** Numbers where a cell is one, else its text; an empty cell was not published and is left out. */
  rows: Record<string, string | number>[];
}

export function readPublished(name: string): PublishedTable {
  const file = join(packageRoot, 'experiments', 'published', name);
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const comments = lines.filter((line) => line.startsWith('#')).map((line) => line.slice(1).trim());
  const source = comments
    .find((line) => line.startsWith('Source:'))
    ?.slice('Source:'.length)
    .trim();
  const [head, ...body] = lines.filter((line) => !line.startsWith('#'));
  if (source === undefined || head === undefined)
    throw new HarnessError('bad-table', `${file}: needs a line '# Source:' and a head`);
  const columns = head.split(',');
  const rows = body.map((line) =>
    Object.fromEntries(
      line
        .split(',')
        .flatMap((cell, i) =>
          cell === ''
            ? []
            : [
                [
                  columns[i] ?? `column${i}`,
                  Number.isNaN(Number(cell)) ? cell : Number(cell),
                ] as const,
              ],
        ),
    ),
  );
  return { source, columns, rows };
}
