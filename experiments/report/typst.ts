// The paper: Typst source, two columns. Text enters as string literals, never as markup.
import { quickMark } from '../figures/common.js';
import { claimsFinding, controlFinding, partFinding } from './findings.js';
import { methodText, type FigureView, type ReportModel } from './model.js';
import { refusals, type Table } from './tables.js';
import { referenceText } from '../story/references.js';

/** A Typst string literal. */
export const literal = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', ' ')}"`;

const say = (text: string): string => `#${literal(text)}`;

// Columns that a page of two columns has room for; the CSV files hold the rest.
const mostColumns = 12;

function typstTable(
  { columns, numeric, rows }: Table,
  caption: string,
  wide: boolean,
  label: string,
): string {
  const shown = columns.slice(0, mostColumns);
  const cells = (row: readonly string[]): string =>
    row
      .slice(0, mostColumns)
      .map((c) => `[${say(c)}]`)
      .join(', ');
  const align = shown.map((_, i) => (numeric[i] === true ? 'right' : 'left')).join(', ');
  const widths = shown
    .map((_, i) => (numeric[i] === true || shown.length > 4 ? 'auto' : '1fr'))
    .join(', ');
  return `#figure(
  kind: table, placement: ${wide ? 'auto, scope: "parent"' : 'none'}, caption: [${say(caption)}],
  { set text(size: ${shown.length > 8 ? '6pt' : '6.5pt'}); set par(justify: false)
    table(columns: (${widths},), align: (${align},), stroke: none, inset: (x: 2.5pt, y: 2pt),
    table.hline(stroke: 0.6pt), table.header(${shown.map((c) => `[*${say(c)}*]`).join(', ')}), table.hline(stroke: 0.3pt),
    ${rows.map((row) => `${cells(row)},`).join('\n    ')}
    table.hline(stroke: 0.6pt)) }
) <${label}>`;
}

function typstFigure(figure: FigureView): string {
  const wide = 'facet' in figure.spec;
  return `#figure(placement: auto, scope: ${wide ? '"parent"' : '"column"'}, caption: [${say(`${figure.title}. ${figure.caption}`.trim())}], image(${literal(`/figures/${figure.id}.svg`)}, width: ${wide ? '88%' : '100%'})) <fig-${figure.id}>`;
}

/** The claims in few words a column: they stand across both. */
function claimsForPaper(table: Table): Table {
  const keep = [0, 1, 2, 3, 4, 5];
  const pick = <T>(list: readonly T[]): T[] => keep.flatMap((i) => list[i] ?? []);
  return {
    ...table,
    columns: pick(table.columns),
    numeric: keep.map((i) => table.numeric[i] === true),
    rows: table.rows.map((row) => keep.map((i) => row[i] ?? '')),
  };
}

/** For print: what identifies the machine and the build; the rest is in context.json. */
function setupSentence({ context }: ReportModel): string {
  const value = (name: string): string =>
    context.rows.find(([key]) => key === name)?.[1] ?? 'unknown';
  return `Measured on ${value('machine.cpu')} with ${value('machine.processors')} processors (${value('machine.virtual') === 'true' ? 'a virtual machine' : 'no hypervisor'}), ${value('machine.memoryGiB')} GiB, caches ${value('machine.caches')}; kernel ${value('system.kernel')}, governor ${value('system.governors')}, hugepages ${value('system.hugepages')}; built with ${value('build.compiler')}, commit ${value('build.git.commit').slice(0, 12)}${value('build.git.dirty') === 'true' ? ' with changes' : ''}. Engine: ${value('engine')}.`;
}

const claimTables = ({ apart: { published, aims } }: ReportModel): string =>
  [
    [
      published,
      'Published values and ours, with the bounds that count as reproduced or the reason why there is no verdict.',
      'tab-claims',
    ] as const,
    [aims, 'Aims of this project, with the bound to reach.', 'tab-aims'] as const,
  ]
    .flatMap(([table, caption, label]) =>
      table.rows.length === 0 ? [] : [typstTable(claimsForPaper(table), caption, true, label)],
    )
    .join('\n');

const supersededText = ({ superseded }: ReportModel): string =>
  superseded.length === 0
    ? ''
    : `#heading(numbering: none)[Superseded figures of this run]\n${superseded.map(({ what, why }) => `- *${say(what)}*: ${say(why)}`).join('\n')}\n\n`;

export function typstSource(model: ReportModel): string {
  const { experiment, summary, figures, parts } = model;
  const abstract = `${experiment.question} ${parts
    .map(({ part }) => partFinding(experiment, summary, part))
    .filter((t) => t !== '')
    .join(' ')} ${claimsFinding(summary)}`;
  const sections = parts.map(({ part, table }) => {
    const own = figures.filter((f) => f.part === part.name);
    const refs = own.map((f) => `@fig-${f.id}`).join(', ');
    const finding = partFinding(experiment, summary, part);
    return [
      `== ${say(part.title)}`,
      say(part.question),
      `${finding === '' ? '' : say(finding)} ${refs === '' ? '' : `See ${refs} and @tab-${part.name}.`}`,
      ...own.map(typstFigure),
      typstTable(
        table,
        [part.title, refusals(summary, part)].filter((t) => t !== '').join('. '),
        true,
        `tab-${part.name}`,
      ),
    ].join('\n\n');
  });
  const warnings = summary.warnings
    .map((w) => `- *${say(w.name)}*: ${say(`${w.seen}. Remedy: ${w.remedy}.`)}`)
    .join('\n');
  const mark = [
    ...(summary.profile === 'quick' ? [quickMark] : []),
    ...(summary.complete
      ? []
      : [
          `Unfinished run: ${summary.pointsMeasured} of ${summary.pointsPlanned} points have samples`,
        ]),
  ];
  return `#set document(title: ${literal(experiment.title)})
#set page(paper: "a4", margin: (x: 1.6cm, y: 1.9cm), columns: 2, numbering: "1"${summary.profile === 'quick' ? `, header: align(center, text(size: 8pt, fill: rgb("#b00020"), ${say('QUICK RUN').slice(1)}))` : ''})
#set text(size: 9pt, lang: "en")
#set par(justify: true)
#set heading(numbering: "1.1")
#show figure.caption: set text(size: 7.5pt)
#show figure.where(kind: table): set figure.caption(position: top)
#place(top, scope: "parent", float: true, align(center)[
  #text(size: 16pt, weight: "bold", ${literal(experiment.title)})
  ${mark.map((m) => `\n  #text(size: 9pt, fill: rgb("#b00020"), weight: "bold", ${literal(m)})`).join('')}

  #text(size: 8.5pt, ${literal(`Run of ${summary.started.slice(0, 10)}, seed ${summary.seed}`)})
])
${supersededText(model)}#heading(numbering: none)[Abstract]
${say(abstract)}

= Set-up
${say(experiment.setup)} ${say(setupSentence(model))}

= Method
${say(methodText(model))} ${say(controlFinding(summary))}

= Results
${sections.join('\n\n')}

= Claims
${say(claimsFinding(summary))}
${claimTables(model)}

= Limitations
${experiment.limitations.map((l) => `- ${say(l)}`).join('\n')}
${warnings === '' ? '' : `\nWarnings of this run:\n${warnings}`}

#heading(numbering: none)[References]
${experiment.references.map((r) => `+ ${say(referenceText(r))}`).join('\n')}
`;
}
