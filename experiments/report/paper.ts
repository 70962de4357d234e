// The paper: Typst source, two columns. Sentences are the author's; see experiments/story.
import type { Part } from '../core/types.js';
import { bibtex } from '../story/references.js';
import { isAim } from '../core/verdict.js';
import { claimsFinding, controlFinding, typicalFinding } from './findings.js';
import type { Chart } from '../figures/chart.js';
import { listed } from '../story/say.js';
import { commandOf, contextValue, foundIn, setupText, type ReportModel } from './model.js';
import { claimTable, storyTable, untold } from './paper-tables.js';
import { cited, literal, plainText, typstTable } from './paper-text.js';
import { refusals } from './tables.js';

export const supplementName = 'supplement.pdf';
export const bibliographyName = 'references.bib';
/** Where the compiler finds a figure as it is drawn for print. */
export const figureFile = (id: string): string => `/figures/${id}.print.svg`;

/** Panels beside one another need both columns. */
export const isWide = ({ facets }: Chart): boolean => facets.length > 2;

const typstFigure = (id: string, chart: Chart, caption: string): string =>
  `#figure(placement: auto, scope: ${isWide(chart) ? '"parent"' : '"column"'}, caption: [${plainText(caption)}], image(${literal(figureFile(id))}, width: 100%)) <fig-${id}>`;

interface PrintedView {
  id: string;
  chart: Chart;
  caption: string;
}

const printedOf = (model: ReportModel, part: Part): PrintedView[] =>
  model.figures.flatMap(({ id, part: of, print, caption }) =>
    of !== part.name || print === undefined
      ? []
      : [
          {
            id,
            chart: print,
            caption:
              print.published.length > 0
                ? caption.replace(/\.$/, ' (diamonds: published).')
                : caption,
          },
        ],
  );

/** The first sentence ends with what shows it: "... more (Figure 2)." */
function withReferences(text: string, references: readonly string[], model: ReportModel): string {
  const shown = references.join(', ');
  if (shown === '') return cited(text, model.experiment);
  const [, first, rest] = /^(.*?[A-Za-zµ%)0-9+])\.(?= [A-Z]|$)(.*)$/s.exec(text) ?? [];
  if (first === undefined) return `${cited(text, model.experiment)} See ${shown}.`;
  // Two pairs of brackets in a row are one too many.
  if (/\([^()]*\d[^()]*\)$/.test(first))
    return `${cited(`${first.slice(0, -1)}; `, model.experiment)}${shown}).${cited(rest ?? '', model.experiment)}`;
  return `${cited(first, model.experiment)} (${shown}).${cited(rest ?? '', model.experiment)}`;
}

function partSection(model: ReportModel, part: Part): string {
  const { experiment, summary } = model;
  const own = printedOf(model, part);
  const table = storyTable(model, part);
  const references = [
    ...own.map((f) => `@fig-${f.id}`),
    ...(table === undefined ? [] : [`@${table.label}`]),
  ];
  const found = foundIn(model, part);
  // A part of which nothing can be said is named below; the supplement has its numbers.
  if (found === '' && references.length === 0) return '';
  // Of a cost that the part is not about, the supplement tells.
  const refused = summary.points.some((p) => p.part === part.name && part.headline in p.refused)
    ? refusals(summary, part)
    : '';
  return [
    `== ${plainText(part.title)}`,
    `#emph(${literal(part.question)}) ${withReferences(found, references, model)} ${cited(refused, experiment)}`,
    ...own.map((f) => typstFigure(f.id, f.chart, f.caption)),
    ...(table === undefined ? [] : [typstTable(table)]),
  ].join('\n\n');
}

function resultsSection(model: ReportModel): string {
  const sections = model.parts.map(({ part }) => ({ part, text: partSection(model, part) }));
  const silent = sections.filter(({ text }) => text === '').map(({ part }) => part.title);
  const rest =
    silent.length === 0
      ? []
      : [
          `${plainText(`Measured, but without a finding in this run: ${listed(silent) ?? ''}.`)} Their tables are in ${code(supplementName)}`,
        ];
  return [
    '= Results',
    ...sections.flatMap(({ text }) => (text === '' ? [] : [text])),
    ...rest,
  ].join('\n\n');
}

/** What the words mean, of the kinds of claims that the run has. */
function rulesOf({ summary }: ReportModel): string {
  const published =
    'A published value is reproduced if our median and its whole 95 % interval lie within the tolerance; it is exceeded, or falls short, if the whole interval lies outside on the better, or the worse, side; it is undecided if the interval crosses a bound.';
  const aims = (start: string): string =>
    `${start} is reached or missed if the whole interval lies on one side of its bound, and else undecided.`;
  const own = summary.claims.filter(isAim).length;
  if (own === 0) return published;
  return own === summary.claims.length ? aims('An aim') : `${published} ${aims('An aim of ours')}`;
}

function claimsSection(model: ReportModel): string {
  const tables = [claimTable(model, false), claimTable(model, true)].flatMap((t) => t ?? []);
  const rest = untold(model).map(
    ({ verdict, text }) =>
      `*${verdict === 'not testable here' ? 'Not testable here.' : 'Not in this run.'}* ${plainText(text)}`,
  );
  const names = tables.map((t) => `@${t.label}`).join(' and ');
  return [
    '= Claims',
    `${plainText(claimsFinding(model.summary))}${names === '' ? '' : ` ${names} ${tables.length > 1 ? 'list' : 'lists'} those with a value of ours.`} ${plainText(rulesOf(model))}`,
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
    `Commit ${value('build.git.commit').slice(0, 12)}${dirty}, seed ${summary.seed}, ${summary.samples} samples${summary.setAside > 0 ? `, ${summary.setAside} of them set aside` : ''}.`,
  ].join(' ');
}

function methodSection(model: ReportModel): string {
  const { experiment, plan, summary } = model;
  const { blocks, precision } = plan.profile;
  const method = [
    'Each trial is a process of its own. A block runs every contender twice, in shuffled order and back, on the same traffic; the next block brings other traffic.',
    `A point (one contender in one setting) gets ${blocks.min === blocks.max ? `${blocks.min} blocks` : `${blocks.min} to ${blocks.max} blocks, until its interval is within ±${precision * 100} %`}. We report medians with bootstrap 95 % intervals; fewer than six values get no verdict. A change in % is the median over the pairs of a block: where the machine drifts between blocks it differs from the ratio of the two medians.`,
    controlFinding(summary),
    typicalFinding(summary),
  ].join(' ');
  return `= Method\n\n${cited(setupText(model), experiment)}\n\n${plainText(method)}`;
}

const supersededText = ({ superseded }: ReportModel): string =>
  superseded.length === 0
    ? ''
    : `#block(fill: rgb("#fdecee"), inset: 6pt, width: 100%)[#set text(size: 7.5pt)
#set par(justify: false)
*Superseded figures of this run*
${superseded.map(({ what, why }) => `- *${plainText(what)}*: ${plainText(why)}`).join('\n')}]\n\n`;

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** What the machine did to the run; of controls the method tells, of the machine the line below. */
function warningsText({ summary }: ReportModel): string {
  const told = summary.warnings.filter(
    ({ name }) => !['control', 'virtual-machine'].includes(name),
  );
  return told.length === 0
    ? ''
    : `*This run.* ${plainText(told.map((w) => sentence(w.seen)).join(' '))}`;
}

/** Which part a figure is of: sections follow their order, but for those that have nothing to say. */
const partsTold = (model: ReportModel): string =>
  model.parts.every(({ part }) => partSection(model, part) !== '')
    ? 'PART, in the order of Sections 2.1, 2.2 and so on:'
    : 'PART is one of:';

function limitsSection(model: ReportModel): string {
  const { experiment } = model;
  return [
    '= Limits',
    `#set text(size: 8pt)\n#set par(justify: false)\n${experiment.limitations.map((l) => `- ${cited(l, experiment)}`).join('\n')}`,
    warningsText(model),
    '= How to rerun it',
    `${plainText(machineText(model))}`,
    `The whole run: ${code(commandOf(model))}\\ One part: the same with ${code('--only PART')}\\ The figures again, from the journal: ${code('npx reframer report RUN')}`,
    `${plainText(partsTold(model))} ${model.parts.map(({ part }) => code(part.name)).join(', ')}. All tables and figures are in ${code(supplementName)}, the CSV files, and the page ${code('report.html')}.`,
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
  const { experiment, summary } = model;
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

${resultsSection(model)}

${claimsSection(model)}

${limitsSection(model)}

#set text(size: 8pt)
#bibliography(${literal(`/${bibliographyName}`)}, full: true, title: "References", style: "ieee")
`;
}

export const paperBibliography = ({ experiment }: ReportModel): string =>
  bibtex(experiment.references);
