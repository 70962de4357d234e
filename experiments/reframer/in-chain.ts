// Reframer on the chain's own cores: by T at overload and at a rate that the chain carries, by load,
// and against cores of its own.
import type { Part } from '../core/types.js';
import {
  byRun,
  contenders,
  held,
  loadMetrics,
  modernOverloadBps,
  off,
  overloadBps,
  versusOff,
  type Row,
} from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

const chains = { kind: 'list', name: 'chain', values: ['paper', 'modern'] } as const;
/** With the chain whose cost is a walk over rules behind a last-flow cache: what such a one gains. */
const overloaded = ['paper', 'cached-rules'];
// The published fixed rate: 29.7 of the 32.0 Gbps that the original's chain carried unaided.
const justCarried = 0.93;

export function overload(quick: boolean, rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'overload',
    title: 'Buffering time at overload',
    question:
      'How much more does a chain carry, by buffering time T, when 70 Gbps arrive on eight queues?',
    job: 'trial',
    axes: [
      // The modern chain carries that load unaided, which a quick run need not show.
      { kind: 'list', name: 'chain', values: quick ? overloaded : [...overloaded, 'modern'] },
      contenders(rows),
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: overloadBps }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

/** The modern chain carries the paper's load unaided: this is what it does beyond its limit. */
export function modernOverload(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'overload-modern',
    title: 'The modern chain beyond its limit',
    job: 'trial',
    question: 'How much more does the modern chain carry when 1,000 Gbps arrive on eight queues?',
    axes: [contenders(rows)],
    contenders: versusOff,
    spec: (p) => trialSpec({ ...p, chain: 'modern' }, scale, { offeredBps: modernOverloadBps }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

/** Run with run: without Reframer the chain works once a run as well, on the runs that arrive. */
export function overloadByRun(quick: boolean, rows: readonly Row[], scale: TrialScale): Part {
  const bps: Readonly<Record<string, number>> = { paper: overloadBps, modern: modernOverloadBps };
  return {
    name: 'overload-runs',
    title: 'Chains that process a run at a time',
    job: 'trial',
    question:
      'How much more does a chain carry that looks each run up once, when 70 Gbps (paper’s chain) or 1,000 Gbps (modern chain) arrive?',
    axes: [
      { kind: 'list', name: 'chain', values: quick ? ['modern'] : chains.values },
      contenders(byRun(rows)),
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: bps[String(p.chain)] ?? overloadBps }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

export function fixedRate(rows: readonly Row[], scale: TrialScale): Part {
  const bps: Readonly<Record<string, number>> = { paper: overloadBps, modern: modernOverloadBps };
  return {
    name: 'fixed-rate',
    title: 'Latency just below the limit',
    job: 'trial',
    question:
      'What is the latency, by buffering time, at 93 % of what the chain carries without Reframer?',
    axes: [chains, contenders(rows)],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(
        p,
        scale,
        { offeredBps: bps[String(p.chain)] ?? overloadBps },
        { offeredShare: justCarried },
      ),
    headline: 'meanUs',
    metrics: [...loadMetrics, 'meanUs', 'p999Us', 'saturatedGbps'],
  };
}

export function zeroLoss(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'zero-loss',
    title: 'Highest rate without loss',
    question: 'Up to which offered rate does no ring overflow?',
    job: 'trial',
    axes: [
      contenders(rows),
      {
        kind: 'search',
        name: 'offeredGbps',
        from: 2,
        to: 130,
        resolution: 2,
        metric: 'ringDropShare',
        atMost: 0,
      },
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: Number(p.offeredGbps ?? 0) * 1e9 }),
    headline: 'zeroLossGbps',
    metrics: ['zeroLossGbps'],
  };
}

export function offeredLoad(quick: boolean, rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'load',
    title: 'Offered load',
    question: 'How do throughput, latency and drops depend on the offered load?',
    job: 'trial',
    axes: [
      {
        kind: 'list',
        name: 'offeredGbps',
        values: quick ? [10, 40, 70] : [10, 20, 30, 40, 55, 70, 100],
      },
      contenders(rows),
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: Number(p.offeredGbps) * 1e9 }),
    headline: 'throughputGbps',
    metrics: [...loadMetrics, 'meanUs', 'p999Us'],
  };
}

/** contender, policy, T in µs, form, cores in front. */
type Placement = readonly [string, string, number, string, number];
const inFront = (us: number, cores: number): Placement => [
  `${us}us, ${cores} in front`,
  'fixed',
  us,
  'packet',
  cores,
];

/** Two virtual stages in sequence: what a front core sends arrives at the chain core's ring. */
export function ownCores(quick: boolean, scale: TrialScale): Part {
  const rows: readonly Placement[] = quick
    ? [[...off, 0], [...held(64), 0], inFront(64, 8)]
    : [
        [...off, 0],
        [...held(16), 0],
        [...held(64), 0],
        [...held(128), 0],
        inFront(16, 8),
        inFront(64, 8),
        inFront(128, 8),
        inFront(64, 4),
        inFront(64, 2),
        inFront(64, 1),
      ];
  return {
    name: 'own-cores',
    title: 'Reframer on cores of its own',
    question:
      'Is it better to run Reframer on cores of its own, in front of the chain, than on the chain’s cores?',
    job: 'trial',
    axes: [{ kind: 'zip', names: ['contender', 'policy', 'delayUs', 'form', 'frontCores'], rows }],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(p, scale, { offeredBps: overloadBps }, { frontCores: Number(p.frontCores) }),
    headline: 'throughputGbps',
    metrics: [
      'throughputGbps',
      'perCoreGbps',
      'cores',
      'slfOut',
      'holdP50Us',
      'holdP99Us',
      'nsPerPacket',
      'frontNs',
      'p50Us',
      'p99Us',
      'dropPercent',
    ],
  };
}
