// What a tester is to the harness, whoever it is.
import type { JsonObject } from '../core/types.js';

export interface Load {
  /** Bits of frames a second, without preamble and gap; 0: as fast as it goes. */
  bps: number;
  warmupMs: number;
  windowMs: number;
}

export interface LatencyNs {
  mean: number;
  p50: number;
  p99: number;
  p95?: number;
  p999?: number;
  max: number;
}

/** Of packets sent in the window. */
export interface Figures {
  seconds: number;
  sent: number;
  received: number;
  lost: number;
  /** undefined: this tester does not tell. */
  outOfOrder: number | undefined;
  latencyNs: LatencyNs | undefined;
  offeredBps: number;
  receivedBps: number;
  /** What was sent by the window's end, of what was asked for until then; 1 where no rate was asked. */
  reachedShare: number;
  /** From start to stop, where the tester counts by window. */
  all: { sent: number; received: number };
  details: JsonObject;
}

export interface Tester {
  /** What it says of itself and its ports. */
  about: JsonObject;
  /** Returns once it sends. */
  start: (load: Load) => Promise<void>;
  /** Once the window is over and what was under way has come, or not. */
  stop: () => Promise<Figures>;
  /** Whatever it does: afterwards it sends nothing, and holds nothing that the next one needs. */
  close: () => Promise<void>;
}

/** A tester that sent less was not able to, and a rate that was not offered was not carried. */
export const leastReached = 0.97;

/** Of testers that do not tell how far behind they are. */
export const shareOfAsked = ({ bps }: Load, offeredBps: number): number =>
  bps > 0 ? Math.min(1, offeredBps / bps) : 1;

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
