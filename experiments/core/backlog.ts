// A cost a packet says what a packet costs only while packets wait: a core that runs out of them, or that
// waits for the hold to end, takes fewer at a poll, and the figure then tells of the gap between arrivals.
import { numberAt } from './history.js';
import type { Backlog, JsonObject } from './types.js';

export const ranEmpty = 'not measured: the core was not always busy';
export const untold = 'not measured: nothing tells that the core was always busy';

// Time between polls that is no one's, and the last poll of the window, are less than this.
const leastBusy = 0.99;
// A ring that overflows by less may have been empty at other times.
const leastDropped = 0.01;

/** @returns why the trial's cost a packet must not be quoted; undefined where it may */
export function costRefused(
  { busyShare, dropShare, carriedBps }: Backlog,
  record: JsonObject,
  spec: JsonObject,
): string | undefined {
  const busy = numberAt(record, busyShare);
  const dropped = dropShare === undefined ? undefined : numberAt(record, dropShare);
  const carried = carriedBps === undefined ? undefined : numberAt(record, carriedBps);
  const offered = numberAt(spec, 'offeredBps');
  if (busy !== undefined && busy < leastBusy) return ranEmpty;
  if (dropped !== undefined) return dropped < leastDropped ? ranEmpty : undefined;
  // Records cut to fewer figures: what was not carried was dropped.
  if (carried !== undefined && offered !== undefined) {
    return carried > (1 - leastDropped) * offered ? ranEmpty : undefined;
  }
  return busy === undefined ? untold : undefined;
}
