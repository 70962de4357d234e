// Quantities as people type and read them: 64us, 40Gbps, 100k.
import { formatCount } from '../core/count.js';
import { UsageError } from './errors.js';

// Powers of ten, of nanoseconds the first ones.
const durations: Readonly<Record<string, number>> = {
  ns: 0,
  us: 3,
  µs: 3,
  μs: 3,
  ms: 6,
  s: 9,
  min: 9,
  h: 9,
};
const secondsOf: Readonly<Record<string, number>> = { min: 60, h: 3600 };
const rates: Readonly<Record<string, number>> = { bps: 0, kbps: 3, mbps: 6, gbps: 9, tbps: 12 };
const multiples: Readonly<Record<string, number>> = { '': 0, k: 3, m: 6, g: 9 };

/** The power goes into the text of the number: 4.1k is 4100, where 4.1 * 1000 is a little less. */
function split(text: string): { times: (power: number) => number; unit: string } | undefined {
  const match = /^(\d+(?:\.\d+)?)(?:e(\d+))?\s*([a-zµμ/]*)$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', exponent = '0', unit = ''] = match;
  return { times: (power) => Number(`${digits}e${Number(exponent) + power}`), unit };
}

/** What a table of units has of its own. */
const powerOf = (units: Readonly<Record<string, number>>, unit: string): number | undefined =>
  Object.hasOwn(units, unit) ? units[unit] : undefined;

/** @returns nanoseconds */
export function parseDuration(text: string, option: string): number {
  const parts = split(text);
  if (parts?.unit === '' && parts.times(0) === 0) return 0;
  const power = parts === undefined ? undefined : powerOf(durations, parts.unit);
  const whole = secondsOf[parts?.unit ?? ''] ?? 1;
  const ns = power === undefined ? Number.NaN : (parts?.times(power) ?? Number.NaN) * whole;
  if (!Number.isFinite(ns)) {
    throw new UsageError(
      `${option}: '${text}' is not a duration; write a number with ns, us, ms, s, min or h, such as 64us`,
    );
  }
  return Math.round(ns);
}

/** How long packets may be held: up to the second that reframer.h allows. */
export function parseHold(text: string, option: string): number {
  const ns = parseDuration(text, option);
  if (ns > 1e9) throw new UsageError(`${option}: '${text}' is longer than 1s`);
  return ns;
}

/** A duration in milliseconds, of at least one: nothing here ticks faster. */
export function parseMilliseconds(text: string, option: string, least = 1): number {
  const ms = parseDuration(text, option) / 1e6;
  if (ms < least) throw new UsageError(`${option}: '${text}' is shorter than ${least}ms`);
  return ms;
}

/** Between two looks at the counters of another process: shorter ones would be of the looking. */
export const parseLooks = (text: string, option: string): number =>
  parseMilliseconds(text, option, 10);

/** @returns bits per second, or 'native': the capture's own timing */
export function parseRate(text: string, option: string): number | 'native' {
  if (text === 'native') return 'native';
  const parts = split(text);
  const unit = parts?.unit.toLowerCase().replace('bit/s', 'bps') ?? '';
  const power = powerOf(rates, unit);
  const bps = power === undefined ? undefined : parts?.times(power);
  if (bps === undefined || bps === 0 || !Number.isFinite(bps)) {
    throw new UsageError(
      `${option}: '${text}' is not a rate; write native, or a number with Mbps or Gbps, such as 40Gbps`,
    );
  }
  return bps;
}

/** A whole number; 100k, 1M and 1e6 are understood. */
export function parseCount(text: string, option: string, low = 0): number {
  const parts = split(text);
  const power = parts === undefined ? undefined : powerOf(multiples, parts.unit.toLowerCase());
  const value = (power === undefined ? undefined : parts?.times(power)) ?? Number.NaN;
  if (Number.isInteger(value) && value > Number.MAX_SAFE_INTEGER)
    throw new UsageError(`${option}: '${text}' is too large`);
  if (!Number.isSafeInteger(value) || value < low) {
    throw new UsageError(
      `${option}: '${text}' is not a whole number of at least ${low} (100k and 1M are understood)`,
    );
  }
  return value;
}

export function parseChoice<T extends string>(
  text: string,
  option: string,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined)
    throw new UsageError(`${option}: '${text}' is not one of ${choices.join(', ')}`);
  return found;
}

export { counted, formatCount } from '../core/count.js';

/** What may be below one, such as packets per second. */
export const formatFew = (value: number): string => (value < 10 ? trim(value) : formatCount(value));

export function formatFixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? '-'
    : value.toFixed(digits);
}

export function formatRate(bps: number): string {
  if (bps < 1e3) return `${trim(bps)} bps`;
  if (bps < 1e6) return `${trim(bps / 1e3)} kbps`;
  if (bps < 1e9) return `${trim(bps / 1e6)} Mbps`;
  return `${trim(bps / 1e9)} Gbps`;
}

const trim = (value: number): string =>
  value < 1e-3 ? (value === 0 ? '0' : 'less than 0.001') : String(Number(value.toPrecision(3)));
