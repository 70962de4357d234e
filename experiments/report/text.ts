// Numbers as readers see them. Every number of a report comes through here, from the data.
import type { Interval, Ratio } from '../core/statistics.js';
import type { Metric } from '../core/types.js';

export const hasInterval = ({ low, high }: Interval): boolean =>
  !Number.isNaN(low) && !Number.isNaN(high);

// Made once each: a report has tens of thousands of numbers.
const formats = new Map<number, Intl.NumberFormat>();

function formatOf(digits: number): Intl.NumberFormat {
  const known = formats.get(digits);
  if (known !== undefined) return known;
  const format = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  formats.set(digits, format);
  return format;
}

export const number = (value: number, digits: number): string =>
  Number.isFinite(value) ? formatOf(digits).format(value) : '-';

/** Three significant digits are what a reader keeps; never more decimals than the metric has. */
export function digitsOf(value: number, most: number): number {
  const size = Math.abs(value);
  if (size === 0) return 0;
  return Math.min(most, Math.max(0, 2 - Math.floor(Math.log10(size))));
}

/** "69.3", "7,038". */
export const brief = (value: number, digits: number): string =>
  number(value, digitsOf(value, digits));

// A unit, how many of it are one of the next, and from how many on the next reads better.
const larger: Readonly<Record<string, readonly [times: number, next: string, from: number]>> = {
  ns: [1000, 'µs', 10_000],
  µs: [1000, 'ms', 1000],
  ms: [1000, 's', 10_000],
};

/** "69.3 Gbps", "7.04 ms". */
export function withUnit(
  value: number,
  { unit, digits = 2 }: Pick<Metric, 'unit' | 'digits'>,
): string {
  if (unit === '') return brief(value, digits);
  const [times, next, from] = larger[unit] ?? [1, unit, Number.POSITIVE_INFINITY];
  return Math.abs(value) >= from
    ? withUnit(value / times, { unit: next, digits: 2 })
    : `${brief(value, digits)} ${unit}`;
}

/** Fewer than six values have none. */
export function bounds(interval: Interval, digits: number): string {
  const { low, high } = interval;
  return hasInterval(interval) ? `${number(low, digits)} to ${number(high, digits)}` : '-';
}

export function percentChange(ratio: number): string {
  const change = (ratio - 1) * 100;
  return `${change >= 0 ? '+' : '−'}${number(Math.abs(change), 1)} %`;
}

/** For sentences: "146 %", "5.8 %". */
export const shortShare = (percent: number): string =>
  `${number(percent, percent < 9.95 ? 1 : 0)} %`;

/** "+146 %", "−5.8 %". */
export function shortChange(ratio: number): string {
  const change = (ratio - 1) * 100;
  return `${change >= 0 ? '+' : '−'}${shortShare(Math.abs(change))}`;
}

export function ratioText(ratio: Interval): string {
  if (!Number.isFinite(ratio.value)) return '-';
  const change = percentChange(ratio.value);
  return hasInterval(ratio)
    ? `${change} (${percentChange(ratio.low)} to ${percentChange(ratio.high)})`
    : change;
}

/** The word that stands beside a ratio. */
export const verdictText = ({ verdict, pairs }: Ratio): string =>
  verdict === 'too few' ? `n = ${pairs}: no verdict` : verdict;

/** Four significant digits, for values that have no metric of their own. */
export function plain(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '-';
}

/** Median with its interval as one cell: "47.2 (46.8 to 47.5)". Without digits: three significant ones. */
export function estimate(interval: Interval | undefined, digits: number | undefined): string {
  if (interval === undefined) return '-';
  const { value, low, high } = interval;
  const three = (v: number): string =>
    Number.isFinite(v) ? String(Number(v.toPrecision(3))) : '-';
  // All three to the same place: that of the median, or of the upper end where the median is none.
  const places = digits === undefined ? 0 : digitsOf(value === 0 ? high || 0 : value, digits);
  const show = (v: number): string => (digits === undefined ? three(v) : number(v, places));
  return hasInterval(interval) && show(low) !== show(high)
    ? `${show(value)} (${show(low)} to ${show(high)})`
    : show(value);
}

/** A number stays with its unit, a name in one piece. */
export const bound = (text: string): string =>
  text
    .replace(/(\d) (?=(µs|ns|ms|Gbps|%|cycles|MiB|times|M\/s|M|k)(?![A-Za-z]))/g, '$1\u00a0')
    .replace(/\bT = (?=\d)/g, 'T\u00a0=\u00a0')
    .replace(/M\/s/g, 'M/\u2060s')
    .replace(/\+\+/g, '\u2060+\u2060+');
