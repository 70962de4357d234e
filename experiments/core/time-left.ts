// How long a run still takes.
import { mostProbes } from './search.js';
import type { Setting } from './points.js';
import type { Profile } from './types.js';

/** What the scheduler knows of a setting that is not finished. */
export interface Unfinished {
  setting: Setting;
  /** Blocks of each of its pending points. */
  blocks: readonly number[];
  /** What a trial of its part takes. */
  perTrial: number;
}

interface Costs {
  /** Searches and seeds of deterministic parts. */
  fixed: number;
  /** Blocks that are missing to the minimum, to the maximum, and to a first one. */
  least: number;
  most: number;
  first: number;
}

function costsOf(unfinished: readonly Unfinished[], profile: Profile): Costs {
  const costs = { fixed: 0, least: 0, most: 0, first: 0 };
  for (const { setting, blocks, perTrial } of unfinished) {
    const { part, search } = setting;
    for (const had of blocks) {
      if (search !== undefined) costs.fixed += perTrial * mostProbes(search);
      else if (part.deterministic === true)
        costs.fixed += perTrial * Math.max(0, (part.seeds ?? 1) - had);
      else {
        costs.least += perTrial * Math.max(0, profile.blocks.min - had) * 2;
        costs.most += perTrial * Math.max(0, profile.blocks.max - had) * 2;
        if (had === 0) costs.first += perTrial * (2 + profile.warmup.max);
      }
    }
  }
  return costs;
}

/**
 * The estimate lies at the end of the minimum of blocks, then of the budget, as long as a rule may stop a point
 * in between. Seeds of deterministic parts, searches and every point's first block are measured whatever the budget.
 */
export function secondsLeft(
  unfinished: readonly Unfinished[],
  profile: Profile,
  spentSeconds: number,
): number {
  const { fixed, least, most, first } = costsOf(unfinished, profile);
  const until = (seconds: number): number => Math.max(0, seconds - spentSeconds);
  return (
    fixed +
    Math.max(
      first,
      Math.min(least, until(profile.limitSeconds ?? Number.POSITIVE_INFINITY)),
      Math.min(most, until(profile.budgetSeconds)),
    )
  );
}

/**
 * Whether not every point can have its least number of blocks before the limit. Known once each had a block,
 * which it gets whatever the limit: until then nobody knows what its trials take.
 */
export function isShortOfTime(
  unfinished: readonly Unfinished[],
  profile: Profile,
  spentSeconds: number,
): boolean {
  const { fixed, least, first } = costsOf(unfinished, profile);
  const { limitSeconds = Number.POSITIVE_INFINITY } = profile;
  return first === 0 && fixed + least > limitSeconds - spentSeconds;
}
