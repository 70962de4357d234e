// Many points with too few samples each: did they shift together?
//
// A point is shifted when every sample of the one run lies beyond every sample of the other. Were both
// runs alike, n samples against m do so in that direction by chance in 1 of C(n + m, n) points: 1 in 6
// for two against two, 1 in 2 for one against one. The number of shifted points is then a sum of
// such throws, whose tail is computed. All points of a run share its machine, so being improbable is
// not enough: the median shift must also exceed the margin below which a change does not count.
import { median } from 'simple-statistics';

export interface Shift {
  before: readonly number[];
  after: readonly number[];
}

export interface Pooled {
  points: number;
  /** Points all of whose samples lie beyond those of the other run, upwards and downwards. */
  up: number;
  down: number;
  /** Median over the points of after over before. */
  ratio: number;
  /** Chance of as many shifted that way (the more frequent one) were the runs alike. */
  p: number;
  /** The points moved as one: improbable, and beyond the margin. */
  moved: 'up' | 'down' | 'no';
}

// A comparison asks once a part and metric, a dozen times: a false alarm in about a hundred of them.
const mostChance = 0.001;

function choose(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return result;
}

/** Probability of at least `count` hits among throws of these chances. */
export function tailOf(chances: readonly number[], count: number): number {
  let at = [1];
  for (const chance of chances) {
    const next = [...at.map((p) => p * (1 - chance)), 0];
    at.forEach((p, hits) => {
      next[hits + 1] = (next[hits + 1] ?? 0) + p * chance;
    });
    at = next;
  }
  return Math.min(
    1,
    at.slice(count).reduce((sum, p) => sum + p, 0),
  );
}

export function poolShifts(shifts: readonly Shift[], margin: number): Pooled {
  const found = shifts.filter(({ before, after }) => before.length > 0 && after.length > 0);
  const beyond = (more: readonly number[], less: readonly number[]): boolean =>
    Math.min(...more) > Math.max(...less);
  const up = found.filter(({ before, after }) => beyond(after, before)).length;
  const down = found.filter(({ before, after }) => beyond(before, after)).length;
  const ratios = found
    .map(({ before, after }) => median([...after]) / median([...before]))
    .filter(Number.isFinite);
  const ratio = ratios.length === 0 ? Number.NaN : median(ratios);
  const p = tailOf(
    found.map(({ before, after }) => 1 / choose(before.length + after.length, after.length)),
    Math.max(up, down),
  );
  const sure = p <= mostChance;
  // Of a fall the same size as of a rise: half counts as twice does.
  const moved =
    sure && up > down && ratio > 1 + margin
      ? 'up'
      : sure && down > up && 1 / ratio > 1 + margin
        ? 'down'
        : 'no';
  return { points: found.length, up, down, ratio, p, moved };
}
