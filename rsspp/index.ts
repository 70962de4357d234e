/**
 * RSS++: share the load of receive cores by rewriting an indirection table.
 *
 * ```ts
 * const { owners, moves } = solve({ loads, owners: table, cores: 8 });
 *
 * const balancing = await Balancing.start(backend, { cores: 8 });
 * await balancing.run({ signal: AbortSignal.timeout(60_000) });
 * ```
 *
 * @module
 */
export { Balancing, type Backend } from './backend.js';
export { Balancer, type BalancerOptions, type Epoch, type Report } from './balancer.js';
export {
  Device,
  type CpumapSpec,
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
  type Move,
  type Problem,
  type Solution,
} from './solver.js';
export type { Time } from '../native/time.js';
