// Experiment `chains`: what does a further stateful function cost, and what does it cost others?
import { readPublished } from '../core/published.js';
import type { Part, Plan, PublishedRow, RunOptions } from '../core/types.js';
import { claims } from './claims.js';
import { fajita, ours, rebuilt, styles, unfoldStyles, type Style } from './contenders.js';
import { metrics } from './metrics.js';
import { telling } from '../story/attach.js';
import { abstract, captions, stories } from './story.js';

const every: readonly Style[] = [
  ours,
  'flow block, at once',
  fajita,
  'services of a session',
  'one table per function',
  rebuilt,
  'cut by flow',
];
const held: readonly Style[] = [
  ours,
  'flow block, T = 16 µs',
  'flow block, T = 64 µs',
  'flow block, adaptive',
  fajita,
  'FAJITA style, T = 16 µs',
  'FAJITA style, T = 64 µs',
];
const jobNames = (names: readonly Style[]): string[] => names.map((name) => styles[name]);

const few = 2 ** 14;
const many = 2 ** 22;
const ratios = [
  'nsPerPacket',
  'mpps',
  'overPooled',
  'overRebuilt',
  'overCut',
  'overTables',
  'overServices',
  'lossPercent',
  'bytesPerFlow',
] as const;

function plan({ profile }: RunOptions): Plan {
  const quick = profile === 'quick';
  const rounds = quick ? 7 : 21;
  const sizes = quick ? [few, many] : [few, 2 ** 18, many];
  const most = quick ? 2 ** 20 : many;
  const common: Pick<Part, 'job' | 'headline' | 'optional' | 'timeoutSeconds'> = {
    job: 'chains',
    headline: 'nsPerPacket',
    optional: true,
    timeoutSeconds: 240,
  };
  return {
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.05,
          budgetSeconds: 240,
          trialSeconds: 12,
          oneByOne: true,
          warmup: { max: 0, drift: 0.1 },
        }
      : {
          name: 'full',
          blocks: { min: 5, max: 9 },
          precision: 0.02,
          budgetSeconds: 1800,
          trialSeconds: 25,
          warmup: { max: 0, drift: 0.05 },
        },
    parts: [
      {
        ...common,
        name: 'styles',
        title: 'Styles of a chain',
        question:
          'What does a packet of a chain of three functions cost in each style, with few flows and with 4 M?',
        axes: [],
        spec: () => ({ contenders: jobNames(every), functions: [3], flows: [...sizes], rounds }),
        unfold: unfoldStyles(every, [3], sizes),
        metrics: ratios,
      },
      {
        ...common,
        name: 'functions',
        title: 'A further function',
        question: 'What does each further function add to the cost of a packet?',
        axes: [],
        spec: () => ({
          contenders: jobNames([ours, fajita]),
          functions: [1, 2, 3, 4, 5],
          flows: [most],
          rounds,
        }),
        unfold: unfoldStyles([ours, fajita], [1, 2, 3, 4, 5]),
        metrics: ['nsPerPacket', 'mpps', 'marginalNs', 'overPooled', 'bytesPerFlow'],
      },
      {
        ...common,
        name: 'locality',
        title: 'Traffic with something to group',
        question: 'What do runs save, and what delay do they cost?',
        axes: [{ kind: 'list', name: 'locality', values: ['caida', 'campus', 'trains'] }],
        spec: (p) => ({
          contenders: jobNames(held),
          functions: [3],
          flows: [most],
          locality: String(p.locality),
          rounds,
        }),
        unfold: unfoldStyles(held),
        metrics: ['nsPerPacket', 'mpps', 'overPooled', 'runLength', 'holdP50Us', 'holdP99Us'],
      },
      {
        ...common,
        name: 'expiry',
        title: 'Expiry',
        question: 'What does it cost that flows expire?',
        axes: [],
        spec: () => ({
          contenders: jobNames([ours, 'flow block, never expires']),
          functions: [3],
          flows: [many],
          rounds: 2 * rounds,
        }),
        unfold: unfoldStyles([ours, 'flow block, never expires']),
        metrics: ['nsPerPacket', 'expiryNs'],
      },
    ],
  };
}

function published(): PublishedRow[] {
  return readPublished('chains-fajita.csv').rows.map((row) => ({
    part: 'functions',
    params: { contender: String(row.style), functions: Number(row.functions) },
    metric: 'mpps',
    value: Number(row.mpps),
  }));
}

export const chains = telling({ abstract, stories, captions })({
  name: 'chains',
  title: 'Chains: one lookup for all functions',
  question:
    'What does a packet of a chain of stateful functions cost, by style, number of functions, flows and locality?',
  metrics,
  claims,
  figures: [
    {
      id: 'styles',
      title: 'Time per packet of a chain of three functions by style',
      part: 'styles',
      kind: 'bar',
      category: { param: 'contender', label: 'style' },
      metric: 'nsPerPacket',
      facet: 'flows',
    },
    {
      id: 'functions',
      title: 'Packets per second by functions',
      part: 'functions',
      kind: 'line',
      x: { param: 'functions', label: 'functions' },
      metric: 'mpps',
      series: 'contender',
      publishedBeyond: true,
      note: 'Published values are of the whole path of a packet with a NIC at both ends and 8.2 M flows; those here of the chain alone.',
    },
    {
      id: 'locality',
      title: 'Time per packet by traffic, with and without a hold',
      part: 'locality',
      kind: 'bar',
      category: { param: 'contender', label: 'style' },
      metric: 'nsPerPacket',
      facet: 'locality',
    },
  ],
  published,
  plan,
  setup:
    'One process builds all styles of a figure, fills each with the same flows over a timeout of 5 s, and lets them take turns in rounds. All get the same packets, in bursts of 32, from buffers that another core has filled. Timed are reading headers, finding state, the functions’ work and writing packets; there is no NIC. The functions are the same code in all styles: flow counter, load balancer, rate limiter, NAT, connection firewall, in this order. Flows expire after 5 s in every style: on rte_hash by a timer wheel, in the burst table by deadlines in its lines and a sweep. Every packet must be counted; without a hold all styles must end in the same state.',
  limitations: [
    'Styles are rebuilt here from papers and public code, on equal terms; FAJITA, VPP and FastClick themselves are not run, so what their frameworks cost beside is not covered.',
    'Published packets per second include a NIC at both ends; ours do not. Only ratios compare.',
    'A packet arrives every 100 ns (Campus: as its generator makes it at 70 Gbps, for one core), whatever a style takes; T is time of that clock.',
    'Styles on rte_hash have room for half as many flows again, in buckets that are then half full, which suits them best. One table per function and the services of a session lie on the burst table, which VPP’s own is not.',
    'The rate limiter’s limit is above what flows send: it works on every packet and drops none.',
  ],
  references: [
    {
      key: 'fajita',
      authors: [
        'H. Ghasemirahni',
        'A. Farshin',
        'M. Scazzariello',
        'G. Q. Maguire Jr.',
        'D. Kostić',
        'M. Chiesa',
      ],
      title: 'FAJITA: Stateful Packet Processing at 100 Million pps',
      venue: 'CoNEXT',
      year: 2024,
    },
    {
      key: 'splicing',
      authors: ['T. Barbette', 'C. Soldani', 'L. Mathy'],
      title:
        'Combined Stateful Classification and Session Splicing for High-Speed NFV Service Chaining',
      venue: 'IEEE/ACM Transactions on Networking',
      year: 2021,
    },
  ],
});
