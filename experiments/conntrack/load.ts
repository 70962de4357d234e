// Cycles of lookups and inserts by load, in tables of fixed size.
import { readPublished } from '../core/published.js';
import type { Axis, Claim, Figure, Part, PublishedRow, ShapeClaim } from '../core/types.js';
import { paperFiles, target, type Scale, type Section } from './section.js';
import {
  atMost64,
  burst,
  contenders,
  depths,
  everyTable,
  publishedTable,
  rteHashNote,
  several,
} from './tables.js';

const part = 'load';
const burstPart = 'load-bursts';
const claimSlots = 2 ** 20;

const slotsOf = ({ quick }: Scale): Axis => ({
  kind: 'list',
  name: 'slots',
  values: quick ? [claimSlots] : [17, 19, 20, 21, 22, 24].map((bits) => 2 ** bits),
});

function filling({
  quick,
}: Scale): Pick<Part, 'job' | 'contenders' | 'spec' | 'headline' | 'metrics' | 'unfold'> {
  const step = quick ? 10 : 2.5;
  const loads = Array.from({ length: Math.floor(100 / step) }, (_, i) => (i + 1) * step);
  return {
    job: 'conntrack-load',
    contenders: { axis: 'contender', baseline: 'Cuckoo++' },
    spec: (p) => ({
      contender: String(p.tracker),
      slots: Number(p.slots),
      stepPercent: step,
      toPercent: Number(p.fullPercent),
      lookups: quick ? 2 ** 15 : 2 ** 16,
      depth: Number(p.depth ?? 1),
    }),
    headline: 'lookupCycles',
    metrics: ['lookupCycles', 'missCycles', 'insertCycles', 'insertOver50', 'insertP999Ns'],
    unfold: loads.map((percent) => ({
      params: { loadPercent: percent },
      path: `at.${String(percent).replace('.', '_')}`,
    })),
  };
}

const load = (scale: Scale): Part => ({
  ...filling(scale),
  name: part,
  title: 'Cycles by load, one key at a time',
  question: 'What do a lookup and an insert cost as the table fills?',
  axes: [slotsOf(scale), contenders(everyTable)],
});

const loadInBursts = (scale: Scale): Part => ({
  ...filling(scale),
  name: burstPart,
  title: 'Cycles by load, several keys at once',
  question:
    'What do a lookup and an insert cost if every table prefetches many keys before it needs the first?',
  axes: [
    slotsOf(scale),
    { kind: 'list', name: 'depth', values: scale.quick ? [burst] : depths.filter((d) => d > 1) },
    contenders(atMost64(several)),
  ],
});

const byLoad = { param: 'loadPercent', label: 'load (%)' } as const;
const figure = (id: string, title: string, metric: string): Figure => ({
  id,
  title: `${title}, one key at a time`,
  part,
  kind: 'line',
  where: { slots: claimSlots },
  x: byLoad,
  metric,
  series: 'contender',
  facet: 'contender',
  note: rteHashNote,
});
const burstFigure = (id: string, title: string, metric: string): Figure => ({
  id,
  title: `${title}, several keys at once`,
  part: burstPart,
  kind: 'line',
  where: { slots: claimSlots },
  x: byLoad,
  metric,
  series: 'contender',
  facet: 'depth',
  note: rteHashNote,
});

const at = (contender: string, loadPercent: number): Record<string, string | number> => ({
  slots: claimSlots,
  contender,
  loadPercent,
});

/** Cycles of another processor generation: half and double still count as the same. */
const inPath = 'published inside a packet’s path, on another processor';

const near = (
  id: string,
  contender: string,
  metric: 'lookupCycles' | 'insertCycles',
  loadPercent: number,
  published: number,
): Claim => ({
  id,
  text: `${metric === 'lookupCycles' ? 'Lookup' : 'Insert'} in ${contender} at ${loadPercent} % load`,
  source: `${paperFiles}, single_thread_avgload`,
  unit: 'cycles',
  published,
  tolerance: 0.5,
  kind: 'near',
  measured: { part, metric, at: at(contender, loadPercent) },
  why: {
    exceeds: inPath,
    'falls short': inPath,
  },
});

const claims: readonly Claim[] = [
  near('lookup-cuckoopp-50', 'Cuckoo++', 'lookupCycles', 50, 52),
  near('lookup-hopscotch-50', 'HopScotch', 'lookupCycles', 50, 62),
  near('lookup-cuckoo-50', 'Cuckoo', 'lookupCycles', 50, 107),
  near('lookup-chaining-50', 'Chaining', 'lookupCycles', 50, 102),
  near('lookup-stl-50', 'Chaining STL', 'lookupCycles', 50, 152),
  near('insert-cuckoopp-50', 'Cuckoo++', 'insertCycles', 50, 73),
  near('insert-cuckoo-50', 'Cuckoo', 'insertCycles', 50, 187),
  near('insert-chaining-50', 'Chaining', 'insertCycles', 50, 351),
  near('insert-cuckoopp-90', 'Cuckoo++', 'insertCycles', 90, 258),
  near('insert-cuckoo-90', 'Cuckoo', 'insertCycles', 90, 639),
  near('insert-robin-90', 'RobinMap', 'insertCycles', 90, 1188),
  {
    id: 'insert-ours-90',
    text: 'Mean insert of the burst table at 90 % load over that at 50 %, bursts of 32',
    source: target,
    unit: 'times',
    published: 1.5,
    tolerance: 0,
    kind: 'at-most',
    measured: {
      part: burstPart,
      metric: 'insertOver50',
      at: { ...at('burst table', 90), depth: burst },
    },
    why: { missed: 'in a full page an insert first moves flows to their other lines' },
  },
  {
    id: 'insert-ours-p999',
    text: 'Slowest insert but one in a thousand of the burst table at 90 % load',
    source: target,
    unit: 'ns',
    published: 2000,
    tolerance: 0,
    kind: 'at-most',
    measured: {
      part: burstPart,
      metric: 'insertP999Ns',
      at: { ...at('burst table', 90), depth: burst },
    },
  },
];

function published(): PublishedRow[] {
  return readPublished('conntrack-cycles.csv').rows.flatMap((row) =>
    (['lookupCycles', 'insertCycles'] as const).map((metric) => ({
      part,
      params: {
        contender: publishedTable[String(row.table)] ?? '',
        loadPercent: Number(row.loadPercent),
      },
      metric,
      value: Number(row[metric]),
    })),
  );
}

/** Cycles of a table by load over those at 10 %: the speed of the machine cancels out. */
function byFill(
  metric: 'lookupCycles' | 'insertCycles',
  file: string,
  contender: string,
): ShapeClaim {
  const { rows } = readPublished('conntrack-cycles.csv');
  const value = (percent: number): number =>
    Number(rows.find((row) => row.table === file && row.loadPercent === percent)?.[metric]);
  const what = metric === 'lookupCycles' ? 'A lookup' : 'An insert';
  return {
    id: `shape-${metric === 'lookupCycles' ? 'lookup' : 'insert'}-${file}`,
    text: `${what} in ${contender} by load over that at 10 %`,
    source: `${paperFiles}, single_thread_avgload`,
    tolerance: 0.25,
    part,
    metric,
    from: { at: at(contender, 10), published: value(10) },
    steps: [50, 70, 90].map((percent) => ({
      label: `${percent} %`,
      at: at(contender, percent),
      published: value(percent),
    })),
  };
}

export const loadSection: Section = {
  parts: (scale) => [load(scale), loadInBursts(scale)],
  metrics: [
    {
      key: 'lookupCycles',
      label: 'lookup',
      unit: 'cycles',
      direction: 'lower',
      path: 'lookupCycles',
      digits: 0,
      gate: true,
    },
    {
      key: 'missCycles',
      label: 'lookup of an absent key',
      unit: 'cycles',
      direction: 'lower',
      path: 'missCycles',
      digits: 0,
    },
    {
      key: 'insertCycles',
      label: 'insert',
      unit: 'cycles',
      direction: 'lower',
      path: 'insertCycles',
      digits: 0,
      gate: true,
    },
    {
      key: 'insertOver50',
      label: 'insert over that at 50 % load',
      unit: 'times',
      direction: 'lower',
      path: 'insertOver50',
      digits: 2,
    },
    {
      key: 'insertP999Ns',
      label: '99.9th percentile of an insert',
      unit: 'ns',
      direction: 'lower',
      path: 'insertP999Ns',
      digits: 0,
    },
  ],
  figures: [
    figure('load-lookup', 'A lookup by load', 'lookupCycles'),
    figure('load-insert', 'An insert by load', 'insertCycles'),
    figure('load-miss', 'A lookup of an absent key by load', 'missCycles'),
    figure('load-insert-tail', '99.9th percentile of an insert by load', 'insertP999Ns'),
    burstFigure('load-bursts-lookup', 'A lookup by load', 'lookupCycles'),
    burstFigure('load-bursts-insert', 'An insert by load', 'insertCycles'),
    {
      id: 'load-size',
      title: 'A lookup at 50 % load by size, one key at a time',
      part,
      kind: 'line',
      where: { loadPercent: 50 },
      x: { param: 'slots', label: 'slots', scale: 'log' },
      metric: 'lookupCycles',
      series: 'contender',
    },
  ],
  claims,
  shapes: [
    byFill('lookupCycles', 'cuckoopp', 'Cuckoo++'),
    byFill('lookupCycles', 'chaining_fastclick', 'Chaining'),
    byFill('insertCycles', 'cuckoopp', 'Cuckoo++'),
  ],
  published,
};
