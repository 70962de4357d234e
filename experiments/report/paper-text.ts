// Text for Typst: string literals, never markup, but for what the report itself puts in.
import type { Experiment } from '../core/types.js';
import { citations } from '../story/references.js';
import { bound } from './text.js';

/** A Typst string literal. */
export const literal = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', ' ')}"`;

export const plainText = (text: string): string => (text === '' ? '' : `#${literal(bound(text))}`);

/** With the works that it names by `@key`. */
export const cited = (text: string, { references }: Pick<Experiment, 'references'>): string =>
  citations(text, references)
    .map((piece, i) => (i % 2 === 0 ? plainText(piece) : `#cite(<${piece}>)`))
    .join('');

export interface Column {
  title: string;
  /** Numbers stand to the right. */
  right?: boolean;
  /** Takes the room that others leave. */
  wide?: boolean;
}

export interface Printed {
  label: string;
  caption: string;
  columns: readonly Column[];
  rows: readonly (readonly string[])[];
  /** Across both columns of the page. */
  page: boolean;
  /** Words that have a colour. */
  coloured?: Readonly<Record<string, string>>;
}

export function typstTable({
  label,
  caption,
  columns,
  rows,
  page,
  coloured = {},
}: Printed): string {
  const align = columns.map((c) => (c.right === true ? 'right' : 'left')).join(', ');
  const widths = columns.map((c) => (c.wide === true ? '1fr' : 'auto')).join(', ');
  const cell = (text: string): string => {
    const colour = coloured[text];
    return colour === undefined
      ? `[${plainText(text)}]`
      : `text(fill: rgb("${colour}"), weight: "bold", ${literal(text)})`;
  };
  const head = columns.map((c) => `[*${plainText(c.title)}*]`).join(', ');
  const body = rows.map((row) => `${row.map(cell).join(', ')},`).join('\n    ');
  return `#figure(
  kind: table, placement: auto, scope: ${page ? '"parent"' : '"column"'}, caption: [${plainText(caption)}],
  { set text(size: 7.2pt); set par(justify: false, leading: 0.45em)
    table(columns: (${widths},), align: (${align},), stroke: none, inset: (x: 3pt, y: 2pt),
    table.hline(stroke: 0.7pt), table.header(${head}), table.hline(stroke: 0.4pt),
    ${body}
    table.hline(stroke: 0.7pt)) }
) <${label}>`;
}
