// Several threads and one flow table, by the way they share it.
import { availableParallelism } from 'node:os';

import { readPublished } from '../core/published.js';
import type { Axis, Part, PublishedRow } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';
import { oneByOne, publishedTable, rteHashNote } from './tables.js';

const part = 'threads';
const ourWay = 'burst table, bucket locks';

/** Name of the way in figures, table, sharing. Operations come in bursts of 32; who cannot take them so says it. */
type Way = readonly [way: string, tracker: string, sharing: string];
const few: readonly Way[] = [
  [ourWay, 'burst-table', 'concurrent'],
  ['burst table, sharded', 'burst-table', 'sharded'],
  ['Cuckoo, sharded', 'rte-hash-burst', 'sharded'],
  ['Cuckoo, lock-free', 'rte-hash-burst', 'concurrent'],
  ['Cuckoo, reader-writer lock', 'rte-hash-burst', 'rwlock'],
  ['Cuckoo, spinlock', 'rte-hash-burst', 'spinlock'],
  ['Cuckoo, mutex', 'rte-hash-burst', 'mutex'],
];
const all: readonly Way[] = [
  ...few,
  ['burst table, mutex', 'burst-table', 'mutex'],
  ['Cuckoo++, sharded', 'cuckoopp-burst', 'sharded'],
  ['Chaining, sharded', 'chaining-burst', 'sharded'],
  ['Chaining, striped locks', 'chaining-burst', 'striped'],
  [oneByOne('HopScotch, sharded'), 'hopscotch', 'sharded'],
  [oneByOne('RobinMap, sharded'), 'robin', 'sharded'],
  [oneByOne('Chaining STL, sharded'), 'chaining-stl', 'sharded'],
  [oneByOne('Concurrency Kit, sharded'), 'ck-ht', 'sharded'],
  [oneByOne('libcuckoo'), 'libcuckoo', 'concurrent'],
  [oneByOne('oneTBB'), 'tbb', 'concurrent'],
  [oneByOne('liburcu'), 'urcu-lfht', 'concurrent'],
];

/** One, two, four, ... up to the cores of this machine. */
const threadCounts = (): number[] =>
  Array.from({ length: 5 }, (_, i) => 2 ** i).filter((n) => n <= availableParallelism());
const named = (way: string, threads: number): string =>
  `${way}, ${threads} thread${threads === 1 ? '' : 's'}`;
const one = named(ourWay, 1);

function threads({ quick }: Scale): Part {
  const rows = (quick ? few : all).flatMap(([way, tracker, sharing]) =>
    threadCounts().map((n) => [named(way, n), way, tracker, sharing, n] as const),
  );
  const axis: Axis = {
    kind: 'zip',
    names: ['contender', 'way', 'tracker', 'sharing', 'threads'],
    rows,
  };
  return {
    name: part,
    title: 'Threads by way of sharing',
    question:
      'How many operations per second do threads reach on one flow table, and what does an insert cost?',
    job: 'conntrack-threads',
    axes: [{ kind: 'list', name: 'writePercent', values: quick ? [5] : [5, 50] }, axis],
    contenders: { axis: 'contender', baseline: one },
    spec: (p) => ({
      contender: String(p.tracker),
      sharing: String(p.sharing),
      threads: Number(p.threads),
      writePercent: Number(p.writePercent),
      flows: quick ? 200_000 : 1_000_000,
      operations: quick ? 400_000 : 2_000_000,
    }),
    headline: 'operationsMops',
    metrics: ['operationsMops', 'sharedInsertCycles', 'sharedLookupCycles'],
  };
}

const scaling = (writePercent: number): Section['claims'][number] => ({
  id: `threads-${writePercent}`,
  text: `Burst table shared by two threads against one, ${writePercent} % writes`,
  source: target,
  unit: '% more',
  published: 80,
  tolerance: 0,
  kind: 'at-least',
  measured: {
    part,
    metric: 'operationsMops',
    at: { writePercent, contender: named(ourWay, 2) },
    versus: { contender: one },
  },
});

const sharingOf: Readonly<Record<string, string>> = {
  sharded_per_core: 'sharded',
  shared_rte_hash_lockfree: 'lock-free',
  shared_rte_hash_rwlock: 'reader-writer lock',
  shared_rte_hash_global_spinlock: 'spinlock',
  shared_rte_hash_std_shared_mutex: 'mutex',
  shared_chaining_bucket_rwlock: 'striped locks',
};

/** The way of ours that a published row stands beside. */
function wayOf(table: string, sharing: string): string {
  const name = `${publishedTable[table] ?? ''}, ${sharingOf[sharing] ?? ''}`;
  return all.some(([way]) => way === name) ? name : oneByOne(name);
}

function published(): PublishedRow[] {
  return readPublished('conntrack-multi-core.csv').rows.map((row) => ({
    // One new flow in 31 packets: 3 % writes. Beside half writes the published mix has no place.
    part,
    params: {
      writePercent: 5,
      way: wayOf(String(row.table), String(row.sharing)),
      threads: Number(row.cores),
    },
    metric: 'operationsMops',
    value: Number(row.throughputMpps),
  }));
}

const byThreads = { param: 'threads', label: 'threads (published: cores)' } as const;

export const threadsSection: Section = {
  parts: (scale) => [threads(scale)],
  metrics: [
    {
      key: 'operationsMops',
      label: 'operations',
      unit: 'M/s',
      direction: 'higher',
      path: 'mops',
      digits: 1,
      gate: true,
    },
    {
      key: 'sharedInsertCycles',
      label: 'insert',
      unit: 'cycles',
      direction: 'lower',
      path: 'insertCycles',
      digits: 0,
    },
    {
      key: 'sharedLookupCycles',
      label: 'lookup',
      unit: 'cycles',
      direction: 'lower',
      path: 'lookupCycles',
      digits: 0,
    },
  ],
  figures: [
    {
      id: 'threads-ways',
      title: 'Operations by way of sharing, 5 % writes',
      part,
      where: { writePercent: 5 },
      kind: 'bar',
      category: { param: 'way', label: 'way of sharing' },
      metric: 'operationsMops',
      facet: 'threads',
      note: rteHashNote,
    },
    ...[5, 50].map((writePercent) => ({
      id: `threads-${writePercent}`,
      title: `Operations by threads, ${writePercent} % writes`,
      part,
      where: { writePercent },
      kind: 'line' as const,
      x: byThreads,
      metric: 'operationsMops',
      series: 'way',
      facet: 'way',
      publishedBeyond: true,
      note: rteHashNote,
    })),
    {
      id: 'threads-insert',
      title: 'An insert by threads, 5 % writes',
      part,
      where: { writePercent: 5 },
      kind: 'line',
      x: byThreads,
      metric: 'sharedInsertCycles',
      series: 'way',
      facet: 'way',
    },
  ],
  claims: [
    scaling(5),
    scaling(50),
    {
      id: 'threads-published-spinlock',
      text: 'Cuckoo behind a spinlock at 8 cores against one',
      source: 'HPSR’21 result files, multi_thread',
      unit: '% more',
      published: -56.4,
      tolerance: 0.2,
      kind: 'near',
      untestable: 'needs eight cores; two show whether it falls at all, see the figure',
    },
  ],
  published,
};
