// Experiment `balancer`: what a load balancer costs that breaks no connection, and how evenly it spreads.
import { ownTarget as source } from '../core/types.js';
import type { Claim, Experiment, Part, Plan, RunOptions } from '../core/types.js';
import { telling } from '../story/attach.js';
import { metrics } from './metrics.js';
import { published } from './published.js';
import { realParts } from './real/parts.js';
import { balancerTelling } from './story.js';

const costContenders = [
  'cookie',
  'tracker',
  'maglev',
  'keyed-hash',
  'crc-hash',
  'rss-hash',
  'rte-hash',
  'rte-hash-bulk',
] as const;
const memories = ['cookie', 'tracker', 'maglev', 'ring', 'hash'] as const;
/** Name, bytes behind a cache line at which frames begin, whether they are IPv6, whether in a program. */
const placements = [
  ['IPv4, two lines', 0, false, false],
  ['IPv4, one line', 56, false, false],
  ['IPv6, two lines', 0, true, false],
  ['IPv4, in a program', 0, false, true],
] as const;

/** Name, policy of the job, whether new connections are booked. */
const policies = [
  ['round-robin', 'round-robin', true],
  ['adaptive', 'adaptive', true],
  ['power-of-two', 'power-of-two', true],
  ['power-of-two unbooked', 'power-of-two', false],
  ['least', 'least', true],
  ['least unbooked', 'least', false],
  ['maglev', 'maglev', true],
  ['hash', 'hash', true],
] as const;
const clusterPolicies = [
  ['hash', 'hash', true],
  ['round-robin', 'round-robin', true],
  ['power-of-two', 'power-of-two', true],
  ['least', 'least', true],
  ['cross-rss', 'cross-rss', true],
  ['cross-rss unbooked', 'cross-rss', false],
] as const;

const cost = (quick: boolean): Part => ({
  name: 'cost',
  title: 'What a packet costs in the balancer',
  question:
    'What does a packet of a known connection cost, by connections and by packets in a row?',
  job: 'balancer-cost',
  axes: [
    {
      kind: 'list',
      name: 'connections',
      values: quick ? [1_000_000] : [1000, 32_000, 1_000_000, 4_000_000],
    },
    { kind: 'list', name: 'slf', values: quick ? [1, 8] : [1, 8, 32] },
    { kind: 'list', name: 'contender', values: costContenders },
  ],
  contenders: { axis: 'contender', baseline: 'rss-hash' },
  spec: (p) => ({
    contender: String(p.contender),
    connections: Number(p.connections),
    slf: Number(p.slf),
    pieces: quick ? 24 : 64,
  }),
  headline: 'nsPerPacket',
  timeoutSeconds: 120,
  metrics: ['nsPerPacket', 'cyclesPerPacket'],
});

/** A mempool's private size moves where frames begin: 56 bytes bring all that counts into one line. */
const placement = (quick: boolean): Part => ({
  name: 'placement',
  title: 'Cache lines of a header, and the program around',
  question:
    'What does a packet cost where the echo lies in the line of the addresses, over IPv6, and between rings?',
  job: 'balancer-cost',
  axes: [
    { kind: 'zip', names: ['frames', 'frameOffset', 'ipv6', 'path'], rows: placements },
    { kind: 'list', name: 'contender', values: ['cookie', 'rss-hash'] },
  ],
  contenders: { axis: 'contender', baseline: 'rss-hash' },
  spec: (p) => ({
    contender: String(p.contender),
    connections: 1_000_000,
    frameOffset: Number(p.frameOffset),
    ipv6: p.ipv6 === true,
    path: p.path === true,
    pieces: quick ? 24 : 64,
  }),
  headline: 'nsPerPacket',
  timeoutSeconds: 120,
  metrics: ['nsPerPacket', 'cyclesPerPacket'],
});

const changes = (quick: boolean): Part => ({
  name: 'changes',
  title: 'Connections while the pool changes: 24, 30, 22 servers',
  question: 'How many connections reach another server than their first one?',
  job: 'balancer-changes',
  axes: [{ kind: 'list', name: 'contender', values: memories }],
  contenders: { axis: 'contender', baseline: 'hash' },
  deterministic: true,
  seeds: quick ? 6 : 10,
  spec: (p) => ({ contender: String(p.contender) }),
  headline: 'broken',
  timeoutSeconds: 120,
  metrics: ['broken', 'brokenPercent', 'worstSecondPercent'],
});

const spread = (quick: boolean): Part => ({
  name: 'policies',
  title: 'Policies over 64 servers',
  question: 'How long do requests take, and how unequal are the servers, by policy?',
  job: 'balancer-policies',
  axes: [
    { kind: 'list', name: 'work', values: ['uniform', 'bimodal'] },
    { kind: 'list', name: 'load', values: quick ? [0.8] : [0.5, 0.7, 0.8, 0.9] },
    { kind: 'zip', names: ['contender', 'policy', 'books'], rows: policies },
  ],
  contenders: { axis: 'contender', baseline: 'round-robin' },
  deterministic: true,
  seeds: quick ? 2 : 10,
  spec: (p) => ({
    policy: String(p.policy),
    books: p.books === true,
    work: String(p.work),
    load: Number(p.load),
  }),
  headline: 'p99Ms',
  timeoutSeconds: 120,
  metrics: ['p50Ms', 'p99Ms', 'loadVariance', 'worstShare'],
});

const cluster = (quick: boolean): Part => ({
  name: 'cores',
  title: 'Servers of four cores, by the core that a connection lands on',
  question: 'How unequal are cores and servers, and what is dropped, by policy?',
  job: 'balancer-cores',
  axes: [
    { kind: 'list', name: 'keys', values: ['own', 'same'] },
    { kind: 'list', name: 'servers', values: ['static RSS', 'RSS++'] },
    { kind: 'list', name: 'load', values: quick ? [0.5, 0.9] : [0.5, 0.7, 0.8, 0.9, 1, 1.1] },
    { kind: 'zip', names: ['contender', 'policy', 'books'], rows: clusterPolicies },
  ],
  // One key for all servers is looked at where the claim is.
  where: (p) => p.keys === 'own' || (p.servers === 'static RSS' && p.load === 0.5),
  contenders: { axis: 'contender', baseline: 'hash' },
  deterministic: true,
  seeds: quick ? 2 : 10,
  spec: (p) => ({
    policy: String(p.policy),
    books: p.books === true,
    sameKeys: p.keys === 'same',
    rsspp: p.servers === 'RSS++',
    load: Number(p.load),
  }),
  headline: 'coreVariance',
  timeoutSeconds: 120,
  metrics: [
    'coreVariance',
    'serverVariance',
    'dropPercent',
    'goodputPercent',
    'offeredPercent',
    'moves',
  ],
});

function plan({ profile }: RunOptions): Plan {
  const quick = profile === 'quick';
  return {
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.05,
          budgetSeconds: 150,
          trialSeconds: 0.6,
          warmup: { max: 0, drift: 0.1 },
        }
      : {
          name: 'full',
          blocks: { min: 3, max: 8 },
          precision: 0.02,
          budgetSeconds: 1200,
          limitSeconds: 1800,
          warmup: { max: 0, drift: 0.05 },
        },
    parts: [
      cost(quick),
      placement(quick),
      changes(quick),
      spread(quick),
      cluster(quick),
      ...realParts(quick),
    ],
  };
}

const exact = { tolerance: 0 } as const;
const many = { connections: 1_000_000, slf: 1 } as const;
const cores = (policy: string): Claim => ({
  id: `cores-${policy}`,
  text: `Variance over cores at half the load, ${policy} against CrossRSS with booking: times less`,
  source,
  unit: 'times',
  published: 10,
  ...exact,
  kind: 'at-least',
  measured: {
    part: 'cores',
    metric: 'coreVariance',
    at: { contender: 'cross-rss', load: 0.5, servers: 'static RSS', keys: 'own' },
    versus: { contender: policy },
    as: 'times-less',
  },
});

export const claims: readonly Claim[] = [
  {
    id: 'cookie-against-rss',
    text: 'A packet by cookie against one by the hash that a NIC computed, a million connections',
    source,
    unit: '%',
    published: 30,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'cost',
      metric: 'nsPerPacket',
      at: { ...many, contender: 'cookie' },
      versus: { contender: 'rss-hash' },
    },
  },
  {
    id: 'cookie-against-rss-one-line',
    text: 'The same where frames begin 56 bytes behind a cache line, so that both touch one line of a header',
    source,
    unit: '%',
    published: 30,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'placement',
      metric: 'nsPerPacket',
      at: { frames: 'IPv4, one line', contender: 'cookie' },
      versus: { contender: 'rss-hash' },
    },
  },
  {
    id: 'cookie-against-rte-hash',
    text: 'A packet by cookie against one by a scalar look-up in rte_hash, four million connections: times less',
    source,
    unit: 'times',
    published: 4,
    ...exact,
    kind: 'at-least',
    measured: {
      part: 'cost',
      metric: 'nsPerPacket',
      at: { connections: 4_000_000, slf: 1, contender: 'cookie' },
      versus: { contender: 'rte-hash' },
      as: 'times-less',
    },
  },
  {
    id: 'unbroken',
    text: 'Connections broken by 24, 30, 22 servers, by cookie',
    source,
    unit: '',
    published: 0,
    ...exact,
    kind: 'at-most',
    measured: { part: 'changes', metric: 'broken', at: { contender: 'cookie' } },
  },
  ...['hash', 'round-robin', 'power-of-two', 'least'].map(cores),
  {
    id: 'unbroken-real',
    text: 'Downloads, requests and transfers broken by two changes a second for ten minutes',
    source,
    unit: '',
    published: 0,
    ...exact,
    kind: 'at-most',
    measured: { part: 'real', metric: 'broken', at: { timestamps: 2, family: 4 } },
  },
  {
    id: 'rtt-as-direct',
    text: 'Round-trip time that a receiving server takes from echoed timestamps, off the one without a balancer: a tick of its clock',
    source,
    unit: 'ms',
    published: 1,
    ...exact,
    kind: 'at-most',
    measured: { part: 'transport', metric: 'receiverRttOffMs', at: {} },
  },
  {
    id: 'options-as-direct',
    text: 'Window scale, SACK and ECN through a SYN cookie: unlike those without a balancer',
    source,
    unit: '',
    published: 0,
    ...exact,
    kind: 'at-most',
    measured: { part: 'transport', metric: 'optionsOff', at: {} },
  },
  ...(['plain', 'encrypted'] as const).map((ids): Claim => ({
    id: `unbroken-quic-${ids}`,
    text: `QUIC transfers broken by changed ports, ${ids} connection ids`,
    source,
    unit: '',
    published: 0,
    ...exact,
    kind: 'at-most',
    measured: { part: 'quic', metric: 'broken', at: { contender: ids } },
  })),
];

export const balancer: Experiment = telling(balancerTelling)({
  name: 'balancer',
  title: 'Load balancer: connections stay while servers come and go',
  question:
    'What does a packet cost by cookie, table and hash, which connections break when the pool changes, and how evenly do policies spread?',
  metrics,
  claims,
  figures: [
    {
      id: 'cost',
      title: 'Time of a packet in the balancer, packets of a connection not in a row',
      part: 'cost',
      where: { slf: 1 },
      kind: 'line',
      x: { param: 'connections', label: 'connections', scale: 'log' },
      metric: 'nsPerPacket',
      y: 'log',
      series: 'contender',
    },
    {
      id: 'changes',
      title: 'Connections broken while the pool goes from 24 to 30 to 22 servers',
      part: 'changes',
      kind: 'bar',
      category: { param: 'contender', label: 'how a packet finds its server' },
      metric: 'brokenPercent',
    },
    {
      id: 'policies',
      title: '99th percentile of completion, 64 servers at 80 % load',
      part: 'policies',
      where: { load: 0.8 },
      kind: 'bar',
      category: { param: 'contender', label: 'policy' },
      metric: 'p99Ms',
      facet: 'work',
    },
    {
      id: 'cores',
      title: 'Variance of utilisation over 16 cores of 4 servers',
      part: 'cores',
      where: { servers: 'static RSS', keys: 'own' },
      kind: 'line',
      x: { param: 'load', label: 'offered over capacity' },
      metric: 'coreVariance',
      series: 'contender',
    },
    {
      id: 'drops',
      title: 'Packets dropped by 4 servers of 4 cores',
      part: 'cores',
      where: { keys: 'own' },
      kind: 'line',
      x: { param: 'load', label: 'offered over capacity' },
      metric: 'dropPercent',
      series: 'contender',
      facet: 'servers',
    },
  ],
  published,
  plan,
  setup:
    'Cost: a trial is a process; headers of 8192 buffers are written and flushed to memory before each timed piece, and every packet’s server and sums are checked after it. All take bursts of 32 and ask for headers as far ahead. Cookie, tracker, maglev and keyed-hash are the library; rss-hash, crc-hash and rte-hash stand beside it, made like its short way for usual packets. rte-hash looks keys up one by one, rte-hash-bulk those of a burst at once. The cookie alone rewrites timestamps, and so needs a second cache line of a header. Other parts run in virtual time; contenders differ in policy or memory alone.',
  limitations: [
    'Published cycles are of a whole FastClick path on another processor: only ratios compare. Beamer and a cookie that indexes a table are not contenders.',
    'Published variances and completion times are of other work, durations and units: their order compares. Bimodal work here is 1.61 ms, and 30.5 ms of one request in ten.',
    'Headers come from memory; where they lie in a cache, the cookie’s own work is a larger share.',
    'Real connections run on one machine: the balancer, between AF_PACKET sockets, shares its cores with clients and servers. An XDP program draws losses.',
  ],
  references: [
    'T. Barbette, C. Tang, H. Yao, D. Kostić, G. Q. Maguire Jr., P. Papadimitratos, M. Chiesa. A High-Speed Load-Balancer Design with Guaranteed Per-Connection-Consistency. NSDI 2020.',
    'T. Barbette, M. Chiesa, G. Q. Maguire Jr., D. Kostić. Stateless CPU-aware datacenter load-balancing. CoNEXT 2020 (poster).',
    'D. E. Eisenbud et al. Maglev: A Fast and Reliable Software Network Load Balancer. NSDI 2016.',
  ],
});
