// Values to places, and the ticks of an axis.
import type { XScale } from '../chart.js';

export interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

const log2 = (value: number): number => Math.log2(value);

/** 1, 2 or 5 times a power of ten, at least so that `count` steps cover the span. */
function step(span: number, count: number): number {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const times = [1, 2, 2.5, 5, 10].find((n) => n * power >= raw * 0.999) ?? 10;
  return times * power;
}

function linearTicks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low];
  const by = step(high - low, count);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / by - 1e-9); i * by <= high * (1 + 1e-9) + 1e-12; i++)
    ticks.push(Number((i * by).toPrecision(12)));
  return ticks;
}

function logTicks(low: number, high: number, count: number): number[] {
  const powers: number[] = [];
  for (let e = Math.floor(Math.log10(low)); 10 ** e <= high * 1.0001; e++)
    if (10 ** e >= low * 0.9999) powers.push(10 ** e);
  if (powers.length >= 3) {
    const every = Math.ceil(powers.length / count);
    return powers.filter((_, i) => i % every === 0);
  }
  const fine = powers
    .concat(10 ** Math.floor(Math.log10(low)))
    .flatMap((p) => [p, 2 * p, 5 * p])
    .filter((v) => v >= low * 0.9999 && v <= high * 1.0001);
  return [...new Set(fine)].sort((a, b) => a - b);
}

/** An axis of values from zero, or by powers. */
export function valueScale(
  values: readonly number[],
  kind: 'linear' | 'log',
  from: number,
  to: number,
  count: number,
): Scale {
  const most = Math.max(...values);
  const least = Math.min(...values);
  if (kind === 'log') {
    const [low, high] = [least / 1.15, most * 1.15];
    const [a, b] = [log2(low), log2(high)];
    return {
      at: (v) => from + ((log2(Math.max(v, low)) - a) / (b - a || 1)) * (to - from),
      ticks: logTicks(low, high, count),
    };
  }
  const top = Math.max(0, most);
  const bottom = Math.min(0, least);
  const by = step(top - bottom || 1, count);
  const high = top === 0 && bottom < 0 ? 0 : Math.ceil((top || 1) / by - 0.15) * by;
  const low = Math.floor(bottom / by + 1e-9) * by;
  const last = Math.max(high, top);
  return {
    at: (v) => from + ((v - low) / (last - low || 1)) * (to - from),
    ticks: linearTicks(low, last, count),
  };
}

/** An axis of places: ticks where something was measured, as far as they have room. */
export function placeScale(
  places: readonly number[],
  kind: XScale,
  from: number,
  to: number,
  room: number,
): Scale {
  const all = [...new Set(places)].sort((a, b) => a - b);
  const smallest = all.find((v) => v > 0) ?? 1;
  // Zero stands a step before the smallest place.
  const bend = (v: number): number =>
    kind === 'log'
      ? log2(Math.max(v, smallest / 2))
      : kind === 'symlog'
        ? log2(1 + (v / smallest) * 2)
        : v;
  const [a, b] = [bend(all[0] ?? 0), bend(all.at(-1) ?? 1)];
  const at = (v: number): number =>
    a === b ? (from + to) / 2 : from + ((bend(v) - a) / (b - a)) * (to - from);
  const ticks =
    kind === 'linear' && all.length > 10
      ? linearTicks(
          all[0] ?? 0,
          all.at(-1) ?? 1,
          Math.max(2, Math.floor(Math.abs(to - from) / room)),
        )
      : all;
  const kept: number[] = [];
  // The last place says how far it goes: the others make room for it.
  for (const tick of [...ticks].reverse()) {
    const before = kept.at(-1);
    if (before === undefined || Math.abs(at(before) - at(tick)) >= room) kept.push(tick);
  }
  return { at, ticks: kept.reverse() };
}

/** "0.5", "12k", "4M". */
export function tickText(value: number): string {
  const size = Math.abs(value);
  const short = (v: number): string => String(Number(v.toPrecision(3)));
  if (size >= 1e6) return `${short(value / 1e6)}M`;
  if (size >= 1e4) return `${short(value / 1e3)}k`;
  return String(Number(value.toPrecision(4)));
}
