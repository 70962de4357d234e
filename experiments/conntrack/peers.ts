// Lookups a second against tables of today, where this build has them.
import type { Part } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';
import { bursts, contenders, type Table } from './tables.js';

const part = 'peers';
const ours = 'burst table, long calls';

/** Fullness does not matter here: tables are made for the flows. What is not installed is left out. */
const modern: readonly Table[] = [
  ['burst table', 'burst-table', 100], [ours, 'burst-table-long', 100], ['absl::flat_hash_map', 'absl-flat', 100], ['absl::flat_hash_map, bursts', 'absl-flat-burst', 100], ['boost::unordered_flat_map', 'boost-flat', 100],
  ['Concurrency Kit', 'ck-ht', 100],
];

function rates({ quick }: Scale): Part {
  return {
    name: part, title: 'Against tables of today', question: 'How many lookups a second does one thread do, by workload and flows?', job: 'conntrack-rate',
    axes: [
      { kind: 'list', name: 'workload', values: quick ? ['hits', 'trace'] : ['hits', 'misses', 'trace'] },
      { kind: 'list', name: 'flows', values: quick ? [1_000_000] : [10_000, 1_000_000, 4_000_000] },
      contenders([...modern, ...bursts]),
    ],
    contenders: { axis: 'contender', baseline: 'Cuckoo++, bursts' },
    spec: (p) => ({ contender: String(p.tracker), workload: String(p.workload), flows: Number(p.flows), quick: true }),
    headline: 'mops', metrics: ['mops', 'boundMops', 'depth', 'rateBytesPerFlow'],
  };
}

const against = (workload: string, text: string, flows: number, published: number): Section['claims'][number] => ({
  id: `peers-${workload}-${flows / 1e6}m`, text: `${text}, ${flows / 1e6} M flows, against batched Cuckoo++`, source: target, unit: '% more', published, tolerance: 0, kind: 'at-least',
  measured: { part, metric: 'mops', at: { workload, flows, contender: ours }, versus: { contender: 'Cuckoo++, bursts' } },
});

export const peersSection: Section = {
  parts: (scale) => [rates(scale)],
  metrics: [
    { key: 'mops', label: 'lookups', unit: 'M/s', direction: 'higher', path: 'row.mops', digits: 1, gate: true },
    { key: 'boundMops', label: 'random cache lines', unit: 'M/s', direction: 'neutral', path: 'row.boundMops', digits: 0 },
    { key: 'depth', label: 'keys under way', unit: '', direction: 'neutral', path: 'row.depth', digits: 0 },
    { key: 'rateBytesPerFlow', label: 'memory', unit: 'bytes a flow', direction: 'lower', path: 'row.bytesPerFlow', digits: 1 },
  ],
  figures: [
    { id: 'peers-hits', title: 'Lookups that hit', part, where: { workload: 'hits' }, kind: 'bar', category: { param: 'contender', label: 'table' }, metric: 'mops', facet: 'flows' },
    { id: 'peers-misses', title: 'Lookups that miss', part, where: { workload: 'misses' }, kind: 'bar', category: { param: 'contender', label: 'table' }, metric: 'mops', facet: 'flows' },
    { id: 'peers-trace', title: 'A mix like a trace: popular flows, new and ended ones', part, where: { workload: 'trace' }, kind: 'bar', category: { param: 'contender', label: 'table' }, metric: 'mops', facet: 'flows' },
  ],
  claims: [
    against('hits', 'Hits', 1_000_000, 100), against('hits', 'Hits', 4_000_000, 100), against('misses', 'Misses', 4_000_000, 200), against('trace', 'Mix like a trace', 1_000_000, 100),
    against('trace', 'Mix like a trace', 4_000_000, 100),
  ],
  published: () => [],
};
