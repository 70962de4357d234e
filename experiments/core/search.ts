// Bisection for the highest value that still satisfies a bound. Probes are remembered by the
// caller, so a search that was cut off goes through its finished probes without measuring again.
import { HarnessError } from './errors.js';
import type { SearchAxis } from './types.js';

export interface Found {
  /** The highest value seen to satisfy the bound; NaN when even `from` does not. */
  value: number;
  /** The lowest value seen to break it; NaN when even `to` satisfies it. */
  broken: number;
  probes: number;
}

/** Probes that a search takes when both ends have to be looked at. */
export function mostProbes({ from, to, resolution }: SearchAxis): number {
  return 2 + Math.max(0, Math.ceil(Math.log2((to - from) / resolution)));
}

export async function bisect(
  axis: SearchAxis,
  probe: (value: number) => Promise<number>,
): Promise<Found> {
  if (!(axis.resolution > 0) || !(axis.to > axis.from)) {
    throw new HarnessError(
      'bad-axis',
      `axis ${axis.name}: needs from < to and a resolution above 0`,
      2,
    );
  }
  let probes = 0;
  const holds = async (value: number): Promise<boolean> => {
    probes += 1;
    return (await probe(value)) <= axis.atMost;
  };
  if (await holds(axis.to)) return { value: axis.to, broken: Number.NaN, probes };
  if (!(await holds(axis.from))) return { value: Number.NaN, broken: axis.from, probes };
  let low = axis.from;
  let high = axis.to;
  while (high - low > axis.resolution) {
    const middle = (low + high) / 2;
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return { value: low, broken: high, probes };
}
