// Numbers as readers see them. Every number of a report comes through here, from the data.
import type { Interval, Ratio } from '../core/statistics.js';
import type { Metric } from '../core/types.js';

export function number(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '-';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function withUnit(value: number, metric: Metric): string {
  const text = number(value, metric.digits ?? 2);
  return metric.unit === '' ? text : `${text} ${metric.unit}`;
}

export function bounds({ low, high }: Interval, digits: number): string {
  return `${number(low, digits)} to ${number(high, digits)}`;
}

export function percentChange(ratio: number): string {
  const change = (ratio - 1) * 100;
  return `${change >= 0 ? '+' : '−'}${number(Math.abs(change), 1)} %`;
}

export function ratioText(ratio: Ratio): string {
  if (!Number.isFinite(ratio.value)) return '-';
  return `${percentChange(ratio.value)} (${percentChange(ratio.low)} to ${percentChange(ratio.high)})`;
}

/** Four significant digits, for values that have no metric of their own. */
export function plain(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '-';
}
