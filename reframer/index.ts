/**
 * Reframer inline: hold packets for some microseconds, release them flow by flow.
 *
 * ```ts
 * const reframer = new Reframer({ delayNs: 64_000 });
 * reframer.push(frames, process.hrtime.bigint());
 * const { packets, runs } = reframer.poll(process.hrtime.bigint());
 * ```
 *
 * @module
 */
export { NativeError, ReframerError, type ReframerErrorCode } from './errors.js';
export type { Bypass, Early, Key, LatencyRule, Policy, ReframerOptions } from './options.js';
export {
  Reframer,
  Released,
  type Group,
  type Load,
  type PackedBurst,
  type Packet,
  type Run,
  type Time,
} from './reframer.js';
export type { HoldBucket, Reason, ReframerStats } from './stats.js';
