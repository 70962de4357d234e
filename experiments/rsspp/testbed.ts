// The parts that run on a bed: the box with RSS++ on real ports and cores, the load from a tester.
import {
  bedLimitations,
  bedProfile,
  bedSpec,
  needsLatency,
  needsQueues,
  shareOfLink,
  type BedScale,
} from '../core/bed-parts.js';
import type {
  BedFacts,
  BedTexts,
  JsonObject,
  Params,
  Part,
  Plan,
  RunOptions,
} from '../core/types.js';

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
      bedSpec(bed, box(p), shareOfLink(bed, Number(p.offeredPercent) / 100), scale, [
        needsQueues(bed, 2),
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
        bed,
        box(p),
        shareOfLink(bed, Number(p.offeredPercent) / 100),
        { ...scale, warmupMs: scale.warmupMs + 500 },
        [needsQueues(bed, 2)],
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
        bed,
        box(p, { autoscale: p.autoscale === 'yes' }),
        shareOfLink(bed, Number(p.offeredPercent) / 100),
        // A core is given back after a second of epochs that agree.
        { ...scale, warmupMs: scale.warmupMs + 2000 },
        [needsQueues(bed, 2)],
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

export const bedTexts: BedTexts = {
  setup:
    'The device under test is the box with RSS++ on real ports: a polling thread a core, which passes packets on by the table of the NIC where it has one, else by one in software, and does a fixed arithmetic of about 200 ns for each packet it owns. Loads of cores are those of the window, from the time that their busy polls took. The tester is another process, with ports of its own wired to those of the device; it offers the load, counts what comes back and measures its latency.',
  limitations: bedLimitations,
  figures: [
    {
      id: 'bed-latency',
      kind: 'line',
      title: '95th percentile of latency by offered load',
      part: 'latency',
      x: { param: 'offeredPercent', label: 'offered, % of the link' },
      metric: 'p95Us',
      series: 'contender',
    },
    {
      id: 'bed-imbalance',
      kind: 'bar',
      title: 'Imbalance of the cores',
      part: 'imbalance',
      category: { param: 'contender', label: 'method' },
      metric: 'imbalancePercent',
      facet: 'offeredPercent',
    },
  ],
};
