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

/**
 * The estimate lies at the end of the minimum of blocks, then of the budget, as long as a rule may stop a point
 * in between. Seeds of deterministic parts, searches and every point's first block are measured whatever the budget.
 */
export function secondsLeft(
  unfinished: readonly Unfinished[],
  profile: Profile,
  spentSeconds: number,
): number {
  let least = 0;
  let most = 0;
  let first = 0;
  let fixed = 0;
  for (const { setting, blocks, perTrial } of unfinished) {
    const { part, search } = setting;
    for (const had of blocks) {
      if (search !== undefined) fixed += perTrial * mostProbes(search);
      else if (part.deterministic === true)
        fixed += perTrial * Math.max(0, (part.seeds ?? 1) - had);
      else {
        least += perTrial * Math.max(0, profile.blocks.min - had) * 2;
        most += perTrial * Math.max(0, profile.blocks.max - had) * 2;
        if (had === 0) first += perTrial * (2 + profile.warmup.max);
      }
    }
  }
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
