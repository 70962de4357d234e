/**
 * RSS++: share the load of receive cores by rewriting an indirection table.
 *
 * ```ts
 * const { owners, moves } = solve({ loads, owners: table, cores: 8 });
 *
 * const balancing = await Balancing.start(backend, { cores: 8 });
 * for (;;) {
 *   const { nextEpochMs } = await balancing.epoch();
 *   await setTimeout(nextEpochMs); // of node:timers/promises
 * }
 * ```
 *
 * @module
 */
export { Balancing, type Backend } from './backend.js';
export { Balancer, type BalancerOptions, type Epoch, type Move, type Report } from './balancer.js';
export {
  Device,
  type DeviceSpec,
  type DeviceSummary,
  type DpdkSpec,
  type EthtoolSpec,
  type TapSpec,
} from './device.js';
export { NativeError, ReframerError, RssppError, type RssppErrorCode } from './errors.js';
export {
  maxBuckets,
  maxCores,
  methods,
  solve,
  type Method,
  type Problem,
  type Solution,
} from './solver.js';
