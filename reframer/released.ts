import type { Reason } from './stats.js';

/** Consecutive released packets of one group: one lookup serves them all. */
export interface Run {
  /** Index of its first packet in `packets`. */
  first: number;
  count: number;
  /** Equal keys have equal hashes; two flows may share one, so compare before you rely on it. */
  hash: number;
  reason: Reason;
}

/** Packets of one run, taken out of what was released. */
export interface Group<T> {
  packets: T[];
  hash: number;
  reason: Reason;
}

/** What a poll gave out: packets in order of release, and the runs that they make. */
export class Released<T> {
  readonly packets: T[] = [];
  readonly runs: Run[] = [];

  /**
   * One run after the other: what does one lookup a flow does it once a group.
   *
   * ```ts
   * for (const { packets } of reframer.poll(now).groups()) rewrite(packets);
   * ```
   */
  *groups(): Generator<Group<T>, undefined> {
    for (const { first, count, hash, reason } of this.runs)
      yield { packets: this.packets.slice(first, first + count), hash, reason };
    return undefined;
  }

  /** All packets. */
  [Symbol.iterator](): Iterator<T> {
    return this.packets[Symbol.iterator]();
  }
}
