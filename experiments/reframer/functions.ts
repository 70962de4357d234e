// What functions cost by the number of packets of a flow in a row, and what looking ahead brings.
import type { Part } from '../core/types.js';
import {
  adaptive,
  byRun,
  contenders,
  functionOverloadBps,
  held,
  loadMetrics,
  off,
  versusOff,
} from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

// The published generator: 10,000 clients, 400 packets each, `interleave` of them in a row.
const clients = {
  profile: 'clients',
  flows: 10_000,
  packetsPerFlow: 400,
  frameLength: 1000,
} as const;
// 10,000 clients have been seen after this much of it at any interleaving, so that no lookup inserts.
const learnNs = 8e6;
// Per packet and per run, without Reframer: locality alone, then work once a run.
const forms = {
  kind: 'zip',
  names: ['contender', 'policy', 'form'],
  rows: [
    ['per packet', 'off', 'packet'],
    ['per run', 'off', 'run'],
  ],
} as const;
const metrics = [
  'nsPerPacket',
  'cyclesPerPacket',
  'throughputGbps',
  'slfIn',
  'meanUs',
  'dropPercent',
] as const;

/** What is offered to a chain, so that its rings drop at every SLF: else the gap between arrivals is measured. */
interface Overload {
  bps: number;
  queues: number;
  durationNs: number;
}
// A microsecond a packet and more: longer, for enough of them.
const heavy: Overload = { bps: 200e9, queues: 4, durationNs: 8e6 };
// A packet every 8 ns on one queue, which no function keeps up with.
const light: Overload = { bps: 1000e9, queues: 1, durationNs: 1.5e6 };
const overloads: Readonly<Record<string, Overload>> = {
  paper: heavy,
  'cached-rules': heavy,
  'paper-firewall': heavy,
  inspect: heavy,
  dpi: heavy,
};

function costs(
  name: string,
  title: string,
  chains: readonly string[],
  slf: readonly number[],
): Part {
  return {
    name,
    title,
    question:
      'What does a packet cost at overload, by the number of packets of a flow in a row (SLF)?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'chain', values: chains },
      { kind: 'list', name: 'slf', values: slf },
      forms,
    ],
    contenders: { axis: 'contender', baseline: 'per packet' },
    spec: (p) => {
      const { bps, queues, durationNs } = overloads[String(p.chain)] ?? light;
      const scale = { durationNs, warmupNs: durationNs / 5, learnNs };
      const source = { ...clients, interleave: Number(p.slf) };
      return trialSpec(p, scale, { offeredBps: bps, source, queues }, { tableFlows: 0 });
    },
    headline: 'nsPerPacket',
    metrics,
  };
}

/** The paper's motivation: its chain at overload on four cores, 1000-byte frames, 10,000 clients. */
export const motivation = (quick: boolean): Part => ({
  ...costs(
    'motivation',
    'Locality and the chain',
    quick ? ['paper'] : ['paper', 'cached-rules'],
    quick ? [1, 2, 8, 32] : [1, 2, 4, 8, 16, 32],
  ),
  question:
    'How do throughput, latency and cost of a chain depend on the number of packets of a flow in a row (SLF)?',
  headline: 'throughputGbps',
});

export const functionCosts = (quick: boolean): Part =>
  costs(
    'functions',
    'Cost of functions and chains',
    quick
      ? ['paper-nat', 'modern']
      : ['paper-firewall', 'paper-nat', 'modern', 'firewall', 'nat', 'lb', 'cookie-lb'],
    quick ? [1, 8] : [1, 2, 4, 8, 32],
  );

/** Of functions that need libraries beside the suite's own; not part of a run unless asked for. */
export const libraryFunctionCosts = (quick: boolean): Part =>
  costs(
    'library-functions',
    'Cost of functions built on Hyperscan and DPDK',
    ['dpi', 'inspect', 'rte-lpm', 'rte-fib', 'rte-acl', 'modern-rte'],
    quick ? [1, 8] : [1, 2, 4, 8, 32],
  );

/** Cheap functions, at overload: what holding brings them, and what the adaptive policy costs where it brings nothing. */
export function functionsHeld(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'functions-held',
    title: 'Single functions behind Reframer',
    job: 'trial',
    question:
      'Does a single cheap function gain by holding, and does the adaptive policy spare those that do not?',
    axes: [
      {
        kind: 'list',
        name: 'chain',
        values: quick ? ['nat'] : ['counter', 'router', 'firewall', 'nat', 'lb', 'cookie-lb'],
      },
      contenders(byRun([off, held(64), adaptive])),
    ],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: functionOverloadBps, queues: 2 }),
    headline: 'nsPerPacket',
    metrics: loadMetrics,
  };
}

/** Functions ask for what the next packets of a burst need; the stage, for headers. State of held packets nobody asks for. */
export function lookAhead(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'look-ahead',
    title: 'Prefetching',
    job: 'trial',
    question:
      'What does a chain save by prefetching the headers and the state of the burst at hand?',
    axes: [
      {
        kind: 'list',
        name: 'chain',
        values: quick ? ['modern'] : ['modern', 'counter', 'nat', 'lb'],
      },
      {
        kind: 'zip',
        names: ['stage', 'policy', 'delayUs'],
        rows: [
          ['off', 'off', 0],
          ['64us', 'fixed', 64],
        ],
      },
      {
        kind: 'zip',
        names: ['contender', 'lookAhead'],
        rows: [
          ['blind', false],
          ['looking ahead', true],
        ],
      },
    ],
    contenders: { axis: 'contender', baseline: 'blind' },
    spec: (p) =>
      trialSpec(
        { ...p, form: 'run' },
        scale,
        { offeredBps: functionOverloadBps, queues: 2 },
        { lookAhead: p.lookAhead === true },
      ),
    headline: 'nsPerPacket',
    metrics: [
      'throughputGbps',
      'nsPerPacket',
      'slfOut',
      'holdP50Us',
      'holdP99Us',
      'p50Us',
      'p99Us',
      'dropPercent',
    ],
  };
}
