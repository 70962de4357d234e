// The tables under their names in figures, and as the paper's result files call them.
import type { Axis } from '../core/types.js';

/** Name in figures, name of the tracker in native/src/conntrack/trackers, load in percent at which it grows or refuses. */
export type Table = readonly [contender: string, tracker: string, fullPercent: number];

const alone: Readonly<Record<string, Table>> = {
  burst: ['burst table', 'burst-table', 95],
  cuckoo: ['Cuckoo', 'rte-hash', 100],
  cuckoopp: ['Cuckoo++', 'cuckoopp', 100],
  // As far as this release of the maps lets them go before they double.
  hopscotch: ['HopScotch', 'hopscotch', 92.5],
  robin: ['RobinMap', 'robin', 92.5],
  chaining: ['Chaining', 'chaining', 100],
  stl: ['Chaining STL', 'chaining-stl', 100],
};

/** One key at a time, as in the paper; ours in bursts of 32, it has no other use. */
export const scalar: readonly Table[] = Object.values(alone);
/** Those whose structure lets a burst be taken apart, with prefetching. */
export const bursts: readonly Table[] = [
  ['burst table, look-ahead', 'burst-table-ahead', 95],
  ['Cuckoo, bursts', 'rte-hash-burst', 100],
  ['Cuckoo++, bursts', 'cuckoopp-burst', 100],
  ['Chaining, bursts', 'chaining-burst', 100],
];
export const everyTable: readonly Table[] = [...scalar, ...bursts];

export const contenders = (tables: readonly Table[]): Axis => ({ kind: 'zip', names: ['contender', 'tracker', 'fullPercent'], rows: tables });

/** Names in experiments/published. */
export const publishedTable: Readonly<Record<string, string>> = {
  cuckoo_rte_hash: 'Cuckoo',
  cuckoopp: 'Cuckoo++',
  hopscotch_tsl: 'HopScotch',
  robinhood_tsl: 'RobinMap',
  chaining_fastclick: 'Chaining',
  chaining_std: 'Chaining STL',
};
