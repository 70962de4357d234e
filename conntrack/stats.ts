import type { NativeStats } from '../native/binding-conntrack.js';

/** Counters since creation, and what the table is like now. */
export interface FlowTrackerStats {
  /** Flows now, dead ones that nobody has noticed yet included. */
  flows: number;
  /** Flows that would fit now: of a table of one worker eight of nine cells. */
  slots: number;
  /** Memory of the table. */
  bytes: number;
  inserted: number;
  removed: number;
  expired: number;
  evicted: number;
  /** Inserts without room. */
  refused: number;
  /** Keys of groups that were detached. */
  notOwned: number;
  /** Flows that live neither at home nor next to it, and of these: far from it. A table of one worker has one kind only, so both are equal. */
  away: number;
  spilled: number;
  /** Flows that growth moved so far. */
  moved: number;
  /** Groups that are growing now. */
  growing: number;
}

export function readStats({ not_owned: notOwned, ...stats }: NativeStats): FlowTrackerStats {
  return { ...stats, notOwned };
}
