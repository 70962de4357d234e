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
  close: () => void;
}

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
