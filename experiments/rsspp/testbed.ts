// The parts that run on a bed: the box with RSS++ on real ports and cores, the load from a tester.
import {
  bedProfile,
  bedSpec,
  needsGenerator,
  needsLatency,
  needsQueues,
  shareOfLink,
  type BedScale,
} from '../core/bed-parts.js';
import type { BedFacts, JsonObject, Params, Part, Plan, RunOptions } from '../core/types.js';

/** contender, method, epoch in milliseconds. */
const rows = [
  ['static RSS', 'static', 100],
  ['RSS++ greedy', 'greedy', 100],
  ['ours', 'ours', 100],
] as const;
const contenders = {
  kind: 'zip',
  names: ['contender', 'method', 'epochMs'],
  rows,
} as const;
const versusStatic = { axis: 'contender', baseline: 'static RSS' } as const;

// Rounds of arithmetic a packet: about 200 ns, a chain of some functions.
const work = 100;

/** Every contender runs the same code on the same table; the static one decides nothing. */
const box = ({ method, epochMs }: Params, more: JsonObject = {}): JsonObject => ({
  balance: 'auto',
  method: String(method),
  balanceMs: Number(epochMs),
  work,
  ...more,
});

const common = [
  'p50Us',
  'p95Us',
  'p99Us',
  'imbalancePercent',
  'lossPercent',
  'throughputGbps',
  'askedGbps',
  'bedLoad',
  'bedMoves',
  'bedCores',
] as const;

interface Setting {
  bed: BedFacts;
  scale: BedScale;
  quick: boolean;
}

function latency({ bed, scale, quick }: Setting): Part {
  return {
    name: 'latency',
    title: 'Latency by load, on a bed',
    question: 'What do packets wait when cores share the load by table?',
    job: 'bed:box',
    axes: [
      { kind: 'list', name: 'offeredPercent', values: quick ? [20] : [10, 20, 30, 40, 55, 70] },
      contenders,
    ],
    contenders: versusStatic,
    spec: (p) =>
      bedSpec(box(p), shareOfLink(bed, Number(p.offeredPercent) / 100), scale, [
        needsQueues(bed, 2),
        needsGenerator(bed),
        needsLatency(bed),
      ]),
    headline: 'p95Us',
    metrics: common,
    optional: true,
  };
}

function imbalance({ bed, scale, quick }: Setting): Part {
  return {
    name: 'imbalance',
    title: 'Imbalance, on a bed',
    question: 'How unlike are the loads of the cores?',
    job: 'bed:box',
    axes: [
      { kind: 'list', name: 'offeredPercent', values: quick ? [40] : [20, 40, 70] },
      contenders,
    ],
    contenders: versusStatic,
    spec: (p) =>
      bedSpec(
        box(p),
        shareOfLink(bed, Number(p.offeredPercent) / 100),
        { ...scale, warmupMs: scale.warmupMs + 500 },
        [needsQueues(bed, 2), needsGenerator(bed)],
      ),
    headline: 'imbalancePercent',
    metrics: common,
    optional: true,
  };
}

function autoscale({ bed, scale, quick }: Setting): Part {
  return {
    name: 'autoscale',
    title: 'Cores in use, on a bed',
    question: 'How many cores does a load take, and what is lost while they come and go?',
    job: 'bed:box',
    axes: [
      { kind: 'list', name: 'offeredPercent', values: quick ? [5] : [5, 20, 50] },
      {
        kind: 'zip',
        names: ['contender', 'method', 'epochMs', 'autoscale'],
        rows: [
          ['static RSS', 'static', 100, 'no'],
          ['ours', 'ours', 100, 'yes'],
        ],
      },
    ],
    contenders: versusStatic,
    spec: (p) =>
      bedSpec(
        box(p, { autoscale: p.autoscale === 'yes' }),
        shareOfLink(bed, Number(p.offeredPercent) / 100),
        // A core is given back after a second of epochs that agree.
        { ...scale, warmupMs: scale.warmupMs + 2000 },
        [needsQueues(bed, 2), needsGenerator(bed)],
      ),
    headline: 'bedCores',
    metrics: common,
    optional: true,
  };
}

export function bedPlan(options: RunOptions, bed: BedFacts): Plan {
  const { scale, profile } = bedProfile(options);
  const setting: Setting = { bed, scale, quick: options.profile === 'quick' };
  return { profile, parts: [latency, imbalance, autoscale].map((part) => part(setting)) };
}
