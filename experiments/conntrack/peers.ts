// Lookups a second against tables of today, where this build has them.
import type { BarFigure, LineFigure, Part } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';
import {
  atMost64,
  contenders,
  depths,
  rteHashNote,
  several,
  takesSeveral,
  type Table,
} from './tables.js';

const part = 'peers';
const mostAtOnce = Math.max(...depths);

/**
 * Fullness does not matter here: tables are made for the flows. What is not installed is left out;
 * set-up installs what Debian has. The last two take one key at a time, so they stand at depth 1 only.
 */
const tables: readonly Table[] = [
  ...atMost64(several),
  ['absl::flat_hash_map', 'absl-flat-burst', 100],
  ['boost::unordered_flat_map', 'boost-flat', 100],
  ['Concurrency Kit', 'ck-ht', 100],
];

function rates({ quick }: Scale): Part {
  return {
    name: part,
    title: 'Against tables of today',
    question:
      'How many lookups per second does one thread do, by workload, flows and keys at once?',
    job: 'conntrack-rate',
    axes: [
      {
        kind: 'list',
        name: 'workload',
        values: quick ? ['hits', 'trace'] : ['hits', 'misses', 'trace'],
      },
      { kind: 'list', name: 'flows', values: quick ? [1_000_000] : [10_000, 1_000_000, 4_000_000] },
      { kind: 'list', name: 'depth', values: quick ? [mostAtOnce] : depths },
      contenders(tables),
    ],
    where: (p) => p.depth === 1 || takesSeveral(p),
    contenders: { axis: 'contender', baseline: 'Cuckoo++' },
    spec: (p) => ({
      contender: String(p.tracker),
      workload: String(p.workload),
      flows: Number(p.flows),
      depth: Number(p.depth),
      quick,
    }),
    headline: 'mops',
    metrics: ['mops', 'boundMops', 'depth', 'rateBytesPerFlow', 'hugePercent'],
  };
}

const against = (
  workload: string,
  text: string,
  flows: number,
  published: number,
): Section['claims'][number] => ({
  id: `peers-${workload}-${flows / 1e6}m`,
  text: `${text}, ${flows / 1e6} M flows, against Cuckoo++ at the same depth of ${mostAtOnce} keys`,
  source: target,
  unit: '% more',
  published,
  tolerance: 0,
  kind: 'at-least',
  measured: {
    part,
    metric: 'mops',
    at: { workload, flows, depth: mostAtOnce, contender: 'burst table' },
    versus: { contender: 'Cuckoo++' },
  },
  ...(workload === 'misses'
    ? { why: { missed: 'both read one line for a miss, and Cuckoo++ computes less' } }
    : {}),
});

const workloads = [
  ['hits', 'Lookups that hit'],
  ['misses', 'Lookups that miss'],
  ['trace', 'A mix like a trace: popular flows, new and ended ones'],
] as const;
const pagesNote =
  'Maps that allocate by themselves lie on 4 KiB pages, the other tables on huge ones where the kernel ' +
  'gives them; the share is in the table.';

const byDepth = ([workload, title]: (typeof workloads)[number]): LineFigure => ({
  id: `peers-${workload}`,
  title: `${title}, by keys at once`,
  part,
  where: { workload },
  kind: 'line',
  x: { param: 'depth', label: 'keys at once', scale: 'log' },
  metric: 'mops',
  series: 'contender',
  facet: 'flows',
  note: `Every table takes as many keys at once. ${rteHashNote} ${pagesNote}`,
});
const deepest = ([workload, title]: (typeof workloads)[number]): BarFigure => ({
  id: `peers-${workload}-deep`,
  title: `${title}, ${mostAtOnce} keys at once`,
  part,
  where: { workload, depth: mostAtOnce },
  kind: 'bar',
  category: { param: 'contender', label: 'table' },
  metric: 'mops',
  facet: 'flows',
});

export const peersSection: Section = {
  parts: (scale) => [rates(scale)],
  metrics: [
    {
      key: 'mops',
      label: 'lookups',
      unit: 'M/s',
      direction: 'higher',
      path: 'row.mops',
      digits: 1,
      gate: true,
    },
    {
      key: 'boundMops',
      label: 'random cache lines',
      unit: 'M/s',
      direction: 'neutral',
      path: 'row.boundMops',
      digits: 0,
    },
    {
      key: 'depth',
      label: 'keys really taken at once',
      unit: '',
      direction: 'neutral',
      path: 'row.depth',
      digits: 0,
    },
    {
      key: 'rateBytesPerFlow',
      label: 'memory',
      unit: 'bytes per flow',
      direction: 'lower',
      path: 'row.bytesPerFlow',
      digits: 1,
    },
    {
      key: 'hugePercent',
      label: 'memory on huge pages',
      unit: '%',
      direction: 'neutral',
      path: 'row.hugeShare',
      scale: 100,
      digits: 0,
    },
  ],
  figures: [...workloads.map(byDepth), ...workloads.map(deepest)],
  claims: [
    against('hits', 'Hits', 1_000_000, 100),
    against('hits', 'Hits', 4_000_000, 100),
    against('misses', 'Misses', 4_000_000, 200),
    against('trace', 'Mix like a trace', 1_000_000, 100),
    against('trace', 'Mix like a trace', 4_000_000, 100),
  ],
  published: () => [],
};
