// What is measured. Every part but the solver's runs in virtual time: its answer depends on the seed
// and on nothing of the machine, so one trial a seed is enough; a verdict takes six seeds.
import { fewestValues } from '../core/statistics.js';
import type { JsonObject, Params, Part } from '../core/types.js';

export interface Scale {
  quick: boolean;
  /** Seeds of a point. */
  seeds: number;
  /** Virtual seconds measured, and before that. */
  seconds: number;
  warmupSeconds: number;
}

/** contender, method, epoch in milliseconds. */
type Row = readonly [string, string, number];
const rss: Row = ['static RSS', 'static', 100];
const greedy: Row = ['RSS++ greedy', 'greedy', 100];
const ours: Row = ['ours', 'ours', 100];
// Epochs of 10 ms within a second of a core above 0.9, else 100 ms.
const greedyFast: Row = ['RSS++ greedy, 10 to 100 ms', 'greedy', 100];
const oursFast: Row = ['ours, 10 to 100 ms', 'ours', 100];
// One ring for all cores, as deep as theirs together: what nothing beats that has no more room.
const pooled: Row = ['bound: one shared queue', 'pooled', 100];
// Over the same rings: each packet to the shortest, whatever its flow. No split does better that has no more room.
const ideal: Row = ['bound: ideal split', 'shortest', 100];
// Metron was run with an epoch of 500 ms.
const classes: Row = ['traffic classes, 500 ms', 'classes', 500];
const comparators: readonly Row[] = [
  rss,
  greedy,
  ours,
  ['single flows', 'flows', 100],
  classes,
  ['sprayer', 'sprayer', 100],
  ['software round robin', 'sw-rr', 100],
  ['software, flows in turn', 'sw-flow', 100],
  ['software, least load', 'sw-load', 100],
];

const contenders = (rows: readonly Row[]): Part['axes'][number] => ({
  kind: 'zip',
  names: ['contender', 'method', 'epochMs'],
  rows,
});
const versusRss = { axis: 'contender', baseline: 'static RSS' } as const;
const profiles = { kind: 'list', name: 'trace', values: ['campus', 'campus4'] } as const;

// The lower quartile of the published latencies at 105 % speed, the same with and without RSS++: wire,
// tester and driver, which have no part in the virtual port.
const pathUs = 58;

const fastEpochs = ({ contender }: Params): boolean =>
  contender === oursFast[0] || contender === greedyFast[0];

function trial(params: Params, scale: Scale, more: JsonObject): JsonObject {
  return {
    profile: params.trace ?? 'campus4',
    method: params.method ?? 'ours',
    intervalMs: params.epochMs ?? 100,
    overloadIntervalMs: fastEpochs(params) ? 10 : 0,
    seconds: scale.seconds,
    warmupSeconds: scale.warmupSeconds,
    ...more,
  };
}

export function latency(scale: Scale): Part {
  const loads = scale.quick ? [0.82] : [0.74, 0.82, 0.86, 0.9];
  return {
    name: 'latency',
    title: 'Latency by load',
    question: 'What does a packet wait on 4 cores with rings of 4096, by mean load of a core?',
    job: 'rsspp-trial',
    axes: [
      { kind: 'list', name: 'load', values: loads },
      contenders([rss, greedy, greedyFast, ours, oursFast, pooled, ideal]),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: scale.seeds,
    spec: (p) => trial(p, scale, { cores: 4, load: Number(p.load), exactLoad: true, pathUs }),
    headline: 'p95Us',
    metrics: ['p50Us', 'p95Us', 'p99Us', 'dropKpps', 'movesPerEpoch'],
  };
}

/**
 * Published speed in percent, what it is placed by, and the mean load of a core there. The paper gives
 * two measures that do not agree: the offered rate over the 22.1 Gbps of saturation, and the mean load
 * of the cores. Beyond a load of 1 every method must drop what cannot be served.
 */
export const dropLoads = [
  [120, 'offered rate', 0.837],
  [130, 'offered rate', 0.912],
  [140, 'offered rate', 0.982],
  [120, 'core load', 0.94],
  [130, 'core load', 1],
  [140, 'core load', 1.09],
] as const;

export function drops(scale: Scale): Part {
  return {
    name: 'drops',
    title: 'Drops near saturation',
    question: 'How many packets do 4 cores drop at 120, 130 and 140 % of the trace’s speed?',
    job: 'rsspp-trial',
    axes: [
      {
        kind: 'zip',
        names: ['speedPercent', 'placing', 'load'],
        rows: scale.quick ? dropLoads.filter(([, , load]) => load === 0.94) : dropLoads,
      },
      contenders(
        scale.quick
          ? [rss, greedyFast, oursFast, pooled, ideal]
          : [rss, greedy, greedyFast, ours, oursFast, pooled, ideal],
      ),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: scale.seeds,
    spec: (p) => trial(p, scale, { cores: 4, load: Number(p.load), exactLoad: true }),
    headline: 'dropKpps',
    metrics: ['dropKpps', 'dropFreePercent', 'p95Us', 'movesPerEpoch'],
  };
}

export function imbalanceByMethod(scale: Scale): Part {
  return {
    name: 'imbalance-methods',
    title: 'Imbalance by method at 8 cores',
    question: 'How unevenly do packets spread over 8 cores in a second?',
    job: 'rsspp-trial',
    axes: [
      profiles,
      contenders(scale.quick ? comparators.filter((row) => row !== classes) : comparators),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: fewestValues,
    // Traffic classes begin on one core and split once in 3 s: all wait until cores stand still. A quick run leaves them out.
    spec: (p) =>
      trial(
        p,
        {
          ...scale,
          warmupSeconds: scale.quick ? scale.warmupSeconds : 20,
          seconds: scale.quick ? 2 : scale.seconds,
        },
        { cores: 8, load: 0.5, exactLoad: true, stillSeconds: scale.quick ? 0 : 7 },
      ),
    headline: 'imbalancePercent',
    metrics: [
      'imbalancePercent',
      'floorPercent',
      'p95Us',
      'movesPerEpoch',
      'dropKpps',
      'reordered',
      'warmedSeconds',
      'stillSeconds',
    ],
  };
}

const benchMethods = [
  ['static RSS', 'static'],
  ['RSS++ greedy', 'greedy'],
  ['ours', 'ours'],
  ['from scratch (LPT)', 'lpt'],
] as const;

function grouped(
  traces: readonly string[],
  entries: readonly number[],
  cores: readonly number[],
  rows: readonly (readonly [string, string])[],
): NonNullable<Part['unfold']> {
  return traces.flatMap((trace) =>
    entries.flatMap((size) =>
      cores.flatMap((n) =>
        rows.map(([contender, method]) => ({
          params: { trace, entries: size, cores: n, contender },
          path: `${trace}.${size}.${n}.${method}`,
        })),
      ),
    ),
  );
}

export function imbalanceByCores(scale: Scale): Part {
  const cores = Array.from({ length: 15 }, (_, i) => i + 2);
  const traces = ['campus', 'campus4'];
  const rows = benchMethods.filter(([, method]) => method !== 'lpt');
  return {
    name: 'imbalance-cores',
    title: 'Imbalance by cores',
    question: 'How unevenly do packets spread over 2 to 16 cores in a second?',
    job: 'bench-rsspp',
    axes: [],
    deterministic: true,
    seeds: fewestValues,
    spec: () => ({
      profiles: traces,
      entries: [512],
      cores,
      methods: rows.map(([, method]) => method),
      seconds: scale.quick ? 20 : 60,
      grouped: true,
    }),
    headline: 'imbalancePercent',
    metrics: [
      'imbalancePercent',
      'floorPercent',
      'movesPerEpoch',
      'settledOverBoundPercent',
      'settledMoves',
    ],
    unfold: grouped(traces, [512], cores, rows),
    timeoutSeconds: 900,
  };
}

export function solver(scale: Scale): Part {
  const entries = scale.quick ? [128, 512, 2048] : [64, 128, 256, 512, 1024, 2048, 4096];
  const cores = scale.quick ? [8, 16, 64] : [2, 4, 8, 16, 32, 64];
  const rows = benchMethods.filter(([, method]) => method !== 'static');
  return {
    name: 'solver',
    title: 'The solver',
    question:
      'How long does an epoch’s solution take, how far from the bound is it, how much does it move?',
    job: 'bench-rsspp',
    axes: [],
    spec: () => ({
      profiles: ['campus4'],
      entries,
      cores,
      methods: rows.map(([, method]) => method),
      seconds: scale.quick ? 10 : 60,
      grouped: true,
    }),
    headline: 'solveUs',
    metrics: [
      'solveUs',
      'overBoundPercent',
      'settledOverBoundPercent',
      'settledMoves',
      'movesPerEpoch',
      'imbalancePercent',
    ],
    unfold: grouped(['campus4'], entries, cores, rows),
    timeoutSeconds: 900,
  };
}

// Published: up to 17 Gbps come within a minute; 4.7 Gbps is what one core carries of the same work
// in the experiment on throughput by cores. The clock of the published ramp is not known.
const rampPeakGbps = 17;
const coreGbps = 4.7;
const campus4Pps = 1.87e6;

export function autoscale(scale: Scale): Part {
  const period = scale.quick ? 15 : 60;
  // Methods begin with all cores in use, or with one. A whole period before the one that counts: how
  // long they take to get away from there is not part of the ramp.
  const warmupSeconds = period;
  return {
    name: 'autoscale',
    title: 'Cores in use under a ramp',
    question: 'How many of 15 cores does a rise and fall of the rate take?',
    job: 'rsspp-trial',
    axes: [
      {
        kind: 'zip',
        names: ['contender', 'method', 'scaling', 'epochMs'],
        rows: [
          ['fixed RSS', 'static', 'ours', 100],
          ['ours', 'ours', 'ours', 100],
          ['greedy, published rule', 'greedy', 'paper', 100],
          [classes[0], 'classes', 'ours', 500],
        ],
      },
    ],
    contenders: { axis: 'contender', baseline: 'fixed RSS' },
    deterministic: true,
    seeds: fewestValues,
    spec: (p) =>
      trial(
        p,
        { ...scale, seconds: period, warmupSeconds },
        {
          cores: 15,
          autoscale: p.method !== 'static',
          scaling: String(p.scaling),
          serviceNs: (rampPeakGbps / coreGbps / campus4Pps) * 1e9,
          rampLow: 0.1,
          rampPeriodSeconds: period,
        },
      ),
    headline: 'meanCores',
    metrics: ['meanCores', 'reversals', 'goodputPercent', 'p95Us', 'moves'],
    timeoutSeconds: 900,
  };
}

export function migration(scale: Scale): Part {
  return {
    name: 'migration',
    title: 'Hand-over under random moves',
    question:
      'Does anything get lost, overtaken or held long when 100 buckets a second change core?',
    job: 'rsspp-trial',
    axes: [
      { kind: 'list', name: 'load', values: scale.quick ? [0.7] : [0.5, 0.7, 0.9] },
      {
        kind: 'zip',
        names: ['contender', 'handOver', 'prepareMs', 'movingBurst'],
        rows: [
          ['served first', 'serve', 0, 32],
          ['passed through', 'pass', 0, 32],
          ['announced, polls of 8', 'pass', 20, 8],
        ],
      },
    ],
    deterministic: true,
    seeds: fewestValues,
    spec: (p) =>
      trial(
        { method: 'static' },
        { ...scale, seconds: scale.quick ? 3 : 6, warmupSeconds: 1 },
        {
          cores: 8,
          load: Number(p.load),
          movesPerSecond: 100,
          handOver: String(p.handOver),
          prepareMs: Number(p.prepareMs),
          movingBurst: Number(p.movingBurst),
        },
      ),
    headline: 'holdMaxUs',
    metrics: ['packets', 'moves', 'lost', 'reordered', 'held', 'holdMaxUs'],
    contenders: { axis: 'contender', baseline: 'served first' },
  };
}

export function tableWrites(scale: Scale): Part {
  return {
    name: 'table-writes',
    title: 'What a slow table write does',
    question: 'What do packets suffer while the table is written?',
    job: 'rsspp-trial',
    axes: [
      {
        kind: 'zip',
        names: ['contender', 'write', 'writeUs'],
        rows: [
          ['at once', 'gradual', 0],
          ['entry by entry, 100 µs', 'gradual', 100],
          ['entry by entry, 5 ms', 'gradual', 5000],
          ['receive stops, 100 µs', 'pause', 100],
          ['receive stops, 5 ms', 'pause', 5000],
        ],
      },
    ],
    contenders: { axis: 'contender', baseline: 'at once' },
    deterministic: true,
    seeds: fewestValues,
    spec: (p) =>
      trial(p, scale, {
        cores: 8,
        load: 0.6,
        exactLoad: true,
        write: String(p.write),
        writeUs: Number(p.writeUs),
      }),
    headline: 'p99Us',
    metrics: ['p50Us', 'p99Us', 'writeLosses', 'lost', 'reordered', 'holdMaxUs'],
  };
}

/** Workloads by what the paper's one core carries of them; the offered rate is the replay's. */
export const chains = [
  ['fw', 'firewall_100G_replay', 'rsspp-throughput-by-cores.csv'],
  ['fw+nat', 'fw+nat', 'rsspp-chain-by-cores.csv'],
  ['fw+nat+dpi', 'fw+nat+dpi', 'rsspp-chain-by-cores.csv'],
] as const;
const offeredGbps = 99.5;
// The campus trace at 15.2 Gbps, sped up to the replay's rate: an epoch is so much longer in its time.
const speedUp = offeredGbps / 15.2;

export function throughput(scale: Scale, oneCoreGbps: (chain: string) => number): Part {
  const cores = scale.quick ? [4, 8, 12] : [1, 4, 6, 8, 10, 12, 16];
  const load = (chain: string, n: number): number => offeredGbps / (n * oneCoreGbps(chain));
  // A core that is offered more than ten times what it carries carries just that: nothing to measure.
  const rows = (scale.quick ? ['fw+nat'] : chains.map(([chain]) => chain)).flatMap((chain) =>
    cores.filter((n) => load(chain, n) <= 10).map((n) => [chain, n]),
  );
  return {
    name: 'throughput',
    title: 'Throughput by cores',
    question:
      'How much of 99.5 Gbps do the cores carry, given the published cost of each chain on one core?',
    job: 'rsspp-trial',
    axes: [
      { kind: 'zip', names: ['chain', 'cores'], rows },
      contenders(scale.quick ? [rss, ours] : [rss, greedy, ours]),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: fewestValues,
    spec: (p) =>
      trial(
        { ...p, epochMs: Math.round(Number(p.epochMs) * speedUp) },
        { ...scale, warmupSeconds: scale.quick ? 2 : 4, seconds: scale.quick ? 3 : 8 },
        { cores: Number(p.cores), load: load(String(p.chain), Number(p.cores)), exactLoad: true },
      ),
    headline: 'carriedGbps',
    metrics: ['carriedGbps', 'dropKpps', 'imbalancePercent'],
  };
}

/** Not in virtual time: the kernel's own multi-queue TAP, its packets and threads, as far as two processors go. */
export function tap(scale: Scale): Part {
  return {
    name: 'tap',
    title: 'Live: the kernel’s multi-queue TAP',
    question:
      'Real packets, steered by a program in the kernel to four queues, while buckets move: how evenly, and does anything get lost or overtaken?',
    job: 'rsspp-tap',
    axes: [
      {
        kind: 'zip',
        names: ['contender', 'method'],
        rows: [
          ['static RSS', 'static'],
          ['ours', 'ours'],
        ],
      },
    ],
    contenders: versusRss,
    optional: true,
    spec: (p) => ({
      method: String(p.method),
      cores: 4,
      entries: 128,
      flows: 1000,
      skew: 0.9,
      packetsPerSecond: 30_000,
      workRounds: 10_000,
      warmupSeconds: 0.5,
      seconds: scale.quick ? 0.8 : 2,
    }),
    headline: 'imbalancePercent',
    metrics: ['imbalancePercent', 'moves', 'packets', 'lost', 'reordered', 'held', 'forwarded'],
  };
}

/** Frames of the published run on state: 1500 bytes. */
export const stateFrameBits = 12_000;

/** Packets that are looked up together, of either state: one as published, or a burst. */
const calls = { kind: 'list', name: 'call', values: [1, 32] } as const;
const states = {
  kind: 'zip',
  names: ['contender', 'state'],
  rows: [
    ['shared, locked', 'shared'],
    ['per bucket', 'bucket'],
  ],
} as const;
const versusShared = { axis: 'contender', baseline: 'shared, locked' } as const;

export function state(scale: Scale): Part {
  return {
    name: 'state',
    title: 'State per bucket or shared',
    question: 'What do cores carry with flow state of their own, and what with one locked table?',
    job: 'rsspp-state',
    axes: [{ kind: 'list', name: 'cores', values: [1, 2] }, calls, states],
    contenders: versusShared,
    spec: (p) => ({
      state: String(p.state),
      call: Number(p.call),
      cores: Number(p.cores),
      work: 100,
      seconds: scale.quick ? 0.5 : 2,
    }),
    headline: 'mpps',
    metrics: ['mpps'],
  };
}

/** One core's rate differs between the two already, without any contention: only the growth is about sharing. */
export function stateGrowth(scale: Scale): Part {
  return {
    name: 'state-growth',
    title: 'What the second core brings',
    question: 'How many times the rate of one core do two carry, measured in turns?',
    job: 'rsspp-state',
    axes: [calls, states],
    contenders: versusShared,
    spec: (p) => ({
      state: String(p.state),
      call: Number(p.call),
      cores: 2,
      against: 1,
      work: 100,
      seconds: scale.quick ? 0.3 : 1,
    }),
    headline: 'growth',
    metrics: ['growth', 'mpps'],
  };
}
