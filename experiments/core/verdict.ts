// Words for claims: published values against ours, and aims of our own. The two are counted apart.
import { fewestValues, type Interval } from './statistics.js';
import { ownTarget, type Claim, type Direction } from './types.js';

/** Of a published value. */
export const publishedVerdicts = [
  'reproduced',
  'exceeds',
  'falls short',
  'undecided',
  'not testable here',
  'not in this run',
] as const;
/** Of an aim of this project. */
export const aimVerdicts = [
  'reached',
  'missed',
  'undecided',
  'not testable here',
  'not in this run',
] as const;

export type PublishedVerdict = (typeof publishedVerdicts)[number];
export type AimVerdict = (typeof aimVerdicts)[number];
export type ClaimVerdict = PublishedVerdict | AimVerdict;

/** A median, its interval (NaN where there are fewer than six values), and how many values they rest on. */
export interface Measured extends Interval {
  n: number;
}

export interface Bounds {
  low: number;
  high: number;
}

export const isAim = ({ source }: { source: string }): boolean => source === ownTarget;

/** Two-sided, whatever the claim hopes for: more than published is not the same as published. */
export function publishedBounds({
  published,
  tolerance,
}: Pick<Claim, 'published' | 'tolerance'>): Bounds {
  const slack = Math.abs(published) * tolerance;
  return { low: published - slack, high: published + slack };
}

export function aimBounds({
  published,
  tolerance,
  kind,
}: Pick<Claim, 'published' | 'tolerance' | 'kind'>): Bounds {
  const { low, high } = publishedBounds({ published, tolerance });
  return {
    low: kind === 'at-most' ? Number.NEGATIVE_INFINITY : low,
    high: kind === 'at-least' ? Number.POSITIVE_INFINITY : high,
  };
}

type Place = 'inside' | 'above' | 'below' | 'across';

/** Inside takes the median and the whole interval, and so do above and below. */
function placeOf({ value, low, high, n }: Measured, bounds: Bounds): Place {
  if (n < fewestValues || [value, low, high].some(Number.isNaN)) return 'across';
  const least = Math.min(value, low);
  const most = Math.max(value, high);
  if (least >= bounds.low && most <= bounds.high) return 'inside';
  if (least > bounds.high) return 'above';
  return most < bounds.low ? 'below' : 'across';
}

/**
 * `better` says which side exceeds: 'lower' for what costs. A neutral metric exceeds where it is higher.
 */
export function judgePublished(
  ours: Measured,
  bounds: Bounds,
  better: Direction,
): PublishedVerdict {
  const place = placeOf(ours, bounds);
  if (place === 'inside') return 'reproduced';
  if (place === 'across') return 'undecided';
  return (place === 'above') === (better !== 'lower') ? 'exceeds' : 'falls short';
}

export function judgeAim(ours: Measured, bounds: Bounds): AimVerdict {
  const place = placeOf(ours, bounds);
  if (place === 'inside') return 'reached';
  return place === 'across' ? 'undecided' : 'missed';
}

/**
 * Several values in one verdict: reproduced when each is, undecided while one is and none is outside.
 * One that falls short outweighs those that exceed.
 */
export function judgeShape(steps: readonly PublishedVerdict[]): PublishedVerdict {
  const worst = (['falls short', 'exceeds', 'undecided'] as const).find((word) =>
    steps.includes(word),
  );
  return worst ?? (steps.length > 0 ? 'reproduced' : 'undecided');
}

export interface VerdictCounts {
  published: Record<PublishedVerdict, number>;
  aims: Record<AimVerdict, number>;
}

export function countVerdicts(
  claims: readonly { source: string; verdict: ClaimVerdict }[],
): VerdictCounts {
  const count = <W extends ClaimVerdict>(words: readonly W[], aims: boolean): Record<W, number> => {
    const own = claims.filter((claim) => isAim(claim) === aims);
    const entries = words.map((word) => [
      word,
      own.filter(({ verdict }) => verdict === word).length,
    ]);
    return Object.fromEntries(entries) as Record<W, number>;
  };
  return { published: count(publishedVerdicts, false), aims: count(aimVerdicts, true) };
}
