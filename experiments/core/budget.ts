// A run that is given more time than its profile has.
import type { History } from './history.js';
import type { JsonObject, Plan } from './types.js';

/**
 * The plan with `seconds` of trials in the place of its budget; as it is where none are given.
 */
export function withBudget(plan: Plan, seconds: number | undefined): Plan {
  if (seconds === undefined) return plan;
  const { profile } = plan;
  const limit = profile.limitSeconds === undefined ? {} : { limitSeconds: seconds };
  return { ...plan, profile: { ...profile, budgetSeconds: seconds, ...limit } };
}

/** Seconds of trials that the last session of a run was given. */
export function budgetOf(context: JsonObject): number | undefined {
  const { budgetSeconds } = context;
  return typeof budgetSeconds === 'number' ? budgetSeconds : undefined;
}

/** Points that ended because time was over are open again where there is more of it. */
export function reopened(history: History, { profile }: Pick<Plan, 'profile'>): History {
  const { budgetSeconds, limitSeconds = budgetSeconds } = profile;
  const ends = { budget: budgetSeconds, limit: limitSeconds };
  const spent = history.trialMs / 1000;
  const done = [...history.done].filter(
    ([, { reason }]) => (reason !== 'budget' && reason !== 'limit') || spent >= ends[reason],
  );
  return { ...history, done: new Map(done) };
}
