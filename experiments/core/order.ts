// The order of a block: every contender once in a shuffled order, then once more in the reverse of
// it. What drifts steadily during the block weighs on each contender alike, and who stands first is
// drawn anew for each block.
import { seededRandom, seedFrom, shuffled } from './random.js';

export function blockOrder<T>(
  contenders: readonly T[],
  seed: number,
  setting: string,
  block: number,
): T[] {
  const forward = shuffled(contenders, seededRandom(seedFrom('order', seed, setting, block)));
  return [...forward, ...[...forward].reverse()];
}

/** Traffic of a block: the same for all its contenders, another for each block. */
export function blockSeed(seed: number, setting: string, block: number): number {
  // 31 bits, never 0: a seed that every generator takes.
  return seedFrom('traffic', seed, setting, block) >>> 1 || 1;
}
