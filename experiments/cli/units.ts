// Quantities as people type and read them: 64us, 40Gbps, 100k.
import { UsageError } from './errors.js';

const durations: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  min: 60e9,
  h: 3600e9,
};
const rates: Readonly<Record<string, number>> = {
  bps: 1,
  kbps: 1e3,
  mbps: 1e6,
  gbps: 1e9,
  tbps: 1e12,
};
const multiples: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

function split(text: string): { value: number; unit: string } | undefined {
  const match = /^(\d+(?:\.\d+)?(?:e\d+)?)\s*([a-zµμ]*)$/i.exec(text.trim());
  if (match === null) return undefined;
  return { value: Number(match[1]), unit: match[2] ?? '' };
}

/** @returns nanoseconds */
export function parseDuration(text: string, option: string): number {
  const parts = split(text);
  if (parts?.value === 0 && parts.unit === '') return 0;
  const factor = parts === undefined ? undefined : durations[parts.unit];
  if (parts === undefined || factor === undefined) {
    throw new UsageError(
      `${option}: '${text}' is not a duration; write a number with ns, us, ms, s, min or h, such as 64us`,
    );
  }
  return Math.round(parts.value * factor);
}

/** How long packets may be held: up to the second that reframer.h allows. */
export function parseHold(text: string, option: string): number {
  const ns = parseDuration(text, option);
  if (ns > 1e9) throw new UsageError(`${option}: '${text}' is longer than 1s`);
  return ns;
}

/** A duration in milliseconds, of at least one: nothing here ticks faster. */
export function parseMilliseconds(text: string, option: string): number {
  const ms = parseDuration(text, option) / 1e6;
  if (ms < 1) throw new UsageError(`${option}: '${text}' is shorter than 1ms`);
  return ms;
}

/** @returns bits per second, or 'native': the capture's own timing */
export function parseRate(text: string, option: string): number | 'native' {
  if (text === 'native') return 'native';
  const parts = split(text);
  const factor =
    parts === undefined ? undefined : rates[parts.unit.toLowerCase().replace('bit/s', 'bps')];
  if (parts === undefined || factor === undefined || parts.value === 0) {
    throw new UsageError(
      `${option}: '${text}' is not a rate; write native, or a number with Mbps or Gbps, such as 40Gbps`,
    );
  }
  return parts.value * factor;
}

/** A whole number; 100k, 1M and 1e6 are understood. */
export function parseCount(text: string, option: string, low = 0): number {
  const parts = split(text);
  const factor = parts === undefined ? undefined : multiples[parts.unit.toLowerCase()];
  const value = parts === undefined || factor === undefined ? Number.NaN : parts.value * factor;
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

const grouping = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const formatCount = (value: number): string => grouping.format(value);

export function formatFixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? '-'
    : value.toFixed(digits);
}

export function formatRate(bps: number): string {
  if (bps < 1e6) return `${trim(bps / 1e3)} kbps`;
  if (bps < 1e9) return `${trim(bps / 1e6)} Mbps`;
  return `${trim(bps / 1e9)} Gbps`;
}

const trim = (value: number): string => String(Number(value.toPrecision(3)));
