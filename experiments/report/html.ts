// One page that needs no network: verdicts first, then a section a question.
import { isAim } from '../core/verdict.js';
import { numbered, referenceText } from '../story/references.js';
import { clientScript } from './client.js';
import { claimsFinding, controlFinding } from './findings.js';
import { escapeHtml, htmlFigure, htmlTable, list, paragraph, wordClass } from './html-pieces.js';
import { pageStyle } from './html-style.js';
import { commandOf, foundIn, methodText, setupText, type ReportModel } from './model.js';
import { claimTable } from './paper-tables.js';
import { refusals, type PartView, type Table } from './tables.js';
import { bound, estimate, plain } from './text.js';

/** Code for a script element: nothing in it may end the element. */
const scriptSafe = (code: string): string =>
  code.replace(/<\/(script)/gi, '<\\/$1').replaceAll('<!--', '<\\!--');

/** Claims that open the page. */
const mostCards = 6;

function cards({ experiment, summary }: ReportModel): string {
  // One of each part and metric: six values of one curve would say one thing.
  const about = new Map(
    experiment.claims.map(({ id, measured }) => [id, `${measured?.part}/${measured?.metric}`]),
  );
  const seen = new Set<string>();
  const told = summary.claims
    .filter(({ id, ours }) => {
      const what = about.get(id);
      if (ours === null || what === undefined || seen.has(what)) return false;
      seen.add(what);
      return true;
    })
    .slice(0, mostCards);
  const card = told.map((c) => {
    const unit = c.unit === '' ? '' : ` ${c.unit}`;
    const theirs = `${isAim(c) ? 'aim' : 'published'} ${plain(c.published ?? Number.NaN)}${unit}`;
    return `<li class="card ${wordClass(c.verdict)}"><span class="w ${wordClass(c.verdict)}">${c.verdict}</span><p>${escapeHtml(bound(c.text))}</p><p class="value">${escapeHtml(estimate(c.ours ?? undefined, undefined))}${escapeHtml(unit)}</p><p class="small">${escapeHtml(theirs)}</p></li>`;
  });
  return card.length === 0
    ? ''
    : `<ul class="cards" aria-label="Main verdicts">${card.join('')}</ul>`;
}

function claimFilter({ summary }: ReportModel): string {
  const words = [...new Set(summary.claims.map((c) => c.verdict))];
  const button = (word: string): string => {
    const count = summary.claims.filter((c) => c.verdict === word).length;
    return `<button aria-pressed="true" data-word="${word}" class="w ${wordClass(word)}">${word} (${count})</button>`;
  };
  return `<div class="filter" role="group" aria-label="Show claims by verdict">${words.map(button).join(' ')}</div>`;
}

function claims(model: ReportModel): string {
  const tables = [false, true].flatMap((aims) => {
    const table = claimTable(model, aims, true);
    return table === undefined
      ? []
      : [
          {
            title: aims ? 'Aims of this project' : 'Published values',
            columns: table.columns.map((c) => c.title),
            numeric: table.columns.map((c) => c.right === true),
            rows: table.rows.map((row) => [...row]),
          } satisfies Table,
        ];
  });
  const verdictColumn = (t: Table): number => t.columns.indexOf('verdict');
  return `<section id="claims"><h2>Claims</h2>${paragraph(claimsFinding(model.summary))}${claimFilter(model)}
${tables.map((t) => `<h3>${escapeHtml(t.title)}</h3>${htmlTable(t, t.title, verdictColumn(t))}`).join('\n')}</section>`;
}

function section(model: ReportModel, { part, table }: PartView): string {
  const { experiment, summary, figures } = model;
  const own = figures.filter((f) => f.part === part.name);
  const [first, ...rest] = [
    ...own.filter((f) => f.print !== undefined),
    ...own.filter((f) => f.print === undefined),
  ];
  const found = numbered(foundIn(model, part), experiment.references);
  const more =
    rest.length === 0
      ? ''
      : `<details><summary>${rest.length} more ${rest.length === 1 ? 'figure' : 'figures'}</summary>${rest.map(htmlFigure).join('\n')}</details>`;
  return `<section id="part-${part.name}"><h2>${escapeHtml(part.title)}</h2>
<div class="beside"><div><p class="question">${escapeHtml(part.question)}</p>${paragraph(found)}${paragraph(refusals(summary, part))}<p class="small"><code>${escapeHtml(commandOf(model, part.name))}</code></p></div>
${first === undefined ? '' : htmlFigure(first)}</div>
${more}
<details><summary>Table of ${table.rows.length} points</summary><p class="small"><a href="${part.name}.csv">${part.name}.csv</a>; a heading sorts.</p>${htmlTable(table, part.title)}</details></section>`;
}

const superseded = ({ superseded: all }: ReportModel): string =>
  all.length === 0
    ? ''
    : `<details class="mark"><summary>Superseded: ${all.length} ${all.length === 1 ? 'group' : 'groups'} of figures of this run must not be quoted</summary>${list(all.map(({ what, why }) => `${what}: ${why}`))}</details>\n`;

function contents({ parts }: ReportModel): string {
  const link = (id: string, text: string): string =>
    `<li><a href="#${id}">${escapeHtml(text)}</a></li>`;
  const items = [
    link('summary', 'Summary'),
    link('claims', 'Claims'),
    ...parts.map(({ part }) => link(`part-${part.name}`, part.title)),
    link('method', 'Method'),
    link('limits', 'Limits'),
    link('context', 'Machine and build'),
    link('references', 'References'),
  ];
  return `<nav aria-label="Contents"><details open><summary>Contents</summary><ol>${items.join('')}</ol></details></nav>`;
}

export function htmlReport(model: ReportModel): string {
  const { experiment, summary } = model;
  const { references, limitations } = experiment;
  const cite = (text: string): string => numbered(text, references);
  const day = summary.started.slice(0, 10);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(experiment.title)}</title><link rel="icon" href="data:,">
<style>${pageStyle}</style></head><body>
<a class="skip" href="#summary">To the summary</a>
${contents(model)}
<main>
<header id="summary"><h1>${escapeHtml(experiment.title)}</h1>
<p class="small">${summary.profile === 'quick' ? 'Quick' : 'Full'} run of ${day}, seed ${summary.seed}, ${summary.samples} samples. <a href="report.pdf">Paper</a>, <a href="supplement.pdf">supplement</a>, <a href="points.csv">all points</a></p>
${model.marks.map((m) => `<p class="mark">${escapeHtml(m)}</p>`).join('')}
${superseded(model)}<p id="abstract">${escapeHtml(bound(cite(model.abstract)))}</p>
${cards(model)}<p class="small">${escapeHtml(controlFinding(summary))}</p></header>
${claims(model)}
${model.parts.map((view) => section(model, view)).join('\n')}
<section id="method"><h2>Method</h2>${paragraph(cite(setupText(model)))}${paragraph(methodText(model))}<p>The run again: <code>${escapeHtml(commandOf(model))}</code></p></section>
<section id="limits"><h2>Limitations</h2>${list(limitations.map(cite))}${model.warnings.rows.length === 0 ? '' : `<h3>Warnings of this run</h3>${htmlTable(model.warnings, 'Warnings')}`}</section>
<section id="context"><h2>Machine and build</h2><details><summary>${model.context.rows.length} entries</summary>${htmlTable(model.context, 'Machine and build')}</details></section>
<section id="references"><h2>References</h2><ol>${references.map((r) => `<li>${escapeHtml(referenceText(r))}</li>`).join('')}</ol></section>
</main>
<div id="tip" role="status" aria-live="polite" hidden></div>
<script>${scriptSafe(clientScript)}</script>
</body></html>
`;
}
