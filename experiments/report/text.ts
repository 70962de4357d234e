// Numbers as readers see them. Every number of a report comes through here, from the data.
import type { Interval, Ratio } from '../core/statistics.js';
import type { Metric } from '../core/types.js';

export const hasInterval = ({ low, high }: Interval): boolean =>
  !Number.isNaN(low) && !Number.isNaN(high);

export function number(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '-';
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function withUnit(value: number, metric: Metric): string {
  const text = number(value, metric.digits ?? 2);
  return metric.unit === '' ? text : `${text} ${metric.unit}`;
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
  const show = (v: number): string => (digits === undefined ? three(v) : number(v, digits));
  return hasInterval(interval) && show(low) !== show(high)
    ? `${show(value)} (${show(low)} to ${show(high)})`
    : show(value);
}
