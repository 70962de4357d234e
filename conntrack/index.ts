/**
 * Connection tracking: flows with state, looked up a burst at a time.
 *
 * ```ts
 * const tracker = new FlowTracker({ keys: 'ipv4', stateBytes: 16, timeoutsNs: 30e9 });
 * const burst = tracker.findOrInsert(keys, process.hrtime.bigint());
 * for (let i = 0; i < burst.count; i++) burst.view.setUint32(16 * i, burst.view.getUint32(16 * i) + 1);
 * tracker.store(burst);
 * ```
 *
 * @module
 */
export { ConntrackError, NativeError, ReframerError, type ConntrackErrorCode } from './errors.js';
export { FlowGroup } from './group.js';
export {
  decodeKey,
  encodeKey,
  keyBytes,
  makeSymmetric,
  type FiveTuple,
  type KeyKind,
} from './keys.js';
export { timeoutClasses, type FlowTrackerOptions, type Reason } from './options.js';
export {
  SharedFlowTracker,
  type SharedTicket,
  type SharedTrackerOptions,
  type Update,
} from './shared.js';
export {
  chainState,
  sliceOf,
  type ChainNames,
  type ChainSlices,
  type ChainState,
  type SliceValues,
} from './chain.js';
export type { CounterOf, StateSchema, StateType, StateValues } from './schema.js';
export type { FlowTrackerStats } from './stats.js';
export {
  FlowBurst,
  type CallOptions,
  type FlowEntry,
  type FlowTable,
  type Time,
  type TrackedFlow,
} from './table.js';
export { FlowTracker } from './tracker.js';
