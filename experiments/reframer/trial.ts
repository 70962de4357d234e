// A point's parameters as the specification of job `trial` (native/src/lab/reframer/trial.cpp).
import type { JsonObject, Params } from '../core/types.js';

export interface TrialScale {
  /** Virtual time: measured, before it, and of arrivals that only teach the tables. */
  durationNs: number;
  warmupNs: number;
  learnNs: number;
}

export interface Load {
  offeredBps: number;
  source?: JsonObject;
  queues?: number;
}

// A poll that takes out all that is due starves the ring of a core that is short of time, and the next
// release is as large: 0 to 18 % less throughput, and twice the 99th percentile.
const releaseMax = 32;

/** `more` are members of the specification that only some parts need. */
export function trialSpec(
  params: Params,
  scale: TrialScale,
  { offeredBps, source = { profile: 'campus' }, queues = 8 }: Load,
  more: JsonObject = {},
): JsonObject {
  return {
    engine: 'virtual',
    chain: params.chain ?? 'paper',
    form: params.form ?? 'packet',
    policy: params.policy ?? 'off',
    delayNs: Number(params.delayUs ?? 0) * 1000,
    source,
    offeredBps,
    queues,
    releaseMax,
    ...scale,
    ...more,
  };
}
