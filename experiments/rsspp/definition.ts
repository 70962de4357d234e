// Experiment `rsspp`: what does rewriting the indirection table do for cores, latency and loss?
import { fewestValues } from '../core/statistics.js';
import type { Experiment, Figure, Plan, RunOptions } from '../core/types.js';
import { claims } from './claims.js';
import { metrics } from './metrics.js';
import { autoscale, drops, imbalanceByCores, imbalanceByMethod, latency, migration, solver, state, tableWrites, tap, throughput, type Scale } from './parts.js';
import { oneCoreGbps, published, shapes } from './published.js';

// What fits two minutes at six values a point; the others run when asked for with --only.
const quickParts = ['latency', 'drops', 'imbalance-cores', 'migration', 'solver'];

function plan({ profile }: RunOptions): Plan {
  const quick = profile === 'quick';
  const scale: Scale = quick
    ? { quick, seeds: fewestValues, seconds: 2, warmupSeconds: 1 }
    : { quick, seeds: 10, seconds: 5, warmupSeconds: 2 };
  return {
    profile: quick
      ? { name: 'quick', blocks: { min: 3, max: 3 }, precision: 0.05, budgetSeconds: 120, warmup: { max: 0, drift: 0.05 } }
      : { name: 'full', blocks: { min: 3, max: 3 }, precision: 0.02, budgetSeconds: 1500, warmup: { max: 1, drift: 0.05 } },
    parts: [
      latency(scale), drops(scale), imbalanceByCores(scale), imbalanceByMethod(scale), autoscale(scale), migration(scale), tableWrites(scale),
      throughput(scale, oneCoreGbps), solver(scale), state(scale), tap(scale),
    ],
    ...(quick ? { byDefault: quickParts } : {}),
  };
}

const contender = { param: 'contender', label: 'method' } as const;
const bars = (id: string, title: string, part: string, metric: string, facet?: string): Figure => ({ id, title, part, kind: 'bar', category: contender, metric, ...(facet === undefined ? {} : { facet }) });
const byLoad = { param: 'load', label: 'mean load of a core' } as const;
const byCores = { param: 'cores', label: 'cores' } as const;
// Small multiples by method: each has its own published values.
const lines = (id: string, title: string, part: string, metric: string, x: { param: string; label: string; scale?: 'log' }, where?: Record<string, string>): Figure => ({
  id, title, part, kind: 'line', x, metric, series: 'contender', facet: 'contender', ...(where === undefined ? {} : { where }),
});

export const rsspp: Experiment = {
  name: 'rsspp',
  title: 'RSS++: moving buckets between cores by load',
  question: 'What do latency, loss, imbalance and the number of cores become when the indirection table follows the load?',
  metrics,
  claims,
  shapes: shapes(),
  figures: [
    lines('latency-p95', '95th percentile of latency', 'latency', 'p95Us', byLoad),
    lines('latency-p99', '99th percentile of latency', 'latency', 'p99Us', byLoad),
    lines('latency-p50', 'Median latency', 'latency', 'p50Us', byLoad),
    { id: 'latency-samples', title: 'Every seed at a load of 0.82', part: 'latency', where: { load: 0.82 }, kind: 'box', series: 'contender', metric: 'p95Us' },
    bars('drops', 'Packets dropped by speed of the replay (%)', 'drops', 'dropKpps', 'speedPercent'),
    lines('imbalance-campus', 'Imbalance by cores, Campus', 'imbalance-cores', 'imbalancePercent', byCores, { trace: 'campus' }),
    lines('imbalance-campus4', 'Imbalance by cores, Campus #4', 'imbalance-cores', 'imbalancePercent', byCores, { trace: 'campus4' }),
    { id: 'floor', title: 'Imbalance that the heaviest bucket allows at least', part: 'imbalance-cores', where: { contender: 'ours' }, kind: 'line', x: byCores, metric: 'floorPercent', series: 'trace' },
    bars('imbalance-methods', 'Imbalance at 8 cores', 'imbalance-methods', 'imbalancePercent', 'trace'),
    bars('autoscale', 'Cores in use under the ramp', 'autoscale', 'meanCores'),
    bars('autoscale-goodput', 'Packets served under the ramp', 'autoscale', 'goodputPercent'),
    lines('throughput-fw-nat', 'Throughput by cores, firewall and NAT', 'throughput', 'carriedGbps', byCores, { chain: 'fw+nat' }),
    lines('throughput-fw', 'Throughput by cores, firewall', 'throughput', 'carriedGbps', byCores, { chain: 'fw' }),
    lines('throughput-dpi', 'Throughput by cores, firewall, NAT and DPI', 'throughput', 'carriedGbps', byCores, { chain: 'fw+nat+dpi' }),
    { id: 'solve-time', title: 'Time to solve an epoch', part: 'solver', kind: 'line', x: { param: 'entries', label: 'table entries', scale: 'log' }, metric: 'solveUs', series: 'contender', facet: 'cores' },
    { id: 'solve-gap', title: 'Worst core above the lower bound when settled', part: 'solver', kind: 'line', x: { param: 'entries', label: 'table entries', scale: 'log' }, metric: 'settledOverBoundPercent', series: 'contender', facet: 'cores' },
    { id: 'solve-moves', title: 'Moves an epoch', part: 'solver', kind: 'line', x: { param: 'entries', label: 'table entries', scale: 'log' }, metric: 'movesPerEpoch', series: 'contender', facet: 'cores' },
    { id: 'hold', title: 'Longest hold under 100 moves a second', part: 'migration', kind: 'line', x: byLoad, metric: 'holdMaxUs', series: 'contender' },
    lines('state', 'Packets by cores, state per bucket or shared', 'state', 'mpps', byCores),
    bars('tap', 'Imbalance of the queues of a live TAP', 'tap', 'imbalancePercent'),
    bars('table-writes', '99th percentile of latency by way of writing', 'table-writes', 'p99Us'),
    bars('table-write-losses', 'Packets lost to table writes', 'table-writes', 'writeLosses'),
  ],
  published,
  plan,
  setup: 'A port in virtual time: flows drawn after the published statistics of the campus traces are hashed to 512 buckets, the table sends them to rings of 4096 descriptors, cores poll 32 packets at a time and serve each in a fixed time. Counting, solving, table changes and the hand-over of buckets run the library’s own code; the time they take is not part of the virtual clock, except where a part is about the time of a table write. Epochs last 100 ms; in the contender that says so 10 ms within a second of a core above 0.9; 500 ms for traffic classes. A core that loses buckets takes its ring out without service, at 25 ns a packet (an assumed price), and may then have one more ring of packets inside.',
  limitations: [
    'Virtual time: no caches, buses or drivers; service times are fixed and equal for all packets of a part.',
    'The traces cannot be had. Flow sizes, rates and arrivals are drawn after their published distributions; how a flow’s rate varies between epochs was not published and decides much about how well last epoch’s counts predict the next one.',
    'Latencies include 58 µs for wire, tester and driver: the lower quartile of the published ones.',
    'Load in the latency part is the published mean load of a core. The published drops are placed by offered rate over the 22.1 Gbps at which that system saturated, so 120, 130 and 140 % are loads of 0.837, 0.912 and 0.982. Placed by the published mean core load instead (about 0.94, 1.0 and 1.09) the ratios come out far lower: above a load of 1 every method must drop what cannot be served.',
    'The ratio of drops counts a run without a drop as one drop, so it is a lower bound.',
    'At 140 % no balancer reaches 8 times fewer drops than static RSS: bursts exceed what four cores can serve, and even one queue for all of them, as deep as theirs together, drops. That contender is the bound.',
    'The clock of the published autoscale run is not known; a core carries 4.7 Gbps here, as in the published throughput of one core with the same work, and the ramp is a sinus of 1.7 to 17 Gbps. The mean number of cores follows that choice: at 5.5 Gbps a core it is about an eighth lower for every method.',
    'Chains have the published one-core throughput as their cost. A shared table’s locks, as sprayed packets would need, are not simulated; nor is the cost of moving state between caches.',
    'Traffic classes, single flows, spraying and software dispatch are rebuilt from their published descriptions with the parameters of the published runs; a software dispatcher has a core of its own and takes 108 ns a packet.',
    'How far settling goes is measured with the load of an epoch kept constant; epochs of 20 ms bring more than a closer solution, as far as a flow’s rate in one epoch tells nothing of the next one: that is assumed, not published.',
    'State per bucket against a shared table runs on real threads, so with one and two cores; there is no port, so rates are above the published ones, and only how they grow compares. More cores are not simulated.',
    'The live part sends real packets through the kernel to threads that share the machine’s processors with the sender, so it tells how evenly and in what order they arrive, not how late. Where a network namespace, TAP or BPF is not allowed it is left out.',
    'The published run with the kernel is not repeated here.',
  ],
  references: [
    'T. Barbette, G. P. Katsikas, G. Q. Maguire Jr., D. Kostić. RSS++: load and state-aware receive side scaling. CoNEXT 2019.',
    'H. Sadok, M. E. M. Campista, L. H. M. K. Costa. A Case for Spraying Packets in Software Middleboxes. HotNets 2018.',
    'G. P. Katsikas, T. Barbette, D. Kostić, R. Steinert, G. Q. Maguire Jr. Metron: NFV Service Chains at the True Speed of the Underlying Hardware. NSDI 2018.',
  ],
};
