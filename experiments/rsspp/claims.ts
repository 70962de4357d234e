// What the paper reports, what this balancer is to reach, and which point tells.
import { ownTarget as target, type Claim } from '../core/types.js';
import { dropLoads } from './load.js';
import { publishedDropShare, publishedGrowth } from './published.js';

const files = 'CoNEXT’19 result files';
const rss = { contender: 'static RSS' };
const ours = { contender: 'ours' };
const fast = { contender: 'ours, 10 to 100 ms' };
const exact = { tolerance: 0 } as const;
// One published run of a few seconds: a third more or less is the same.
const oneRun = 0.3;
// 8 times fewer.
const eighth = 12.5;

const times = (
  id: string,
  text: string,
  part: string,
  metric: string,
  load: number,
  contender: { contender: string },
  published: number,
  source: string,
): Claim => ({
  id,
  text,
  source,
  unit: 'times',
  published,
  tolerance: source === target ? 0 : oneRun,
  kind: source === target ? 'at-least' : 'near',
  measured: { part, metric, at: { load, ...contender }, versus: rss, as: 'times-less' },
});

const imbalance = (
  id: string,
  text: string,
  trace: string,
  contender: string,
  published: number,
  more: Partial<Claim> = {},
): Claim => ({
  id,
  text,
  source: `${files}, imbalance`,
  unit: '%',
  published,
  tolerance: 0.3,
  kind: 'near',
  measured: {
    part: 'imbalance-cores',
    metric: 'imbalancePercent',
    at: { trace, cores: 8, entries: 512, contender },
  },
  ...more,
});

const overload = 'above a load of 1 every method drops what cannot be served';

/** Share of static RSS's drops that a contender has left, with the same seeds. */
function dropClaims(speed: number, placing: string, load: number): Claim[] {
  const byLoad = placing === 'core load';
  const left = (
    id: string,
    contender: string,
    published: number,
    more: Pick<Claim, 'source' | 'tolerance' | 'kind'>,
  ): Claim => ({
    id: `drops-${speed}${byLoad ? '-load' : ''}${id}`,
    text: `Drops of ${contender} as a share of static RSS’s at ${speed} %, placed by ${placing}`,
    unit: '%',
    published,
    ...more,
    measured: {
      part: 'drops',
      metric: 'dropKpps',
      at: { load, contender },
      versus: rss,
      as: 'percent-of',
    },
    ...(load > 1 ? { why: { missed: overload, 'falls short': overload } } : {}),
  });
  const aim = { source: target, tolerance: 0, kind: 'at-most' } as const;
  return [
    left('-greedy', 'RSS++ greedy', Number(publishedDropShare(speed).toFixed(1)), {
      source: `${files}, loadvsdrop`,
      tolerance: oneRun,
      kind: 'near',
    }),
    left('', ours.contender, eighth, aim),
    left('-fast', fast.contender, eighth, aim),
  ];
}

export const claims: readonly Claim[] = [
  times(
    'p95-14x',
    '95th percentile of latency against static RSS at a mean load of 0.82',
    'latency',
    'p95Us',
    0.82,
    ours,
    13.9,
    `${files}, loadvslat, one run at 105 %`,
  ),
  times(
    'p95-14x-fast',
    'The 95th percentile again, ours with epochs of 10 ms while a core is busy',
    'latency',
    'p95Us',
    0.82,
    fast,
    14,
    target,
  ),
  times(
    'p95-greedy-fast',
    'The 95th percentile again, the greedy with epochs of 10 ms while a core is busy',
    'latency',
    'p95Us',
    0.82,
    { contender: 'RSS++ greedy, 10 to 100 ms' },
    14,
    target,
  ),
  times(
    'p95-greedy',
    'The 95th percentile again, the published greedy',
    'latency',
    'p95Us',
    0.82,
    { contender: 'RSS++ greedy' },
    13.9,
    `${files}, loadvslat, one run at 105 %`,
  ),
  ...dropLoads.flatMap(([speed, placing, load]) => dropClaims(speed, placing, load)),
  imbalance(
    'imbalance-rss-campus',
    'Imbalance of static RSS at 8 cores, Campus',
    'campus',
    'static RSS',
    458.09,
  ),
  imbalance(
    'imbalance-rss-campus4',
    'Imbalance of static RSS at 8 cores, Campus #4',
    'campus4',
    'static RSS',
    51,
  ),
  imbalance(
    'imbalance-greedy-campus4',
    'Imbalance of RSS++ at 8 cores, Campus #4',
    'campus4',
    'RSS++ greedy',
    14,
  ),
  imbalance(
    'imbalance-ours-campus4',
    'Imbalance of ours at 8 cores, Campus #4',
    'campus4',
    'ours',
    10,
    { source: target, ...exact, kind: 'at-most' },
  ),
  imbalance(
    'imbalance-ours-campus',
    'Imbalance of ours at 8 cores, Campus (the elephant’s floor stands beside it)',
    'campus',
    'ours',
    51,
    { source: target, ...exact, kind: 'at-most' },
  ),
  {
    id: 'cores-paper',
    text: 'Mean cores of the published rule under the ramp',
    source: `${files}, dynamicscale`,
    unit: 'cores',
    published: 3.5,
    tolerance: 0.1,
    kind: 'near',
    measured: {
      part: 'autoscale',
      metric: 'meanCores',
      at: { contender: 'greedy, published rule' },
    },
  },
  {
    id: 'cores-metron',
    text: 'Mean cores of traffic classes under the ramp',
    source: `${files}, dynamicscale`,
    unit: 'cores',
    published: 6.8,
    tolerance: 0.1,
    kind: 'near',
    measured: {
      part: 'autoscale',
      metric: 'meanCores',
      at: { contender: 'traffic classes, 500 ms' },
    },
  },
  {
    id: 'cores-ours',
    text: 'Mean cores of ours under the ramp',
    source: target,
    unit: 'cores',
    published: 3.2,
    ...exact,
    kind: 'at-most',
    measured: { part: 'autoscale', metric: 'meanCores', at: ours },
  },
  {
    id: 'cores-turns',
    text: 'Turns between adding and giving back cores in the ramp',
    source: target,
    unit: '',
    published: 2,
    ...exact,
    kind: 'at-most',
    measured: { part: 'autoscale', metric: 'reversals', at: ours },
  },
  {
    id: 'cores-goodput',
    text: 'Offered packets served by ours during the ramp',
    source: target,
    unit: '%',
    published: 99.9,
    ...exact,
    kind: 'at-least',
    measured: { part: 'autoscale', metric: 'goodputPercent', at: ours },
  },
  {
    id: 'hand-over-lost',
    text: 'Packets lost under 100 moves a second',
    source: target,
    unit: '',
    published: 0,
    ...exact,
    kind: 'near',
    measured: {
      part: 'migration',
      metric: 'lost',
      at: { load: 0.7, contender: 'announced, polls of 8' },
    },
  },
  {
    id: 'hand-over-order',
    text: 'Packets out of order under 100 moves a second',
    source: target,
    unit: '',
    published: 0,
    ...exact,
    kind: 'near',
    measured: {
      part: 'migration',
      metric: 'reordered',
      at: { load: 0.7, contender: 'announced, polls of 8' },
    },
  },
  {
    id: 'tap-lost',
    text: 'Packets lost between the kernel’s queues and the cores of a live TAP',
    source: target,
    unit: '',
    published: 0,
    ...exact,
    kind: 'near',
    measured: { part: 'tap', metric: 'lost', at: ours },
  },
  {
    id: 'tap-order',
    text: 'Packets out of order on a live TAP while buckets move',
    source: target,
    unit: '',
    published: 0,
    ...exact,
    kind: 'near',
    measured: { part: 'tap', metric: 'reordered', at: ours },
  },
  {
    id: 'hand-over-hold',
    text: 'Longest hold under 100 moves a second, load 0.5',
    source: target,
    unit: 'µs',
    published: 200,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'migration',
      metric: 'holdMaxUs',
      at: { load: 0.5, contender: 'passed through' },
    },
  },
  {
    id: 'hand-over-hold-overloaded',
    text: 'Longest hold under 100 moves a second, load 0.7: some cores of static RSS are overloaded',
    source: target,
    unit: 'µs',
    published: 200,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'migration',
      metric: 'holdMaxUs',
      at: { load: 0.7, contender: 'announced, polls of 8' },
    },
  },
  {
    id: 'solve-16',
    text: 'Time to solve 512 buckets on 16 cores',
    source: target,
    unit: 'µs',
    published: 20,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'solver',
      metric: 'solveUs',
      at: { entries: 512, cores: 16, contender: 'ours' },
    },
  },
  {
    id: 'solve-64',
    text: 'Time to solve 512 buckets on 64 cores',
    source: target,
    unit: 'µs',
    published: 100,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'solver',
      metric: 'solveUs',
      at: { entries: 512, cores: 64, contender: 'ours' },
    },
  },
  {
    id: 'gap-16',
    text: 'Worst core above the lower bound when settled, 512 buckets on 16 cores',
    source: target,
    unit: '%',
    published: 1,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'solver',
      metric: 'settledOverBoundPercent',
      at: { entries: 512, cores: 16, contender: 'ours' },
    },
  },
  {
    id: 'state-2',
    text: 'Growth from one core to two with state per bucket, against that with a locked table; 32 packets a call in both',
    source: `${files}, migration`,
    unit: '% more',
    published: Number(((publishedGrowth() - 1) * 100).toFixed(1)),
    tolerance: 0.5,
    kind: 'near',
    measured: {
      part: 'state-growth',
      metric: 'growth',
      at: { call: 32, contender: 'per bucket' },
      versus: { contender: 'shared, locked' },
    },
  },
  {
    id: 'state',
    text: 'State per bucket against a locked shared table at 4 cores',
    source: `${files}, migration`,
    unit: 'times',
    published: 1.17,
    tolerance: 0.1,
    kind: 'near',
    untestable:
      'contention of four cores for a lock is not simulated, and an extrapolation would assume the answer',
  },
  {
    id: 'kernel',
    text: 'Throughput and round-trip time of the Linux version over 18 cores',
    source: `${files}, heatmap`,
    unit: 'µs',
    published: 394,
    tolerance: 0.1,
    kind: 'near',
    untestable: 'needs a network interface with RSS, its driver’s hash in XDP, and TCP end points',
  },
];
