/**
 * The obvious implementation of what the solver promises, for tests.
 *
 * @module
 */
import type { Problem, Solution } from './solver.js';

/** Load of each core under `owners`. */
export function coreLoads(problem: Problem, owners: ArrayLike<number>): number[] {
  const loads = new Array<number>(problem.cores).fill(0);
  for (let b = 0; b < problem.loads.length; b++) {
    const owner = owners[b] ?? 0;
    loads[owner] = (loads[owner] ?? 0) + (problem.loads[b] ?? 0);
  }
  return loads;
}

const isActive = (problem: Problem, core: number): boolean => problem.active?.[core] ?? true;

/** max(mean over active cores, heaviest bucket). */
export function lowerBound(problem: Problem): number {
  const loads = Array.from(problem.loads);
  const active = Array.from({ length: problem.cores }, (_, core) => core).filter((core) =>
    isActive(problem, core),
  );
  return Math.max(loads.reduce((sum, load) => sum + load, 0) / active.length, ...loads);
}

/** What is wrong with a solution; empty when it keeps every rule of the problem. */
export function violations(problem: Problem, solution: Solution): string[] {
  const found: string[] = [];
  solution.owners.forEach((owner, bucket) => {
    const before = problem.owners[bucket] ?? 0;
    if (!isActive(problem, owner)) found.push(`bucket ${bucket} is on idle core ${owner}`);
    if (problem.pinned?.[bucket] === true && isActive(problem, before) && owner !== before)
      found.push(`pinned bucket ${bucket} moved`);
  });
  const moves = solution.owners.filter((owner, bucket) => owner !== problem.owners[bucket]).length;
  if (moves !== solution.moves.length)
    found.push(`${moves} buckets moved, ${solution.moves.length} are reported`);
  const loads = coreLoads(problem, solution.owners).filter((_, core) => isActive(problem, core));
  // Loads are 32-bit floats in the native library.
  const close = (a: number, b: number): boolean =>
    Math.abs(a - b) <= 1e-4 * Math.max(1e-3, Math.abs(a), Math.abs(b));
  if (!close(Math.max(...loads), solution.worstAfter))
    found.push(`the worst core has ${Math.max(...loads)}, ${solution.worstAfter} is reported`);
  if (!close(Math.min(...loads), solution.leastAfter))
    found.push(`the least has ${Math.min(...loads)}, ${solution.leastAfter} is reported`);
  if (!close(lowerBound(problem), solution.lowerBound))
    found.push(`the bound is ${lowerBound(problem)}, ${solution.lowerBound} is reported`);
  return found;
}

/** The smallest worst core of all assignments: tries every one. cores^buckets must be small. */
export function smallestWorst(problem: Problem): number {
  const owners = Array.from(problem.owners);
  let best = Number.POSITIVE_INFINITY;
  const descend = (bucket: number): void => {
    if (bucket === owners.length) {
      best = Math.min(best, Math.max(...coreLoads(problem, owners)));
      return;
    }
    for (let core = 0; core < problem.cores; core++) {
      if (!isActive(problem, core)) continue;
      owners[bucket] = core;
      descend(bucket + 1);
    }
  };
  descend(0);
  return best;
}
