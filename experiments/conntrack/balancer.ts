// The paper's network function on one core: a load balancer over each table.
import { readPublished } from '../core/published.js';
import type { Axis, Claim, Part, PublishedRow } from '../core/types.js';
import { paperFiles, type Scale, type Section } from './section.js';
import { burst, contenders, everyTable, publishedTable, rteHashNote, several } from './tables.js';

const part = 'balancer';
const burstPart = 'balancer-bursts';

/** Name, packets a new flow, flows that send, how full the table is before: after the paper's counts. */
const traces = [
  ['campus', 31, 300_000, 60],
  ['caida', 8, 1_000_000, 75],
] as const;

const byTrace: Axis = {
  kind: 'zip',
  names: ['trace', 'packetsPerNew', 'liveFlows', 'fillPercent'],
  rows: traces,
};

function balancing(
  { quick }: Scale,
  depth: number,
): Pick<Part, 'job' | 'spec' | 'headline' | 'metrics'> {
  const slots = quick ? 2 ** 19 : 2 ** 22;
  return {
    job: 'conntrack-lb',
    spec: (p) => ({
      contender: String(p.tracker),
      packetsPerNew: Number(p.packetsPerNew),
      slots,
      fillPercent: Number(p.fillPercent),
      packets: quick ? 200_000 : 2_000_000,
      liveFlows: Number(p.liveFlows) * (quick ? 0.125 : 1),
      depth,
    }),
    headline: 'mpps',
    metrics: ['mpps', 'cyclesPerPacket', 'loadPercent'],
  };
}

const balancer = (scale: Scale): Part => ({
  ...balancing(scale, 1),
  name: part,
  title: 'A load balancer on one core, one key at a time',
  question:
    'How many packets per second does one core balance over ten servers, with one new flow in 31 packets (Campus) or in 8 (CAIDA)?',
  axes: [byTrace, contenders(everyTable)],
  contenders: { axis: 'contender', baseline: 'Chaining STL' },
});

const balancerInBursts = (scale: Scale): Part => ({
  ...balancing(scale, burst),
  name: burstPart,
  title: 'The same load balancer, a burst at a time',
  question:
    'How many packets per second are balanced if every table looks up the 32 keys of a burst together?',
  axes: [byTrace, contenders(several)],
  contenders: { axis: 'contender', baseline: 'Cuckoo++' },
});

/** A ratio of two tables: what the machine's speed has no part in. */
const faster = (
  id: string,
  trace: 'campus' | 'caida',
  contender: string,
  mpps: number,
  stl: number,
): Claim => ({
  id,
  text: `${contender} against Chaining STL, ${trace === 'campus' ? 'one new flow in 31 packets' : 'one new flow in 8 packets'}`,
  source: `${paperFiles}, single_thread`,
  unit: '% more packets',
  published: Number(((mpps / stl - 1) * 100).toFixed(1)),
  tolerance: 0.5,
  kind: 'near',
  measured: {
    part,
    metric: 'mpps',
    at: { trace, contender },
    versus: { contender: 'Chaining STL' },
  },
});

const claims: readonly Claim[] = [
  faster('balancer-cuckoopp-campus', 'campus', 'Cuckoo++', 5.96, 4.86),
  faster('balancer-cuckoopp-caida', 'caida', 'Cuckoo++', 4.15, 2.96),
  faster('balancer-hopscotch-caida', 'caida', 'HopScotch', 3.94, 2.96),
  faster('balancer-robin-caida', 'caida', 'RobinMap', 3.9, 2.96),
  faster('balancer-cuckoo-caida', 'caida', 'Cuckoo', 3.68, 2.96),
  faster('balancer-chaining-caida', 'caida', 'Chaining', 3.23, 2.96),
];

function published(): PublishedRow[] {
  return readPublished('conntrack-single-core.csv')
    .rows // The build that the paper's figure shows.
    .filter((row) => row.build === '8d714b3')
    .map((row) => ({
      part,
      params: {
        trace: String(row.trace).toLowerCase(),
        contender: publishedTable[String(row.table)] ?? '',
      },
      metric: 'mpps',
      value: Number(row.throughputMpps),
    }));
}

export const balancerSection: Section = {
  parts: (scale) => [balancer(scale), balancerInBursts(scale)],
  metrics: [
    {
      key: 'mpps',
      label: 'packets balanced',
      unit: 'M/s',
      direction: 'higher',
      path: 'mpps',
      digits: 2,
      gate: true,
    },
    {
      key: 'cyclesPerPacket',
      label: 'per packet',
      unit: 'cycles',
      direction: 'lower',
      path: 'cyclesPerPacket',
      digits: 0,
    },
    {
      key: 'loadPercent',
      label: 'load at the end',
      unit: '%',
      direction: 'neutral',
      path: 'loadPercent',
      digits: 0,
    },
  ],
  figures: [
    {
      id: 'balancer',
      title: 'Packets balanced by one core, one key at a time',
      part,
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'mpps',
      facet: 'trace',
      note: rteHashNote,
    },
    {
      id: 'balancer-bursts',
      title: 'Packets balanced by one core, 32 keys at once',
      part: burstPart,
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'mpps',
      facet: 'trace',
      note: rteHashNote,
    },
    {
      id: 'balancer-samples',
      title: 'Every sample, one new flow in 8 packets',
      part,
      where: { trace: 'caida' },
      kind: 'box',
      series: 'contender',
      metric: 'mpps',
    },
  ],
  claims,
  published,
};
