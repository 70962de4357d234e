/**
 * All five parts in one import: captures, Reframer, flow tracking, RSS++, load balancer. Each is also an entry of its
 * own (`reframer/capture`, `reframer/reframer`, `reframer/conntrack`, `reframer/rsspp`, `reframer/balancer`).
 *
 * @module
 */
export * from './balancer/index.js';
export * from './capture/index.js';
export * from './conntrack/index.js';
export * from './reframer/index.js';
export * from './rsspp/index.js';

// Both have one: why a group left the stage, and why a flow left the table.
export type { Reason } from './reframer/index.js';
export type { Reason as RemovalReason } from './conntrack/index.js';
