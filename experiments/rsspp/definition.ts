// Experiment `rsspp`: what does rewriting the indirection table do for cores, latency and loss?
import { fewestValues } from '../core/statistics.js';
import type { Figure, Plan, RunOptions } from '../core/types.js';
import { claims } from './claims.js';
import { metrics } from './metrics.js';
import { throughput } from './chains.js';
import { type Scale } from './contenders.js';
import { imbalanceByCores, imbalanceByMethod, solver } from './imbalance.js';
import { drops, latency } from './load.js';
import { autoscale, migration, tableWrites, tap } from './moves.js';
import { state, stateGrowth } from './state.js';
import { bedPlan, bedTexts } from './testbed.js';
import { oneCoreGbps, published, shapes } from './published.js';
import { telling } from '../story/attach.js';
import { abstract, captions, stories } from './story.js';

// What fits two minutes at six values a point; the others run when asked for with --only.
const quickParts = ['latency', 'drops', 'imbalance-cores', 'migration', 'solver'];

function plan(options: RunOptions): Plan {
  if (options.bed !== undefined) return bedPlan(options, options.bed);
  const { profile } = options;
  const quick = profile === 'quick';
  const scale: Scale = quick
    ? { quick, seeds: fewestValues, seconds: 2, warmupSeconds: 1 }
    : { quick, seeds: 10, seconds: 5, warmupSeconds: 2 };
  return {
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.05,
          budgetSeconds: 120,
          trialSeconds: 1.4,
          warmup: { max: 0, drift: 0.05 },
        }
      : {
          name: 'full',
          blocks: { min: 3, max: 3 },
          precision: 0.02,
          budgetSeconds: 1500,
          warmup: { max: 1, drift: 0.05 },
        },
    parts: [
      latency(scale),
      drops(scale),
      imbalanceByCores(scale),
      imbalanceByMethod(scale),
      autoscale(scale),
      migration(scale),
      tableWrites(scale),
      throughput(scale, oneCoreGbps),
      solver(scale),
      state(scale),
      stateGrowth(scale),
      tap(scale),
    ],
    ...(quick ? { byDefault: quickParts } : {}),
  };
}

const contender = { param: 'contender', label: 'method' } as const;
const bars = (id: string, title: string, part: string, metric: string, facet?: string): Figure => ({
  id,
  title,
  part,
  kind: 'bar',
  category: contender,
  metric,
  ...(facet === undefined ? {} : { facet }),
});
const byLoad = { param: 'load', label: 'mean load of a core' } as const;
const byCores = { param: 'cores', label: 'cores' } as const;
// Small multiples by method: each has its own published values.
const lines = (
  id: string,
  title: string,
  part: string,
  metric: string,
  x: { param: string; label: string; scale?: 'log' },
  where?: Record<string, string>,
): Figure => ({
  id,
  title,
  part,
  kind: 'line',
  x,
  metric,
  series: 'contender',
  facet: 'contender',
  ...(where === undefined ? {} : { where }),
});

const boundsNote =
  'The two bounds are no balancers: one queue for all cores, as deep as theirs together, and each packet ' +
  'to the shortest of the same queues, whatever its flow. They have the room of the rings; a core that gives buckets away ' +
  'may have one more ring of packets inside, so a balancer can drop somewhat less than they do.';

export const rsspp = telling({ abstract, stories, captions })({
  name: 'rsspp',
  title: 'RSS++: moving buckets between cores by load',
  question:
    'What does it do to latency, drops, imbalance and the number of cores if the indirection table follows the load?',
  metrics,
  claims,
  shapes: shapes(),
  figures: [
    {
      ...lines('latency-p95', '95th percentile of latency', 'latency', 'p95Us', byLoad),
      note: boundsNote,
    },
    {
      ...lines('latency-p99', '99th percentile of latency', 'latency', 'p99Us', byLoad),
      note: boundsNote,
    },
    lines('latency-p50', 'Median latency', 'latency', 'p50Us', byLoad),
    {
      id: 'latency-samples',
      title: 'Every seed at a load of 0.82',
      part: 'latency',
      where: { load: 0.82 },
      kind: 'box',
      series: 'contender',
      metric: 'p95Us',
    },
    ...(['offered rate', 'core load'] as const).map((placing) => ({
      ...bars(
        `drops-${placing === 'offered rate' ? 'offered' : 'load'}`,
        `Packets dropped by speed of the replay (%), placed by ${placing}`,
        'drops',
        'dropKpps',
        'speedPercent',
      ),
      where: { placing },
      note: boundsNote,
    })),
    lines(
      'imbalance-campus',
      'Imbalance by cores, Campus',
      'imbalance-cores',
      'imbalancePercent',
      byCores,
      { trace: 'campus' },
    ),
    lines(
      'imbalance-campus4',
      'Imbalance by cores, Campus #4',
      'imbalance-cores',
      'imbalancePercent',
      byCores,
      { trace: 'campus4' },
    ),
    {
      id: 'floor',
      title: 'Imbalance that the heaviest bucket allows at least',
      part: 'imbalance-cores',
      where: { contender: 'ours' },
      kind: 'line',
      x: byCores,
      metric: 'floorPercent',
      series: 'trace',
    },
    bars(
      'imbalance-methods',
      'Imbalance at 8 cores',
      'imbalance-methods',
      'imbalancePercent',
      'trace',
    ),
    bars('autoscale', 'Cores in use under the ramp', 'autoscale', 'meanCores'),
    bars('autoscale-goodput', 'Packets served under the ramp', 'autoscale', 'goodputPercent'),
    ...(
      [
        ['fw-nat', 'firewall and NAT', 'fw+nat'],
        ['fw', 'firewall', 'fw'],
        ['dpi', 'firewall, NAT and DPI', 'fw+nat+dpi'],
      ] as const
    ).map(([id, what, chain]) => ({
      ...lines(
        `throughput-${id}`,
        `Throughput by cores, ${what}`,
        'throughput',
        'carriedGbps',
        byCores,
        { chain },
      ),
      note: 'The published rate of one core is an input here: it gives the cost of a packet. Only what more cores bring is an answer.',
    })),
    {
      id: 'solve-time',
      title: 'Time to solve an epoch',
      part: 'solver',
      kind: 'line',
      x: { param: 'entries', label: 'table entries', scale: 'log' },
      metric: 'solveUs',
      series: 'contender',
      facet: 'cores',
    },
    {
      id: 'solve-gap',
      title: 'Worst core above the lower bound when settled',
      part: 'solver',
      kind: 'line',
      x: { param: 'entries', label: 'table entries', scale: 'log' },
      metric: 'settledOverBoundPercent',
      series: 'contender',
      facet: 'cores',
    },
    {
      id: 'solve-moves',
      title: 'Moves per epoch',
      part: 'solver',
      kind: 'line',
      x: { param: 'entries', label: 'table entries', scale: 'log' },
      metric: 'movesPerEpoch',
      series: 'contender',
      facet: 'cores',
    },
    {
      id: 'hold',
      title: 'Longest hold under 100 moves per second',
      part: 'migration',
      kind: 'line',
      x: byLoad,
      metric: 'holdMaxUs',
      series: 'contender',
    },
    ...[1, 32].map((call) => ({
      ...lines(
        `state-${call}`,
        `Packets by cores, ${call === 1 ? 'one packet' : '32 packets'} a call`,
        'state',
        'mpps',
        byCores,
      ),
      where: { call },
    })),
    bars('state-growth', 'Two cores over one, by packets a call', 'state-growth', 'growth', 'call'),
    bars('tap', 'Imbalance of the queues of a live TAP', 'tap', 'imbalancePercent'),
    bars('table-writes', '99th percentile of latency by way of writing', 'table-writes', 'p99Us'),
    bars('table-write-losses', 'Packets lost to table writes', 'table-writes', 'writeLosses'),
  ],
  published,
  plan,
  bed: bedTexts,
  setup:
    'A port in virtual time. Flows drawn from the published statistics of the campus traces are hashed to 512 buckets; the table sends them to rings of 4,096 descriptors; cores poll 32 packets at a time and serve each in a fixed time. Counting, solving, table changes and the hand-over of buckets are the library’s own code. Their time is not part of the virtual clock, except where a part is about the time of a table write. Epochs last 100 ms; contenders named “10 to 100 ms” use 10 ms within a second of a core above 0.9. Traffic classes use 500 ms and begin on one core. A core that loses buckets takes its ring out without service, at an assumed 25 ns per packet, and may then have one more ring of packets inside.',
  limitations: [
    'Virtual time has no caches, buses or drivers; service times are fixed and equal for all packets of a part. Latencies include 58 µs for wire, tester and driver, the lower quartile of the published ones.',
    'The traces are not public. Flow sizes, rates and arrivals follow their published distributions; how a flow’s rate varies between epochs was not published, and decides how well one epoch’s counts predict the next.',
    'The speeds of the published drops have two readings that do not agree: offered rate over 22.1 Gbps (loads of 0.837 to 0.982), and mean load of the cores (0.94 to 1.09). Both are measured.',
    'The bounds keep no order of flows and need no table. They have the room of the rings, where a balancer may hold one more ring while buckets move.',
    'The clock of the published autoscale run is not known. A core carries 4.7 Gbps here, and the ramp is a sine of 1.7 to 17 Gbps; at 5.5 Gbps per core every method needs an eighth fewer cores.',
    'Chains cost what the published throughput of one core implies. Locks of a shared table and moving state between caches are not simulated; the part on state runs on real threads, so on at most two cores.',
    'Traffic classes @metron, single flows, spraying @sprayer and software dispatch are rebuilt from their published descriptions.',
    'The live part shares its processors with the sender: it tells how evenly packets arrive and in what order, not how late. The published run with the Linux kernel is not repeated.',
  ],
  references: [
    {
      key: 'rsspp',
      authors: ['T. Barbette', 'G. P. Katsikas', 'G. Q. Maguire Jr.', 'D. Kostić'],
      title: 'RSS++: Load and State-Aware Receive Side Scaling',
      venue: 'CoNEXT',
      year: 2019,
    },
    {
      key: 'sprayer',
      authors: ['H. Sadok', 'M. E. M. Campista', 'L. H. M. K. Costa'],
      title: 'A Case for Spraying Packets in Software Middleboxes',
      venue: 'HotNets',
      year: 2018,
    },
    {
      key: 'metron',
      authors: ['G. P. Katsikas', 'T. Barbette', 'D. Kostić', 'R. Steinert', 'G. Q. Maguire Jr.'],
      title: 'Metron: NFV Service Chains at the True Speed of the Underlying Hardware',
      venue: 'NSDI',
      year: 2018,
    },
  ],
});
