// Tables of a run, the same ones for terminal, Markdown, HTML, PDF and CSV.
import type { PointSummary } from '../core/point-summary.js';
import type { Summary } from '../core/summary.js';
import { metricOf, planOf } from '../core/summary.js';
import type { Interval } from '../core/statistics.js';
import type { ClaimResult } from '../core/claims.js';
import { fewestValues } from '../core/statistics.js';
import { isAim } from '../core/verdict.js';
import type { History } from '../core/history.js';
import type { Experiment, Part } from '../core/types.js';
import { bounds, hasInterval, number, plain, ratioText, verdictText } from './text.js';

export interface Table {
  title: string;
  columns: string[];
  /** Columns of numbers stand to the right. */
  numeric: boolean[];
  rows: string[][];
}

function paramNames(points: readonly PointSummary[], part: Part): string[] {
  // What moves together with the contender's name says the same thing again.
  const zip = part.axes.find(
    (a) =>
      a.kind === 'zip' && part.contenders !== undefined && a.names.includes(part.contenders.axis),
  );
  const hidden =
    zip?.kind === 'zip' ? zip.names.filter((name) => name !== part.contenders?.axis) : [];
  return [...new Set(points.flatMap((p) => Object.keys(p.params)))].filter(
    (name) => !hidden.includes(name),
  );
}

/** Under a column of costs: the rest of the sentence stands below the table. */
const refusedCell = 'not measured';

/** One part: headline with interval, against the baseline, verdict, then the other metrics. */
export function partTable(experiment: Experiment, summary: Summary, part: Part): Table {
  const points = summary.points.filter((p) => p.part === part.name);
  const names = paramNames(points, part);
  const headline = metricOf(experiment, part.headline);
  const told = (p: PointSummary, key: string): boolean =>
    p.metrics[key] !== undefined || p.refused[key] !== undefined;
  const others = part.metrics
    .filter((key) => key !== headline.key && points.some((p) => told(p, key)))
    .map((key) => metricOf(experiment, key));
  const paired =
    part.contenders !== undefined &&
    points.some((p) => !p.control && Object.keys(p.ratios).length > 0);
  const unit = (label: string, u: string): string => (u === '' ? label : `${label}, ${u}`);
  const columns = [
    ...names,
    unit(headline.label, headline.unit),
    '95 % interval',
    ...(paired ? ['against baseline', 'factor', 'verdict', 'p'] : []),
    ...others.map((m) => unit(m.label, m.unit)),
    'n',
  ];
  const rows = points.map((point) => {
    const interval = point.metrics[headline.key];
    const digits = headline.digits ?? 2;
    const again = (name: string): string =>
      point.control && name === part.contenders?.axis ? ' (again)' : '';
    return [
      ...names.map((name) => `${point.params[name] ?? ''}${again(name)}`),
      interval === undefined
        ? (point.refused[headline.key] ?? '-')
        : number(interval.value, digits),
      interval === undefined ? '-' : bounds(interval, digits),
      ...(paired ? ratioCells(point, headline.key, part) : []),
      ...others.map((m) =>
        point.refused[m.key] === undefined
          ? number(point.metrics[m.key]?.value ?? Number.NaN, m.digits ?? 2)
          : refusedCell,
      ),
      String(point.samples),
    ];
  });
  const numeric = columns.map((name, i) => i >= names.length && name !== 'verdict');
  return { title: part.title, columns, numeric, rows };
}

function ratioCells(point: PointSummary, key: string, part: Part): string[] {
  const ratio = point.ratios[key];
  const baseline =
    part.contenders !== undefined &&
    !point.control &&
    point.params[part.contenders.axis] === part.contenders.baseline;
  if (ratio === undefined) return [baseline ? 'baseline' : '-', '', '', ''];
  const p = ratio.pairs < fewestValues ? null : point.permutationP[key];
  return [
    ratioText(ratio),
    Number.isFinite(ratio.value) ? `${number(ratio.value, 2)}x` : '',
    verdictText(ratio),
    typeof p === 'number' ? (p < 0.001 ? '<0.001' : p.toFixed(3)) : '',
  ];
}

/** Said below a table that has such cells. */
export function refusals(summary: Summary, part: Part): string {
  const own = summary.points.filter((p) => p.part === part.name);
  const without = own.filter((p) => Object.keys(p.refused).length > 0).length;
  if (without === 0) return '';
  const where = without === own.length ? 'all' : `${without} of ${own.length}`;
  return `The cost per packet is left out at ${where} points, where the core was not always busy: it would count time without work.`;
}

const steps = (
  { steps: all = [] }: ClaimResult,
  value: (step: NonNullable<ClaimResult['steps']>[number]) => string,
): string => all.map((step) => `${step.label}: ${value(step)}`).join('; ');

export function claimsTable(summary: Summary): Table {
  const rows = summary.claims.map((c) => [
    c.text,
    c.published === null
      ? steps(c, (s) => `${plain(s.published)}x`) || '-'
      : `${plain(c.published)} ${c.unit}`.trim(),
    c.ours === null
      ? steps(c, (s) => `${plain(s.ours.value)}x`) || '-'
      : `${plain(c.ours.value)} ${c.unit}`.trim(),
    c.ours === null ? steps(c, (s) => spanText(s.ours)) || '-' : spanText(c.ours),
    c.verdict,
    c.clause === undefined ? c.reason : `${c.reason}; ${c.clause}`,
    c.source,
  ]);
  const columns = [
    'claim',
    'published or aimed at',
    'ours',
    '95 % interval',
    'verdict',
    'why',
    'source',
  ];
  return {
    title: 'Claims',
    columns,
    numeric: [false, true, true, true, false, false, false],
    rows,
  };
}

const spanText = (interval: Interval): string =>
  hasInterval(interval) ? `${plain(interval.low)} to ${plain(interval.high)}` : '-';

/** Claims on published values first, then aims of this project. */
export function claimsApart(summary: Summary): { published: Table; aims: Table } {
  const of = (aims: boolean, title: string): Table => ({
    ...claimsTable({ ...summary, claims: summary.claims.filter((c) => isAim(c) === aims) }),
    title,
  });
  return { published: of(false, 'Published values'), aims: of(true, 'Aims of this project') };
}

export function warningsTable(summary: Summary): Table {
  return {
    title: 'Warnings',
    columns: ['warning', 'seen', 'what to do'],
    numeric: [false, false, false],
    rows: summary.warnings.map((w) => [w.name, w.seen, w.remedy]),
  };
}

/** The context as two columns: "machine.cpu", "AMD ...". */
export function contextTable(summary: Summary): Table {
  const rows: string[][] = [];
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value))
      rows.push([
        path,
        value
          .map((v: unknown) =>
            typeof v === 'object' && v !== null ? Object.values(v).join(' ') : String(v),
          )
          .join(', ') || 'none',
      ]);
    else if (typeof value === 'object' && value !== null)
      for (const [name, inner] of Object.entries(value))
        walk(inner, path === '' ? name : `${path}.${name}`);
    else rows.push([path, String(value)]);
  };
  walk(summary.context, '');
  return { title: 'Context', columns: ['what', 'value'], numeric: [false, false], rows };
}

export interface PartView {
  part: Part;
  table: Table;
}

export function partViews(experiment: Experiment, summary: Summary, history: History): PartView[] {
  return planOf(experiment, history)
    .parts.filter((part) => summary.points.some((p) => p.part === part.name))
    .map((part) => ({ part, table: partTable(experiment, summary, part) }));
}

// A spreadsheet takes what begins so for a formula. Numbers and changes such as "+60.1 % (+59.0 % to
// +61.3 %)" are none, nor is the dash of a missing value.
const formula = /^[=+\-@\t\r]/;
const figure = /^(-|[-+]?[\d.,]+(e[-+]?\d+)?( ?%)?( \([-+−\d.,% to]+\))?)$/;

function csvCell(cell: string): string {
  const text = formula.test(cell) && !figure.test(cell) ? `'${cell}` : cell;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Every number in full, one line a point and metric. */
export function pointsCsv(summary: Summary): string {
  const names = [...new Set(summary.points.flatMap((p) => Object.keys(p.params)))];
  const head = [
    'part',
    'engine',
    ...names,
    'control',
    'metric',
    'median',
    'low',
    'high',
    'samples',
    'ratio',
    'ratioLow',
    'ratioHigh',
    'verdict',
  ];
  const rows = summary.points.flatMap((p) =>
    Object.entries(p.metrics).map(([key, m]) => {
      const r = p.ratios[key];
      const end = (value: number): string => (Number.isNaN(value) ? '' : String(value));
      const ratio =
        r === undefined
          ? ['', '', '', '']
          : [end(r.value), end(r.low), end(r.high), verdictText(r)];
      return [
        p.part,
        p.engine ?? 'virtual',
        ...names.map((n) => String(p.params[n] ?? '')),
        String(p.control),
        key,
        String(m.value),
        end(m.low),
        end(m.high),
        String(p.samples),
        ...ratio,
      ];
    }),
  );
  return `${[head, ...rows].map((row) => row.map(csvCell).join(',')).join('\n')}\n`;
}

export function tableCsv(table: Table): string {
  return `${[table.columns, ...table.rows].map((row) => row.map(csvCell).join(',')).join('\n')}\n`;
}
