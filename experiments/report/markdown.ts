// The report for a pull request: a screen of text, then everything folded.
import type { ClaimResult } from '../core/claims.js';
import { numbered, referenceText } from '../story/references.js';
import { claimsFinding, controlFinding } from './findings.js';
import { commandOf, foundIn, methodText, setupText, type ReportModel } from './model.js';
import { partLeftOut } from './paper-tables.js';
import { refusals, type PartView, type Table } from './tables.js';
import { estimate, plain as short } from './text.js';

/** Text of the data: no HTML begins in it, no link, no picture, no code. "<0.001" stays as it is. */
const plain = (text: string): string =>
  text
    .replace(/<(?=[a-z/!?])/gi, '&lt;')
    .replace(/[[\]`]/g, '\\$&')
    .replaceAll('\n', ' ');

const cell = (text: string): string => plain(text).replaceAll('|', '\\|');

/** Whatever backticks are in it. */
function codeSpan(text: string): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`;
}

// Longer tables nobody reads here; the CSV file has them whole.
const mostRows = 60;

export function markdownTable({ columns, numeric, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [
    line(columns),
    `|${numeric.map((n) => (n ? ' ---: ' : ' --- ')).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

const folded = (title: string, ...content: readonly string[]): string =>
  [
    '<details>',
    `<summary>${plain(title)}</summary>`,
    ...content.filter((c) => c !== ''),
    '</details>',
  ].join('\n\n');

const supersededMark = ({ superseded }: ReportModel): string =>
  [
    '> **Superseded figures of this run**',
    '>',
    ...superseded.map(({ what, why }) => `> - **${plain(what)}**: ${plain(why)}`),
  ].join('\n');

/** The first claims that have a value: the answer in a glance. */
const mostClaims = 8;

function glance({ summary }: ReportModel): string {
  const told = summary.claims.filter((c) => c.ours !== null).slice(0, mostClaims);
  const unit = ({ unit: u }: ClaimResult): string => (u === '' ? '' : ` ${u}`);
  return told.length === 0
    ? ''
    : markdownTable({
        title: '',
        columns: ['claim', 'published or aimed at', 'ours (95 % interval)', 'verdict'],
        numeric: [false, true, true, false],
        rows: told.map((c) => [
          c.text,
          `${short(c.published ?? Number.NaN)}${unit(c)}`,
          `${estimate(c.ours ?? undefined, undefined)}${unit(c)}`,
          c.verdict,
        ]),
      });
}

function section(model: ReportModel, { part, table }: PartView): string {
  const { experiment, summary, figures } = model;
  const own = figures.filter((f) => f.part === part.name);
  const images = own.map(
    (f) =>
      `![${plain(f.title)}](figures/${f.id}.svg)\n\n*${plain(`${f.caption} ${f.note}`.trim())}*`,
  );
  const rows = table.rows.slice(0, mostRows);
  return folded(
    part.title,
    `*${part.question}*`,
    plain(numbered(foundIn(model, part), experiment.references)),
    ...images,
    markdownTable({ ...table, rows }),
    rows.length < table.rows.length
      ? `The first ${rows.length} of ${table.rows.length} rows; \`${part.name}.csv\` has all.`
      : '',
    plain(refusals(summary, part)),
  );
}

export function markdownReport(model: ReportModel): string {
  const { experiment, summary, apart } = model;
  const cite = (text: string): string => numbered(text, experiment.references);
  const claimTables = [apart.published, apart.aims].flatMap((table) => {
    // What was left out on purpose is counted at the top; claims.csv lists it.
    const rows = table.rows.filter((row) => !row.some((cell) => partLeftOut.test(String(cell))));
    return rows.length === 0 ? [] : [`### ${table.title}\n\n${markdownTable({ ...table, rows })}`];
  });
  return `${[
    `# ${experiment.title}`,
    ...model.marks.map((mark) => `> **${mark}**`),
    ...(model.superseded.length > 0 ? [supersededMark(model)] : []),
    plain(cite(model.abstract)),
    glance(model),
    `${claimsFinding(summary)} ${controlFinding(summary)}`,
    `The run again: ${codeSpan(commandOf(model))}`,
    folded('Claims', ...claimTables),
    ...model.parts.map((view) => section(model, view)),
    folded('Method', cite(setupText(model)), methodText(model)),
    folded('Limitations', experiment.limitations.map((l) => `- ${cite(l)}`).join('\n')),
    ...(summary.warnings.length > 0
      ? [
          folded(
            'Warnings',
            summary.warnings
              .map((w) => `- **${plain(w.name)}**: ${plain(w.seen)} → ${plain(w.remedy)}`)
              .join('\n'),
          ),
        ]
      : []),
    folded('Context', markdownTable(model.context)),
    folded(
      'References',
      experiment.references.map((r, i) => `${i + 1}. ${referenceText(r)}`).join('\n'),
    ),
  ]
    .filter((text) => text !== '')
    .join('\n\n')}\n`;
}
