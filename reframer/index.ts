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
export type { PackedBurst, Packet } from './packet.js';
export { Reframer, type Load } from './reframer.js';
export { Released, type Group, type Run } from './released.js';
export type { HoldBucket, Reason, ReframerStats } from './stats.js';
export type { Time } from '../native/time.js';
