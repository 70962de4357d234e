// Who waits, what is grouped by what, and more receive queues in Reframer's place.
import type { JsonObject, Part } from '../core/types.js';
import { loadMetrics, overloadBps, versusOff } from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

const variants: Readonly<Record<string, JsonObject>> = {
  off: {},
  '64us': {},
  'FIN, RST, PSH end the wait': { early: ['fin', 'rst', 'psh'] },
  'SYN passes': { bypass: ['syn'] },
  'new flows pass': { bypass: ['new-flow'] },
  'ACKs thinned': { ackThinning: true },
};

/** Without the NIC's hash, in every variant: some of them read headers anyway. */
export function releasePolicies(quick: boolean, scale: TrialScale): Part {
  const names = Object.keys(variants).filter(
    (name) => !quick || ['off', '64us', 'FIN, RST, PSH end the wait'].includes(name),
  );
  return {
    name: 'policies',
    title: 'Early release, bypass and ACK thinning',
    question: 'What do early release, bypass and ACK thinning do to the gain?',
    job: 'trial',
    axes: [
      {
        kind: 'zip',
        names: ['contender', 'policy', 'delayUs'],
        rows: names.map((name) => (name === 'off' ? [name, 'off', 0] : [name, 'fixed', 64])),
      },
    ],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(
        p,
        scale,
        { offeredBps: overloadBps },
        { nicHash: false, ...variants[String(p.contender)] },
      ),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

export function groupingKeys(quick: boolean, scale: TrialScale): Part {
  const rows = [
    ['off', 'off', 0, '5tuple'],
    ['5tuple', 'fixed', 64, '5tuple'],
    ['symmetric', 'fixed', 64, 'symmetric'],
    ['destination', 'fixed', 64, 'destination'],
  ];
  return {
    name: 'keys',
    title: 'Grouping keys',
    question: 'Does a coarser key help functions that look at less than the flow?',
    job: 'trial',
    axes: [
      {
        kind: 'list',
        name: 'chain',
        values: quick ? ['paper'] : ['paper', 'paper-router', 'paper-firewall'],
      },
      { kind: 'zip', names: ['contender', 'policy', 'delayUs', 'key'], rows },
    ],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(p, scale, { offeredBps: overloadBps }, { key: String(p.key), nicHash: false }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}

/** The published runs let small flows pass; the class here is UDP, about the same share. */
export function sensitiveFlows(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'sensitive',
    title: 'A class that does not wait',
    question: 'What does a latency class gain by not waiting, and what does the rest lose?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'offeredGbps', values: quick ? [70] : [10, 30, 70] },
      {
        kind: 'zip',
        names: ['contender', 'policy', 'delayUs', 'passes'],
        rows: [
          ['off', 'off', 0, false],
          ['all wait', 'fixed', 64, false],
          ['UDP passes', 'fixed', 64, true],
        ],
      },
    ],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(
        p,
        scale,
        { offeredBps: Number(p.offeredGbps) * 1e9 },
        { nicHash: false, sensitive: 'udp', sensitivePasses: p.passes === true },
      ),
    headline: 'throughputGbps',
    metrics: [
      'throughputGbps',
      'sensitiveMeanUs',
      'sensitiveP50Us',
      'sensitiveP99Us',
      'meanUs',
      'p50Us',
      'p99Us',
      'slfOut',
    ],
  };
}

/**
 * More queues spread flows: each queue's packets come in longer runs. A queue here has a core of its
 * own, so throughput cannot be compared between numbers of queues: what a packet costs can.
 */
export function receiveQueues(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'rx-queues',
    title: 'More receive queues instead',
    question: 'Do more receive queues lengthen runs as well?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'queues', values: quick ? [8, 64] : [8, 16, 32, 64, 128] },
      {
        kind: 'zip',
        names: ['contender', 'policy', 'delayUs'],
        rows: [
          ['off', 'off', 0],
          ['64us', 'fixed', 64],
        ],
      },
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: overloadBps, queues: Number(p.queues) }),
    headline: 'nsPerPacket',
    metrics: ['nsPerPacket', 'slfIn', 'slfOut', 'cyclesPerPacket'],
  };
}
