// `reframer bench conntrack`: flow trackers side by side, beside the rate of random cache lines over the same memory.
import type { Command } from 'commander';

import { counts, names, registerBench } from '../bench.js';
import { formatCount, formatFixed } from '../units.js';

interface Row {
  contender: string;
  workload: string;
  flows: number;
  threads: number;
  depth: number;
  /** Whether the memory of the next keys was asked for before these were worked on. */
  lookAhead: boolean;
  mops: number;
  mopsLow: number;
  mopsHigh: number;
  /** Null where no bound is measured: inserts and hostile. */
  boundMops: number | null;
  bytesPerFlow: number;
  /** Of one insert, in the insert workloads. */
  meanNs?: number;
  p999Ns?: number;
  p9999Ns?: number;
  maxNs?: number;
  /** Keys that found no room, in the workload `hostile`. */
  refusedPercent?: number;
}

export function register(program: Command): void {
  registerBench<Row>(program, {
    name: 'conntrack',
    description:
      'lookups a second of the burst table, rte_hash and Cuckoo++: hits, misses, hits in equal memory, a trace-like mix in a fresh and in a churned table, single inserts by load, hostile keys',
    quick: {
      says: '10 k and 1 M flows and one thread only, fewer rounds: wider intervals',
      spec: { quick: true },
    },
    lists: [
      counts('flows', 'flows in the table, such as 4M,16M'),
      counts(
        'threads',
        'threads, each with a table and a share of the flows of its own, such as 1,2',
      ),
      names('workloads', 'of hits, misses, equal-memory, trace, churned, inserts, hostile'),
      counts('depths', 'keys that every table takes at once, 1 to 256, such as 32,128'),
      counts(
        'lookAhead',
        '1: tables that can ask for the next keys before they work on these; 0: not, the default; such as 0,1',
        0,
      ),
      names('contenders', 'tables, such as burst-table,rte-hash-burst'),
    ],
    columns: [
      ['flows', (row) => formatCount(row.flows)],
      ['workload', (row) => row.workload],
      ['threads', (row) => String(row.threads)],
      ['contender', (row) => row.contender],
      ['keys at once', (row) => `${row.depth}${row.lookAhead ? ', and the next' : ''}`],
      ['M/s', (row) => formatFixed(row.mops, 1)],
      [
        '95 % interval',
        (row) => `${formatFixed(row.mopsLow, 1)} to ${formatFixed(row.mopsHigh, 1)}`,
      ],
      ['bound', (row) => formatFixed(row.boundMops, 0)],
      ['bytes/flow', (row) => formatFixed(row.bytesPerFlow, 1)],
      ['mean ns', (row) => formatFixed(row.meanNs, 0)],
      ['p99.9 ns', (row) => formatFixed(row.p999Ns, 0)],
      ['longest ns', (row) => formatFixed(row.maxNs, 0)],
      ['refused %', (row) => formatFixed(row.refusedPercent, 1)],
    ],
    caption:
      'bound: random cache lines over the memory of the first contender, 128 under way, same run, M/s; inserts are timed one by one; every table is asked for as many keys at once, rte_hash takes 64 at most',
  });
}
