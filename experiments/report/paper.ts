// The paper: Typst source, two columns. Sentences are the author's; see experiments/story.
import type { Part } from '../core/types.js';
import { bibtex } from '../story/references.js';
import { claimsFinding, controlFinding } from './findings.js';
import { commandOf, contextValue, foundIn, type FigureView, type ReportModel } from './model.js';
import { claimTable, storyTable, untold } from './paper-tables.js';
import { cited, literal, plainText, typstTable } from './paper-text.js';
import { refusals } from './tables.js';

export const supplementName = 'supplement.pdf';
export const bibliographyName = 'references.bib';
/** Where the compiler finds a figure as it is drawn for print. */
export const figureFile = (id: string): string => `/figures/${id}.print.svg`;

/** Panels beside one another need both columns. */
export const isWide = ({ chart }: FigureView): boolean => chart.facets.length > 2;

export const typstFigure = (figure: FigureView, caption: string): string =>
  `#figure(placement: auto, scope: ${isWide(figure) ? '"parent"' : '"column"'}, caption: [${plainText(caption)}], image(${literal(figureFile(figure.id))}, width: 100%)) <fig-${figure.id}>`;

function captionOf({ chart, caption }: FigureView): string {
  return chart.published.length > 0 ? `${caption} Diamonds: published.` : caption;
}

/** The first sentence ends with what shows it: "... more (Figure 2)." */
function withReferences(text: string, references: readonly string[], model: ReportModel): string {
  const shown = references.join(', ');
  if (shown === '') return cited(text, model.experiment);
  const [, first, rest] = /^(.*?[a-zµ%)0-9])\.(?= [A-Z]|$)(.*)$/s.exec(text) ?? [];
  if (first === undefined) return `${cited(text, model.experiment)} See ${shown}.`;
  return `${cited(first, model.experiment)} (${shown}).${cited(rest ?? '', model.experiment)}`;
}

function partSection(model: ReportModel, part: Part): string {
  const { experiment, summary } = model;
  const own = model.figures.filter((f) => f.part === part.name && f.printed);
  const table = storyTable(model, part);
  const references = [
    ...own.map((f) => `@fig-${f.id}`),
    ...(table === undefined ? [] : [`@${table.label}`]),
  ];
  const found = foundIn(model, part);
  // Of a cost that the part is not about, the supplement tells.
  const refused = summary.points.some((p) => p.part === part.name && part.headline in p.refused)
    ? refusals(summary, part)
    : '';
  return [
    `== ${plainText(part.title)}`,
    `#emph(${literal(part.question)}) ${withReferences(found, references, model)} ${cited(refused, experiment)}`,
    ...own.map((f) => typstFigure(f, captionOf(f))),
    ...(table === undefined ? [] : [typstTable(table)]),
  ].join('\n\n');
}

function claimsSection(model: ReportModel): string {
  const tables = [claimTable(model, false), claimTable(model, true)].flatMap((t) => t ?? []);
  const names = tables.map((t) => `@${t.label}`).join(' and ');
  const rest = untold(model).flatMap(({ verdict, text }) => [
    `*${verdict === 'not testable here' ? 'Not testable here' : 'Not in this run'}.* ${plainText(text)}`,
  ]);
  return [
    '= Claims',
    `${plainText(claimsFinding(model.summary))} ${names === '' ? '' : `${names} ${tables.length > 1 ? 'have' : 'has'} them.`} ${plainText('A published value is reproduced where the median and its whole 95 % interval lie within the tolerance, exceeds or falls short where the whole interval lies beyond, and is undecided where it crosses a bound.')}`,
    ...rest,
    ...tables.map(typstTable),
  ].join('\n\n');
}

/** Brackets, for a semicolon or a dot behind it is no markup. */
const code = (text: string): string => `#[#raw(${literal(text)})]`;

function machineText(model: ReportModel): string {
  const value = (name: string): string => contextValue(model, name);
  const { summary } = model;
  const governors = value('system.governors');
  const governor = governors === 'none' ? '' : ` governor ${governors};`;
  const dirty = value('build.git.dirty') === 'true' ? ' with changes' : '';
  return [
    `${value('machine.cpu')}, ${value('machine.processors')} processors${value('machine.virtual') === 'true' ? ' of a virtual machine' : ''}, ${value('machine.memoryGiB')} GiB; kernel ${value('system.kernel')};${governor} ${value('build.compiler')}.`,
    `Commit ${value('build.git.commit').slice(0, 12)}${dirty}, seed ${summary.seed}, ${summary.samples} samples, ${summary.setAside} of them set aside.`,
  ].join(' ');
}

function methodSection(model: ReportModel): string {
  const { experiment, plan, summary } = model;
  const { blocks, precision } = plan.profile;
  const method = [
    'A trial is a process of its own. A block runs every contender twice, in a shuffled order and back, on the same traffic; the next block brings other traffic.',
    `A point takes ${blocks.min === blocks.max ? `${blocks.min} blocks` : `${blocks.min} to ${blocks.max} blocks, until its interval is within ±${precision * 100} %`}. Values are medians with bootstrap 95 % intervals, ratios those of pairs of a block; fewer than six values get no verdict.`,
    controlFinding(summary),
  ].join(' ');
  return `= Method\n\n${cited(experiment.setup, experiment)}\n\n${plainText(method)}`;
}

const supersededText = ({ superseded }: ReportModel): string =>
  superseded.length === 0
    ? ''
    : `#block(fill: rgb("#fdecee"), inset: 6pt, width: 100%)[#set text(size: 7.5pt)
#set par(justify: false)
*Superseded figures of this run*
${superseded.map(({ what, why }) => `- *${plainText(what)}*: ${plainText(why)}`).join('\n')}]\n\n`;

function limitsSection(model: ReportModel): string {
  const { experiment, summary } = model;
  const warnings = summary.warnings.map((w) => `${w.name}: ${w.seen}`);
  return [
    '= Limits',
    `#set text(size: 8pt)\n#set par(justify: false)\n${experiment.limitations.map((l) => `- ${cited(l, experiment)}`).join('\n')}`,
    warnings.length === 0 ? '' : `*Warnings.* ${plainText(`${warnings.join('; ')}.`)}`,
    '= The run again',
    `${plainText(machineText(model))} The whole run: ${code(commandOf(model))}. One part alone: ${code('--only PART')} behind it. Drawn again from the journal: ${code('npx reframer report RUN')}. All tables and the other figures are in ${code(supplementName)}, in the CSV files, and on the page ${code('report.html')}`,
  ].join('\n\n');
}

export const documentHead = (title: string, quick: boolean): string =>
  `#set document(title: ${literal(title)})
#set page(paper: "a4", margin: (x: 1.7cm, top: 1.7cm, bottom: 1.8cm), columns: 2, numbering: "1"${quick ? `, header: align(center, text(size: 8pt, fill: rgb("#b00020"), ${literal('QUICK RUN')}))` : ''})
#set columns(gutter: 0.7cm)
#set text(size: 9.3pt, lang: "en")
#set par(justify: true, leading: 0.52em, spacing: 0.75em)
#set list(indent: 0pt, body-indent: 0.5em, spacing: 0.5em)
#set heading(numbering: "1.1")
#show heading.where(level: 1): set text(size: 11pt)
#show heading.where(level: 2): set text(size: 9.6pt)
#show heading: set block(above: 1.1em, below: 0.6em)
#show raw: set text(font: "DejaVu Sans Mono", size: 7pt)
#set figure(gap: 0.5em)
#set place(clearance: 1.1em)
#show figure.caption: set text(size: 8pt)
#show figure.caption: set par(justify: false, leading: 0.45em)
#show figure.where(kind: table): set figure.caption(position: top)
`;

export function paperSource(model: ReportModel): string {
  const { experiment, summary, parts } = model;
  const quick = summary.profile === 'quick';
  const marks = model.marks
    .map((m) => `\n\n  #text(size: 9pt, fill: rgb("#b00020"), weight: "bold", ${literal(m)})`)
    .join('');
  const day = summary.started.slice(0, 10);
  return `${documentHead(experiment.title, quick)}#place(top, scope: "parent", float: true, align(center)[
  #text(size: 16pt, weight: "bold", ${literal(experiment.title)})

  #text(size: 8.5pt, ${literal(`${quick ? 'Quick' : 'Full'} run of ${day}, seed ${summary.seed}, commit ${contextValue(model, 'build.git.commit').slice(0, 12)}`)})${marks}
])
*Abstract.* ${cited(model.abstract, experiment)}

${supersededText(model)}${methodSection(model)}

= Results

${parts.map(({ part }) => partSection(model, part)).join('\n\n')}

${claimsSection(model)}

${limitsSection(model)}

#set text(size: 8pt)
#bibliography(${literal(`/${bibliographyName}`)}, full: true, title: "References", style: "ieee")
`;
}

export const paperBibliography = ({ experiment }: ReportModel): string =>
  bibtex(experiment.references);
