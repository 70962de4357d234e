// Medians, intervals and words for ratios. What is random is seeded: a report can be made again.
// An interval that does not exist has NaN at both ends (null in JSON).
import {
  cumulativeStdNormalProbability,
  median,
  medianAbsoluteDeviation,
  quantileSorted,
} from 'simple-statistics';

import { seededRandom } from './random.js';
import type { Direction } from './types.js';

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** Of a metric's own direction: better is more throughput, less latency. */
export type Verdict = 'better' | 'worse' | 'no change' | 'undecided' | 'too few';

export interface Ratio extends Interval {
  pairs: number;
  verdict: Verdict;
}

// 2,000 resamples put the interval's ends within a few percent of its width.
const resamples = 2000;

// Below six values the smallest and the largest do not enclose the median at 95 %: all on one side
// happens by chance too often (2 / 2^5 = 6 %). So fewer have no interval, and get no verdict.
export const fewestValues = 6;

export const noInterval = { low: Number.NaN, high: Number.NaN } as const;

/** Differences smaller than this are of no use to anyone, however certain. */
export const equivalenceMargin = 0.01;

/**
 * Medians of samples drawn with replacement. The values are sorted once and a draw is kept as a count
 * for each place, so that its median is found by walking instead of sorting every draw.
 */
function resampledMedians(values: readonly number[], random: () => number): Float64Array {
  const count = values.length;
  const sorted = Float64Array.from(values).sort();
  const drawn = new Uint32Array(count);
  const medians = new Float64Array(resamples);
  // The two middle places; the same one where the number is odd.
  const [lower, upper] = [(count - 1) >> 1, count >> 1];
  for (let i = 0; i < resamples; i++) {
    drawn.fill(0);
    for (let j = 0; j < count; j++) {
      const place = Math.floor(random() * count);
      drawn[place] = (drawn[place] as number) + 1;
    }
    let place = 0;
    let seen = drawn[0] as number;
    while (seen <= lower) seen += drawn[++place] as number;
    const low = sorted[place] as number;
    while (seen <= upper) seen += drawn[++place] as number;
    medians[i] = (low + (sorted[place] as number)) / 2;
  }
  return medians;
}

/**
 * Share to cut off at either end. Plain 2.5 % gives intervals that are too narrow for few samples;
 * Hesterberg ("What Teachers Should Know about the Bootstrap", 2015, section 5.3) expands them as
 * Student's t does for a mean. The t quantile is the Cornish-Fisher expansion around z = 1.96.
 */
function tailShare(count: number): number {
  const nu = Math.max(1, count - 1);
  const z = 1.959964;
  const [z3, z5, z7] = [z ** 3, z ** 5, z ** 7];
  const t =
    z +
    (z3 + z) / (4 * nu) +
    (5 * z5 + 16 * z3 + 3 * z) / (96 * nu ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * nu ** 3);
  return cumulativeStdNormalProbability(-t * Math.sqrt(count / nu));
}

const ends = (values: Float64Array, count: number): { low: number; high: number } => {
  const sorted = Array.from(values.sort());
  const tail = tailShare(count);
  return { low: quantileSorted(sorted, tail), high: quantileSorted(sorted, 1 - tail) };
};

/** P(at least `wanted` of `count` draws succeed), each with probability p. */
function atLeast(wanted: number, count: number, p: number): number {
  if (p <= 0) return wanted <= 0 ? 1 : 0;
  if (p >= 1) return 1;
  let term = count * Math.log(1 - p);
  let [below, choose] = [0, 0];
  for (let k = 0; k < wanted; k++) {
    below += Math.exp(choose + term);
    term += Math.log(p) - Math.log(1 - p);
    choose += Math.log(count - k) - Math.log(k + 1);
  }
  return Math.max(0, 1 - below);
}

/** Of an even number of draws: how likely the two middle ones are the values at these places. */
function middlePair(count: number): { lower: number; upper: number; share: number }[] {
  const half = count / 2;
  let ways = 1;
  for (let k = 1; k <= half; k++) ways = (ways * (half + k)) / k;
  const share = (n: number): number => (n / count) ** half;
  const pairs: { lower: number; upper: number; share: number }[] = [];
  for (let i = 1; i <= count; i++) {
    const ends = share(i) - share(i - 1);
    const same =
      1 -
      atLeast(half, count, (i - 1) / count) -
      atLeast(half, count, (count - i) / count) +
      ways * share(i - 1) * share(count - i);
    pairs.push({ lower: i - 1, upper: i - 1, share: same });
    for (let j = i + 1; j <= count; j++) {
      const begins = share(count - j + 1) - share(count - j);
      pairs.push({ lower: i - 1, upper: j - 1, share: ways * ends * begins });
    }
  }
  return pairs;
}

// So many values have no pairs worth telling apart, and powers that are still numbers.
const mostPaired = 200;

/**
 * Medians that samples drawn with replacement would have, each with its probability: what a bootstrap
 * comes to after any number of draws, without drawing.
 */
function mediansDrawn(values: readonly number[]): { value: number; share: number }[] {
  const count = values.length;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (place: number): number => sorted[place] as number;
  if (count % 2 === 0 && count <= mostPaired)
    return middlePair(count)
      .map(({ lower, upper, share }) => ({ value: (at(lower) + at(upper)) / 2, share }))
      .sort((a, b) => a.value - b.value);
  const middle = Math.ceil(count / 2);
  let before = 0;
  return sorted.map((value, i) => {
    const upTo = atLeast(middle, count, (i + 1) / count);
    const share = upTo - before;
    before = upTo;
    return { value, share };
  });
}

/** Median with its 95 % interval (expanded percentile bootstrap), from six values on. */
export function medianInterval(values: readonly number[]): Interval {
  if (values.length === 0) return { value: Number.NaN, ...noInterval };
  const value = median([...values]);
  if (values.length < fewestValues) return { value, ...noInterval };
  const first = values[0] as number;
  if (values.every((v) => v === first)) return { value, low: value, high: value };
  if (values.some(Number.isNaN)) return { value, ...noInterval };
  const drawn = mediansDrawn(values);
  const tail = tailShare(values.length);
  const quantile = (share: number): number => {
    let sum = 0;
    return drawn.find((d) => (sum += d.share) >= share)?.value ?? (drawn.at(-1)?.value as number);
  };
  return { value, low: quantile(tail), high: quantile(1 - tail) };
}

export function verdictOf(
  ratio: Interval,
  pairs: number,
  direction: Direction,
  margin = equivalenceMargin,
): Verdict {
  if (pairs < fewestValues) return 'too few';
  if (Number.isNaN(ratio.low) || Number.isNaN(ratio.high)) return 'undecided';
  if (ratio.low >= 1 - margin && ratio.high <= 1 + margin) return 'no change';
  if (ratio.low > 1) return direction === 'lower' ? 'worse' : 'better';
  if (ratio.high < 1) return direction === 'lower' ? 'better' : 'worse';
  return 'undecided';
}

/**
 * Median of the pairs' ratios, taken on logarithms so that 2x and 1/2x weigh the same. Two zeros are
 * equal; where one of a pair alone is 0 there is no ratio, and leaving that pair out would favour one.
 */
export function pairedRatio(
  pairs: readonly (readonly [number, number])[],
  direction: Direction,
): Ratio {
  const logs = pairs.map(([a, b]) =>
    a === 0 && b === 0 ? 0 : a > 0 && b > 0 ? Math.log(a / b) : Number.NaN,
  );
  const log = logs.some(Number.isNaN) ? { value: Number.NaN, ...noInterval } : medianInterval(logs);
  const ratio = { value: Math.exp(log.value), low: Math.exp(log.low), high: Math.exp(log.high) };
  return { ...ratio, pairs: logs.length, verdict: verdictOf(ratio, logs.length, direction) };
}

/** Ratio of two medians whose samples have no partners, as between two runs. */
export function unpairedRatio(
  ours: readonly number[],
  theirs: readonly number[],
  seed: number,
): Interval {
  const value = median([...ours]) / median([...theirs]);
  const fewest = Math.min(ours.length, theirs.length);
  if (fewest < fewestValues) return { value, ...noInterval };
  const random = seededRandom(seed);
  const a = resampledMedians(ours, random);
  const b = resampledMedians(theirs, random);
  return {
    value,
    ...ends(
      a.map((v, i) => v / (b[i] as number)),
      fewest,
    ),
  };
}

// A probability of 1 % is then known to within half a percent.
const permutations = 2000;

/** Probability of so large a difference of means were both the same; seeded. */
export function permutationP(a: readonly number[], b: readonly number[], seed: number): number {
  if (a.length < 3 || b.length < 3) return Number.NaN;
  const [few, many] = a.length <= b.length ? [a, b] : [b, a];
  const all = Float64Array.from([...few, ...many]);
  const total = all.reduce((sum, value) => sum + value, 0);
  // The sum of the smaller group tells the difference of both means.
  const apart = (sum: number): number => Math.abs(sum / few.length - (total - sum) / many.length);
  const seen = apart(few.reduce((sum, value) => sum + value, 0));
  // Sums of the same values in another order differ by their rounding.
  const least = seen - 1e-12 * Math.abs(total);
  const random = seededRandom(seed);
  let extreme = 0;
  for (let draw = 0; draw < permutations; draw++) {
    let sum = 0;
    for (let i = 0; i < few.length; i++) {
      const j = i + Math.floor(random() * (all.length - i));
      const value = all[j] ?? 0;
      all[j] = all[i] ?? 0;
      all[i] = value;
      sum += value;
    }
    if (apart(sum) >= least) extreme += 1;
  }
  // What was seen is one of the ways to draw, so no probability is 0: B. Phipson and G. K. Smyth,
  // "Permutation P-values Should Never Be Zero" (2010).
  return (extreme + 1) / (permutations + 1);
}

// Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993): modified Z above 3.5.
const outlierBound = 3.5;

/** Indices of outliers. They are told, never removed. */
export function outliers(values: readonly number[]): number[] {
  if (values.length < 4) return [];
  const centre = median([...values]);
  const mad = medianAbsoluteDeviation([...values]);
  // With more than half the values equal the deviation is 0 and says nothing.
  if (mad === 0) return [];
  return values.flatMap((value, i) =>
    Math.abs((0.6745 * (value - centre)) / mad) > outlierBound ? [i] : [],
  );
}

/** Half the interval's width over the median: what the stopping rule looks at. */
export function relativeHalfWidth({ value, low, high }: Interval): number {
  // Without an interval nothing is precise.
  if (Number.isNaN(low) || Number.isNaN(high)) return Number.POSITIVE_INFINITY;
  if (low === high) return 0;
  return value === 0 ? Number.POSITIVE_INFINITY : (high - low) / 2 / Math.abs(value);
}
