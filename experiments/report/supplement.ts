// The supplement: figures and tables that the paper has no room for, set without typography: a table
// of hundreds of rows is text of fixed width.
import type { ReportModel } from './model.js';
import { documentHead, figureFile, isWide } from './paper.js';
import { literal, plainText } from './paper-text.js';
import { partTable, type Table } from './tables.js';
import { textTable } from './text-table.js';

// Two pages of a part; the CSV file has every row.
const mostRows = 120;
// Letters of a line of 6.6 points across a page on its side.
const lineWidth = 182;

// Lines that stay together, each group with the headings above it.
const together = 25;

function tableBlocks(table: Table): string {
  const rows = table.rows.slice(0, mostRows);
  const { head, lines, left } = textTable({ ...table, rows }, { width: lineWidth });
  const blocks = Array.from({ length: Math.ceil(lines.length / together) }, (_, i) =>
    rawBlock([...head, ...lines.slice(i * together, (i + 1) * together)].join('\n')),
  );
  const more = [
    ...(rows.length < table.rows.length
      ? [`${table.rows.length - rows.length} more rows in the CSV file`]
      : []),
    ...(left.length > 0 ? [`columns in the CSV file alone: ${left.join(', ')}`] : []),
  ];
  return [...blocks, ...(more.length === 0 ? [] : [plainText(`(${more.join('; ')})`)])].join(
    '\n\n',
  );
}

const rawBlock = (text: string): string =>
  `#block(breakable: false, raw(block: true, ${literalLines(text)}))`;
const literalLines = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

// Nothing but figures: floating ones would leave holes, as no text flows between them.
const inPlace = (id: string, caption: string): string =>
  `figure(caption: [${plainText(caption)}], image(${literal(figureFile(id))}, width: 100%))`;

interface Placed {
  picture: string;
  wide: boolean;
}

/** Wide ones across the page, others two beside one another. */
function inRows(figures: readonly Placed[]): string[] {
  const narrow = figures.filter((f) => !f.wide);
  const pairs = narrow.flatMap((left, i) => (i % 2 === 0 ? [[left, narrow[i + 1]]] : []));
  return [
    ...figures.filter((f) => f.wide).map(({ picture }) => `#${picture}`),
    ...pairs.map(
      ([left, right]) =>
        `#grid(columns: (1fr, 1fr), column-gutter: 0.7cm, ${left?.picture ?? ''}, ${right?.picture ?? '[]'})`,
    ),
  ];
}

export function supplementSource(model: ReportModel): string {
  const { experiment, summary, parts } = model;
  // Those that the paper has in part are here whole.
  const figures = model.figures.filter((f) => f.print !== f.chart);
  const pictures = inRows(
    figures.map((f) => ({
      wide: isWide(f.chart),
      picture: inPlace(
        f.id,
        [f.print === undefined ? f.caption : `${f.title}: all of it.`, f.note].join(' ').trim(),
      ),
    })),
  );
  const tables = parts.flatMap(({ part }) => [
    `== ${plainText(part.title)} (${plainText(`${part.name}.csv`)})`,
    tableBlocks(partTable(experiment, summary, part)),
  ]);
  const title = `Supplement to: ${experiment.title}`;
  return `${documentHead(title, summary.profile === 'quick')}#show raw: set text(size: 6.6pt)
#show raw.where(block: true): set par(justify: false, leading: 0.4em)
#set page(columns: 1)
#align(center, text(size: 14pt, weight: "bold", ${literal(title)}))
Made from the journal of the run. Figures that the paper shows are not repeated; every number is in the CSV files.

${pictures.length === 0 ? '' : `= Figures\n\n${pictures.join('\n\n')}`}

#page(flipped: true, columns: 1)[
= Tables

${tables.join('\n\n')}
]
`;
}
