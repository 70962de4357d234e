// Tables of a run, the same ones for terminal, Markdown, HTML, PDF and CSV.
import type { Summary, PointSummary } from '../core/summary.js';
import { metricOf, planOf } from '../core/summary.js';
import { metWord } from '../core/claims.js';
import type { History } from '../core/history.js';
import type { Experiment, Part } from '../core/types.js';
import { bounds, number, plain, ratioText } from './text.js';

export interface Table {
  title: string;
  columns: string[];
  /** Columns of numbers stand to the right. */
  numeric: boolean[];
  rows: string[][];
}

function paramNames(points: readonly PointSummary[], part: Part): string[] {
  // What moves together with the contender's name says the same thing again.
  const zip = part.axes.find((a) => a.kind === 'zip' && part.contenders !== undefined && a.names.includes(part.contenders.axis));
  const hidden = zip?.kind === 'zip' ? zip.names.filter((name) => name !== part.contenders?.axis) : [];
  return [...new Set(points.flatMap((p) => Object.keys(p.params)))].filter((name) => !hidden.includes(name));
}

/** One part: headline with interval, against the baseline, verdict, then the other metrics. */
export function partTable(experiment: Experiment, summary: Summary, part: Part): Table {
  const points = summary.points.filter((p) => p.part === part.name);
  const names = paramNames(points, part);
  const headline = metricOf(experiment, part.headline);
  const others = part.metrics.filter((key) => key !== headline.key).map((key) => metricOf(experiment, key)).filter((m) => points.some((p) => p.metrics[m.key] !== undefined));
  const paired = part.contenders !== undefined && points.some((p) => Object.keys(p.ratios).length > 0);
  const unit = (label: string, u: string): string => (u === '' ? label : `${label}, ${u}`);
  const columns = [...names, unit(headline.label, headline.unit), '95 % interval', ...(paired ? ['against baseline', 'factor', 'verdict', 'p'] : []), ...others.map((m) => unit(m.label, m.unit)), 'n'];
  const rows = points.map((point) => {
    const interval = point.metrics[headline.key];
    const ratio = point.ratios[headline.key];
    const isBaseline = paired && ratio === undefined;
    const digits = headline.digits ?? 2;
    const p = point.permutationP[headline.key];
    return [
      ...names.map((name) => `${point.params[name] ?? ''}${point.control && name === part.contenders?.axis ? ' (again)' : ''}`),
      interval === undefined ? '-' : number(interval.value, digits),
      interval === undefined || interval.low === interval.high ? '-' : bounds(interval, digits),
      ...(paired ? [isBaseline ? 'baseline' : ratio === undefined ? '-' : ratioText(ratio), ratio === undefined || !Number.isFinite(ratio.value) ? '' : `${number(ratio.value, 2)}x`, ratio?.verdict ?? '', typeof p === 'number' ? (p < 0.001 ? '<0.001' : p.toFixed(3)) : ''] : []),
      ...others.map((m) => number(point.metrics[m.key]?.value ?? Number.NaN, m.digits ?? 2)),
      String(point.samples),
    ];
  });
  const numeric = columns.map((name, i) => i >= names.length && name !== 'verdict');
  return { title: part.title, columns, numeric, rows };
}

export function claimsTable(summary: Summary): Table {
  const rows = summary.claims.map((c) => [
    c.text,
    `${plain(c.published)} ${c.unit}`.trim(),
    c.ours === null ? '-' : `${plain(c.ours.value)} ${c.unit}`.trim(),
    c.ours === null ? '-' : `${plain(c.ours.low)} to ${plain(c.ours.high)}`,
    c.verdict.replace('reproduced', metWord(c)),
    c.reason,
    c.source,
  ]);
  return { title: 'Claims', columns: ['claim', 'published or aimed at', 'ours', '95 % interval', 'verdict', 'why', 'source'], numeric: [false, true, true, true, false, false, false], rows };
}

export function warningsTable(summary: Summary): Table {
  return { title: 'Warnings', columns: ['warning', 'seen', 'what to do'], numeric: [false, false, false], rows: summary.warnings.map((w) => [w.name, w.seen, w.remedy]) };
}

/** The context as two columns: "machine.cpu", "AMD ...". */
export function contextTable(summary: Summary): Table {
  const rows: string[][] = [];
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) rows.push([path, value.map((v) => (typeof v === 'object' && v !== null ? Object.values(v).join(' ') : String(v))).join(', ') || 'none']);
    else if (typeof value === 'object' && value !== null) for (const [name, inner] of Object.entries(value)) walk(inner, path === '' ? name : `${path}.${name}`);
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

const csvCell = (cell: string): string => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Every number in full, one line a point and metric. */
export function pointsCsv(summary: Summary): string {
  const names = [...new Set(summary.points.flatMap((p) => Object.keys(p.params)))];
  const head = ['part', ...names, 'control', 'metric', 'median', 'low', 'high', 'samples', 'ratio', 'ratioLow', 'ratioHigh', 'verdict'];
  const rows = summary.points.flatMap((p) =>
    Object.entries(p.metrics).map(([key, m]) => {
      const r = p.ratios[key];
      return [p.part, ...names.map((n) => String(p.params[n] ?? '')), String(p.control), key, String(m.value), String(m.low), String(m.high), String(p.samples), ...(r === undefined ? ['', '', '', ''] : [String(r.value), String(r.low), String(r.high), r.verdict])];
    }),
  );
  return `${[head, ...rows].map((row) => row.map(csvCell).join(',')).join('\n')}\n`;
}

export function tableCsv(table: Table): string {
  return `${[table.columns, ...table.rows].map((row) => row.map(csvCell).join(',')).join('\n')}\n`;
}
