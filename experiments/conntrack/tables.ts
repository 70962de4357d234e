// The tables under their names in figures, and as the paper's result files call them.
import type { Axis, Params } from '../core/types.js';

/**
 * Name in figures, name of the tracker in native/src/conntrack/trackers, load in percent at which it
 * grows or refuses.
 */
export type Table = readonly [contender: string, tracker: string, fullPercent: number];

/** Keys at once: one key by itself, a burst, and where memory's rate levels off. */
export const depths = [1, 32, 128] as const;
export const burst = 32;

/** Those that can be taken apart into steps, and so take several keys at once. */
export const several: readonly Table[] = [
  ['burst table', 'burst-table', 95],
  ['Cuckoo', 'rte-hash-burst', 100],
  ['Cuckoo++', 'cuckoopp-burst', 100],
  ['Chaining', 'chaining-burst', 100],
];
/** Maps of others that offer no way to prefetch. */
const single: readonly Table[] = [
  // As far as this release of the maps lets them go before they double.
  ['HopScotch', 'hopscotch', 92.5],
  ['RobinMap', 'robin', 92.5],
  ['Chaining STL', 'chaining-stl', 100],
];
export const everyTable: readonly Table[] = [...several, ...single];

/** What stands in the name of a contender that takes keys one by one where the others take bursts. */
export const oneByOne = (name: string): string => `${name}, one at a time`;
/** All of them in calls of bursts; those that cannot say so. */
export const inBursts: readonly Table[] = [
  ...several,
  ...single.map(([name, tracker, full]) => [oneByOne(name), tracker, full] as const),
];
/** DPDK's bulk lookup takes 64 keys at most (RTE_HASH_LOOKUP_BULK_MAX). */
export const atMost64 = (tables: readonly Table[]): Table[] =>
  tables.map(([name, tracker, full]) => [
    tracker === 'rte-hash-burst' ? `${name}, at most 64` : name,
    tracker,
    full,
  ]);

export const contenders = (tables: readonly Table[]): Axis => ({
  kind: 'zip',
  names: ['contender', 'tracker', 'fullPercent'],
  rows: tables,
});
/** Whether this tracker takes as many keys at once as it is told. */
export const takesSeveral = ({ tracker }: Params): boolean =>
  tracker === 'burst-table' || String(tracker).endsWith('-burst');

/** Of figures with rte_hash among the contenders. */
export const rteHashNote =
  'Cuckoo is DPDK’s rte_hash as the distribution builds it: for Debian 12 that is 22.11, compiled for a ' +
  'Core i7 of 2008 (SSE4.2), while the other tables are compiled for this processor; no newer DPDK can be installed there.';

/** Names in experiments/published. */
export const publishedTable: Readonly<Record<string, string>> = {
  cuckoo_rte_hash: 'Cuckoo',
  cuckoopp: 'Cuckoo++',
  hopscotch_tsl: 'HopScotch',
  robinhood_tsl: 'RobinMap',
  chaining_fastclick: 'Chaining',
  chaining_std: 'Chaining STL',
};
