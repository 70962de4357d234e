// More flows, more cores, and traffic that leaves nothing to gain.
import type { JsonObject, Part } from '../core/types.js';
import {
  adaptive,
  burst,
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

/** Every packet belongs to a flow drawn uniformly: the number of flows is all that changes. */
export function flowCount(quick: boolean, scale: TrialScale): Part {
  const chainLoad: Readonly<Record<string, number>> = {
    paper: overloadBps,
    modern: modernOverloadBps,
  };
  return {
    name: 'flows',
    title: 'Concurrent flows',
    question: 'What remains of the gain as the number of flows grows?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'chain', values: quick ? ['paper'] : ['paper', 'modern'] },
      { kind: 'list', name: 'flows', values: quick ? [1e3, 1e5] : [1e3, 1e5, 1e6, 1e7] },
      contenders([off, held(64), adaptive]),
    ],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(p, scale, {
        offeredBps: chainLoad[String(p.chain)] ?? overloadBps,
        source: { profile: 'uniform', flows: Number(p.flows) },
      }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

/** 70 Gbps, however many cores share them. Every core is virtual: they run one after another. */
export function coreCount(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'cores',
    title: 'Cores',
    question: 'How does throughput grow with the number of cores, each with a queue of its own?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'cores', values: quick ? [1, 8] : [1, 2, 4, 8, 16] },
      contenders([off, held(128), adaptive]),
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: overloadBps, queues: Number(p.cores) }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

interface Worst {
  source: JsonObject;
  /** Offered to each chain: beyond what it carries of this traffic. */
  bps: Readonly<Record<string, number>>;
}

const frames = { paper: overloadBps, modern: modernOverloadBps };
const worst: Readonly<Record<string, Worst>> = {
  // 60-byte frames: 10 and 83 million a second.
  'SYN flood': { source: { profile: 'syn-flood' }, bps: { paper: 5e9, modern: 40e9 } },
  'one-packet flows': {
    source: { profile: 'clients', flows: 200_000_000, packetsPerFlow: 1 },
    bps: frames,
  },
  'uniform, 100 k flows': { source: { profile: 'uniform', flows: 100_000 }, bps: frames },
  'incast, 256 senders': {
    source: { profile: 'incast', flows: 256, burstPackets: 8 },
    bps: frames,
  },
  'one elephant': { source: { profile: 'elephant', flows: 100_000 }, bps: frames },
};

export function worstCases(quick: boolean, scale: TrialScale): Part {
  const rows: readonly Row[] = quick ? [off, held(64), adaptive] : [off, burst, held(64), adaptive];
  return {
    name: 'worst',
    title: 'Worst cases',
    question: 'What does Reframer do to traffic that is chosen against it?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'chain', values: quick ? ['paper'] : ['paper', 'modern'] },
      { kind: 'list', name: 'traffic', values: Object.keys(worst) },
      contenders(rows),
    ],
    contenders: versusOff,
    spec: (p) => {
      const { source, bps } = worst[String(p.traffic)] ?? { source: {}, bps: {} };
      return trialSpec(p, scale, { offeredBps: bps[String(p.chain)] ?? overloadBps, source });
    },
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}
