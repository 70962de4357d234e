// A point's parameters as the specification of job `trial` (native/src/lab/trial.cpp).
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
}

export function trialSpec(params: Params, scale: TrialScale, { offeredBps, source = { profile: 'campus' } }: Load): JsonObject {
  return {
    engine: 'virtual',
    chain: params.chain ?? 'paper',
    form: params.form ?? 'packet',
    policy: params.policy ?? 'off',
    delayNs: Number(params.delayUs ?? 0) * 1000,
    source,
    offeredBps,
    queues: 8,
    ...scale,
  };
}
