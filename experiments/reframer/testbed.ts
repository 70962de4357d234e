// The parts that run on a bed: real ports, the load from a tester, latency from the wire to the wire.
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
import { adaptive, burst, contenders, held, off, versusOff, type Row } from './contenders.js';

const common = [
  'throughputGbps',
  'lossPercent',
  'askedGbps',
  'sentGbps',
  'p50Us',
  'p99Us',
  'meanUs',
  'slfOut',
  'holdP50Us',
  'nsPerPacket',
  'stageNs',
] as const;

// As in the trials on the virtual NIC.
const releaseMax = 32;
const ringDepth = 1024;

function trial(params: Params): JsonObject {
  return {
    chain: params.chain ?? 'paper',
    form: params.form ?? 'packet',
    policy: params.policy ?? 'off',
    delayNs: Number(params.delayUs ?? 0) * 1000,
    releaseMax,
    ringDepth,
  };
}

interface Setting {
  bed: BedFacts;
  scale: BedScale;
  quick: boolean;
}

/** The offered rate of the paper's overload point, or all that the link carries. */
const overloadGbps = 70;

function inChain({ bed, scale, quick }: Setting): Part {
  const rows: readonly Row[] = quick
    ? [off, held(64)]
    : [off, burst, held(16), held(64), held(128), held(256), adaptive];
  const bps = Math.min(overloadGbps, bed.linkGbps) * 1e9;
  return {
    name: 'in-chain',
    title: 'In the chain, on a bed',
    question: 'What does the chain carry behind real ports, by buffering time?',
    job: 'bed:live-trial',
    axes: [
      { kind: 'list', name: 'chain', values: quick ? ['paper'] : ['paper', 'modern'] },
      contenders(rows),
    ],
    contenders: versusOff,
    spec: (p) => bedSpec(bed, trial(p), bps, scale, []),
    headline: 'throughputGbps',
    metrics: common,
    optional: true,
  };
}

function load({ bed, scale, quick }: Setting): Part {
  return {
    name: 'load',
    title: 'Offered load, on a bed',
    question: 'What do throughput, latency and losses do as the tester offers more?',
    job: 'bed:live-trial',
    axes: [
      {
        kind: 'list',
        name: 'offeredPercent',
        values: quick ? [10, 40] : [5, 10, 20, 30, 40, 55, 70, 95],
      },
      contenders(quick ? [off, held(64)] : [off, held(16), held(64), adaptive]),
    ],
    contenders: versusOff,
    spec: (p) =>
      bedSpec(bed, trial(p), shareOfLink(bed, Number(p.offeredPercent) / 100), scale, [
        needsLatency(bed),
      ]),
    headline: 'p99Us',
    metrics: common,
    optional: true,
  };
}

function zeroLoss({ bed, scale, quick }: Setting): Part {
  return {
    name: 'zero-loss',
    title: 'Highest rate without loss, on a bed',
    question: 'Up to which rate of the tester does every packet come back?',
    job: 'bed:live-trial',
    axes: [
      contenders(quick ? [off, held(64)] : [off, held(16), held(64), adaptive]),
      {
        kind: 'search',
        name: 'offeredGbps',
        from: bed.linkGbps * 0.02,
        to: bed.linkGbps * 0.98,
        resolution: bed.linkGbps * 0.02,
        metric: 'notCarried',
        atMost: 0,
      },
    ],
    contenders: versusOff,
    spec: (p) => bedSpec(bed, trial(p), Number(p.offeredGbps ?? 0) * 1e9, scale, []),
    headline: 'zeroLossGbps',
    metrics: ['zeroLossGbps'],
    optional: true,
  };
}

function ownCore({ bed, scale, quick }: Setting): Part {
  return {
    name: 'own-core',
    title: 'Reframer alone on its core, on a bed',
    question: 'What does a core carry that does nothing but Reframer, and what wait does it add?',
    job: 'bed:live-trial',
    axes: [contenders(quick ? [off, held(64)] : [off, burst, held(16), held(64), held(128)])],
    contenders: versusOff,
    spec: (p) =>
      bedSpec(bed, trial({ ...p, chain: 'forward' }), shareOfLink(bed, 0.4), scale, [
        needsLatency(bed),
      ]),
    headline: 'p50Us',
    metrics: common,
    optional: true,
  };
}

function cores({ bed, scale }: Setting): Part {
  const values = [1, 2, 4, 8, 16, 32].filter((n) => n <= Math.max(2, bed.queues));
  return {
    name: 'cores',
    title: 'Cores, on a bed',
    question: 'Does the gain stay as queues and cores are added?',
    job: 'bed:live-trial',
    axes: [{ kind: 'list', name: 'cores', values }, contenders([off, held(64)])],
    contenders: versusOff,
    spec: (p) =>
      bedSpec(
        bed,
        trial(p),
        Math.min(overloadGbps, bed.linkGbps) * 1e9,
        scale,
        [needsQueues(bed, 2)],
        { queues: Number(p.cores) },
      ),
    headline: 'throughputGbps',
    metrics: common,
    optional: true,
  };
}

export function bedPlan(options: RunOptions, bed: BedFacts): Plan {
  const { scale, profile } = bedProfile(options);
  const setting: Setting = { bed, scale, quick: options.profile === 'quick' };
  return {
    profile,
    parts: [inChain, load, zeroLoss, ownCore, cores].map((part) => part(setting)),
  };
}

export const bedTexts: BedTexts = {
  setup:
    'The device under test is a process on its own machine, or beside the tester: a polling thread a core, each with a receive queue, a stage and a chain, the same loop as on the virtual NIC. The chain is a flow counter, a router, a firewall and a NAT: called paper, with linear tables and a walk over rules, so that it costs what was published; called modern, with a trie, tuple-space search and hash tables. The tester is another process, with ports of its own wired to those of the device; it offers the load, counts what comes back and measures its latency.',
  limitations: bedLimitations,
  figures: [
    {
      id: 'bed-in-chain',
      kind: 'bar',
      title: 'Throughput of the chain behind real ports',
      part: 'in-chain',
      category: { param: 'contender', label: 'T' },
      metric: 'throughputGbps',
      facet: 'chain',
    },
    {
      id: 'bed-load',
      kind: 'line',
      title: '99th percentile of latency by offered load',
      part: 'load',
      x: { param: 'offeredPercent', label: 'offered, % of the link' },
      metric: 'p99Us',
      series: 'contender',
    },
    {
      id: 'bed-cores',
      kind: 'line',
      title: 'Throughput by cores',
      part: 'cores',
      x: { param: 'cores', label: 'cores' },
      metric: 'throughputGbps',
      series: 'contender',
    },
  ],
};
