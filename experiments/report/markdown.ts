// The report for a pull request.
import { quickMark } from '../figures/common.js';
import { claimsFinding, controlFinding, partFinding } from './findings.js';
import { methodText, type ReportModel } from './model.js';
import { refusals, type Table } from './tables.js';
import { referenceText } from '../story/references.js';

/** Text of the data: no HTML begins in it, no link, no picture, no code. "<0.001" stays as it is. */
const plain = (text: string): string =>
  text
    .replace(/<(?=[a-z/!?])/gi, '&lt;')
    .replace(/[[\]`]/g, '\\$&')
    .replaceAll('\n', ' ');

const cell = (text: string): string => plain(text).replaceAll('|', '\\|');

export function markdownTable({ columns, numeric, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [
    line(columns),
    `|${numeric.map((n) => (n ? ' ---: ' : ' --- ')).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

const supersededMark = ({ superseded }: ReportModel): string =>
  [
    '> **Superseded figures of this run**',
    '>',
    ...superseded.map(({ what, why }) => `> - **${plain(what)}**: ${plain(why)}`),
  ].join('\n');

export function markdownReport(model: ReportModel): string {
  const { experiment, summary, figures, parts } = model;
  const sections = parts.map(({ part, table }) => {
    const images = figures
      .filter((f) => f.part === part.name)
      .map((f) => `![${plain(f.title)}](figures/${f.id}.svg)\n\n*${plain(f.caption)}*`);
    return [
      `## ${part.title}`,
      part.question,
      plain(partFinding(experiment, summary, part)),
      markdownTable(table),
      plain(refusals(summary, part)),
      ...images,
    ]
      .filter((s) => s !== '')
      .join('\n\n');
  });
  return `${[
    `# ${experiment.title}`,
    ...(summary.profile === 'quick' ? [`> **${quickMark}**`] : []),
    ...(summary.complete
      ? []
      : [
          `> **Unfinished run**: ${summary.pointsMeasured} of ${summary.pointsPlanned} points have samples.`,
        ]),
    ...(model.superseded.length > 0 ? [supersededMark(model)] : []),
    experiment.question,
    `${claimsFinding(summary)} ${controlFinding(summary)}`,
    ...sections,
    '## Claims',
    ...[model.apart.published, model.apart.aims]
      .filter((t) => t.rows.length > 0)
      .flatMap((t) => [`### ${t.title}`, markdownTable(t)]),
    '## Method',
    experiment.setup,
    methodText(model),
    '## Limitations',
    experiment.limitations.map((l) => `- ${l}`).join('\n'),
    ...(summary.warnings.length > 0
      ? [
          '## Warnings',
          summary.warnings
            .map((w) => `- **${plain(w.name)}**: ${plain(w.seen)} → ${plain(w.remedy)}`)
            .join('\n'),
        ]
      : []),
    '## Context',
    markdownTable(model.context),
    '## References',
    experiment.references.map((r) => `- ${referenceText(r)}`).join('\n'),
  ].join('\n\n')}\n`;
}
