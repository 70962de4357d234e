// One page that needs no network: text, tables, and figures drawn by the Vega runtime inside it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { quickMark } from '../figures/common.js';
import { toVega } from '../figures/render.js';
import { clientScript, pageStyle } from './client.js';
import { claimsFinding, controlFinding, partFinding } from './findings.js';
import { methodText, type FigureView, type ReportModel } from './model.js';
import { refusals, type Table } from './tables.js';
import { referenceText } from '../story/references.js';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => entities[char] ?? char);

/** Code for a script element: nothing in it may end the element. */
const scriptSafe = (code: string): string =>
  code.replace(/<\/(script)/gi, '<\\/$1').replaceAll('<!--', '<\\!--');

/** The same for data: JSON knows no \\!, but every character by its number. */
const dataSafe = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');

function vegaRuntime(): string {
  // The package exports its module form only; the form for a page lies beside it.
  const module = createRequire(import.meta.url).resolve('vega');
  return readFileSync(join(dirname(module), 'vega.min.js'), 'utf8').replace(
    /\/\/# sourceMappingURL=.*$/m,
    '',
  );
}

/** Verdicts that have a colour. */
const words = new Set([
  'better',
  'worse',
  'reproduced',
  'exceeds',
  'falls short',
  'reached',
  'missed',
]);

function htmlTable({ columns, numeric, rows }: Table): string {
  const attribute = (i: number): string => (numeric[i] === true ? ' class="n"' : '');
  const cell = (text: string, i: number): string =>
    words.has(text)
      ? `<td class="v-${text.replace(' ', '-')}">${escapeHtml(text)}</td>`
      : `<td${attribute(i)}>${escapeHtml(text)}</td>`;
  const head = columns.map((c, i) => `<th${attribute(i)}>${escapeHtml(c)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

function htmlFigure(figure: FigureView): string {
  return `<figure id="figure-${figure.id}"><div class="toggles"></div><div class="plot"></div><figcaption><b>${escapeHtml(figure.title)}.</b> ${escapeHtml(figure.caption)}</figcaption></figure>`;
}

function figureData(figure: FigureView): object {
  const { rows } = figure.spec.datasets as { rows: unknown };
  return { id: figure.id, series: figure.series, rows, vega: toVega(figure.spec) };
}

const list = (items: readonly string[]): string =>
  `<ul>${items.map((i) => `<li>${escapeHtml(i)}</li>`).join('')}</ul>`;
const paragraph = (text: string): string => (text === '' ? '' : `<p>${escapeHtml(text)}</p>`);

const supersededBox = ({ superseded }: ReportModel): string =>
  superseded.length === 0
    ? ''
    : `<div class="mark"><p>Superseded figures of this run</p>${list(superseded.map(({ what, why }) => `${what}: ${why}`))}</div>\n`;

const claimTables = ({ apart }: ReportModel): string =>
  [apart.published, apart.aims]
    .filter((t) => t.rows.length > 0)
    .map((t) => `<h3>${escapeHtml(t.title)}</h3>${htmlTable(t)}`)
    .join('\n');

export function htmlReport(model: ReportModel): string {
  const { experiment, summary, figures, parts } = model;
  const sections = parts.map(
    ({ part, table }) =>
      `<section><h2>${escapeHtml(part.title)}</h2>${paragraph(part.question)}${paragraph(partFinding(experiment, summary, part))}
${figures
  .filter((f) => f.part === part.name)
  .map(htmlFigure)
  .join('\n')}
${htmlTable(table)}${paragraph(refusals(summary, part))}</section>`,
  );
  const marks = [
    ...(summary.profile === 'quick' ? [quickMark] : []),
    ...(summary.complete
      ? []
      : [
          `Unfinished run: ${summary.pointsMeasured} of ${summary.pointsPlanned} points have samples`,
        ]),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(experiment.title)}</title><link rel="icon" href="data:,">
<style>${pageStyle}</style></head><body>
<h1>${escapeHtml(experiment.title)}</h1>
${marks.map((m) => `<p class="mark">${escapeHtml(m)}</p>`).join('')}
${supersededBox(model)}<p>${escapeHtml(experiment.question)}</p>
<p id="abstract">${escapeHtml(claimsFinding(summary))} ${escapeHtml(controlFinding(summary))}</p>
${sections.join('\n')}
<section><h2>Claims</h2>${claimTables(model)}</section>
<section><h2>Method</h2>${paragraph(experiment.setup)}${paragraph(methodText(model))}</section>
<section><h2>Limitations</h2>${list(experiment.limitations)}</section>
<section><h2>Warnings</h2>${model.warnings.rows.length === 0 ? '<p>None.</p>' : htmlTable(model.warnings)}</section>
<section><h2>Context</h2>${htmlTable(model.context)}</section>
<section><h2>References</h2>${list(experiment.references.map(referenceText))}</section>
<div id="tip" hidden></div>
<script type="application/json" id="figures">${dataSafe(figures.map(figureData))}</script>
<script>${scriptSafe(vegaRuntime())}</script>
<script>${scriptSafe(clientScript)}</script>
</body></html>
`;
}
