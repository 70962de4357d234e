// Pieces of the page: text, tables, figures.
import { publishedSeries } from '../figures/chart.js';
import { columnStyle, drawChart, fileStyle, type Style } from '../figures/draw/index.js';
import type { FigureView } from './model.js';
import type { Table } from './tables.js';
import { bound } from './text.js';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => entities[char] ?? char);

/** Sentences: a number stays with its unit. */
const prose = (text: string): string => escapeHtml(bound(text));
export const list = (items: readonly string[]): string =>
  `<ul>${items.map((i) => `<li>${prose(i)}</li>`).join('')}</ul>`;
export const paragraph = (text: string): string => (text === '' ? '' : `<p>${prose(text)}</p>`);

/** Words of verdicts, each with the class that colours it. */
const words: Readonly<Record<string, string>> = {
  better: 'good',
  worse: 'bad',
  reproduced: 'good',
  reached: 'good',
  exceeds: 'more',
  'falls short': 'bad',
  missed: 'bad',
  undecided: 'open',
  'not testable here': 'open',
  'not in this run': 'open',
};
export const wordClass = (word: string): string => words[word] ?? 'open';

/** Rows of a table on the page; the CSV file has all. */
const mostRows = 80;

/** @param name says of what the table is, to who cannot see where it stands */
export function htmlTable({ columns, numeric, rows }: Table, name: string, filter = -1): string {
  const attribute = (i: number): string => (numeric[i] === true ? ' class="n"' : '');
  // On a telephone a claim is a card, and each of its values has its heading before it.
  const label = (i: number): string =>
    filter < 0 ? '' : ` data-label="${escapeHtml(columns[i] ?? '')}"`;
  const cell = (text: string, i: number): string =>
    words[text] === undefined
      ? `<td${attribute(i)}${label(i)}>${escapeHtml(text)}</td>`
      : `<td${label(i)}><span class="w ${wordClass(text)}">${escapeHtml(text)}</span></td>`;
  const head = columns
    .map((c, i) => `<th scope="col"${attribute(i)}><button>${escapeHtml(c)}</button></th>`)
    .join('');
  const body = rows
    .slice(0, mostRows)
    .map((row) => {
      const word = filter < 0 ? '' : ` data-word="${escapeHtml(row[filter] ?? '')}"`;
      return `<tr${word}>${row.map(cell).join('')}</tr>`;
    })
    .join('\n');
  const more =
    rows.length > mostRows
      ? `<p class="small">The first ${mostRows} of ${rows.length} rows; the CSV file has all.</p>`
      : '';
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(name)}"><table><thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table></div>${more}`;
}

const pageInks = { ink: 'var(--ink)', faint: 'var(--faint)', paper: 'var(--page)' } as const;
const wide: Style = {
  ...fileStyle,
  ...pageInks,
  columns: 2,
  panel: 220,
  titled: false,
  told: true,
};
/** Many panels: lower ones, three beside one another. */
const dense: Style = { ...wide, columns: 3, panel: 150 };
const manyPanels = 4;
/** On a telephone: one panel under another, letters as large. */
const narrow: Style = { ...columnStyle, ...pageInks, width: 330, columns: 1, font: 11, panel: 150 };

const switches = ({ id, chart }: FigureView): string => {
  const names = chart.series.map((s) => s.name);
  const all = chart.published.length > 0 ? [...names, publishedSeries] : names;
  if (all.length < 2) return '';
  const boxes = all.map(
    (name) =>
      `<label><input type="checkbox" checked data-series="${escapeHtml(name)}"> ${escapeHtml(name)}</label>`,
  );
  return `<details class="switches"><summary>Show or hide</summary><div data-for="${id}">${boxes.join(' ')}</div></details>`;
};

export function htmlFigure(figure: FigureView): string {
  const { id, part, title, caption, note, chart } = figure;
  // A caption that begins with the title needs none.
  const named = caption.startsWith(title) ? '' : `<b>${escapeHtml(title)}.</b> `;
  // Those behind a fold scroll on a telephone instead: a second drawing of each would double the page.
  const small =
    figure.print !== undefined ? `<div class="plot narrow">${drawChart(chart, narrow)}</div>` : '';
  return `<figure id="figure-${id}"><div class="plot ${figure.print !== undefined ? 'wide' : 'wide only'}" tabindex="0" role="group" aria-label="${escapeHtml(title)}: arrow keys step through its values">${drawChart(chart, chart.facets.length > manyPanels ? dense : wide)}</div>${small}
<figcaption>${named}${prose(caption)} ${prose(note)}
<span class="links"><a href="${part}.csv">data</a> <a href="figures/${id}.vl.json">spec</a> <a href="figures/${id}.svg">SVG</a></span></figcaption>${switches(figure)}</figure>`;
}
