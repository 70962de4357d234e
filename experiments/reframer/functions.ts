// What functions cost by the number of packets of a flow in a row, and what looking ahead brings.
import type { Part } from '../core/types.js';
import { adaptiveRuns, contenders, functionOverloadBps, loadMetrics, modernOverloadBps, off, offRuns, runs, versusOff } from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

// The published generator: 10,000 clients, 400 packets each, `interleave` of them in a row.
const clients = { profile: 'clients', flows: 10_000, packetsPerFlow: 400, frameLength: 1000 } as const;
// 10,000 clients have been seen after this much of it at any interleaving, so that no lookup inserts.
const learnNs = 8e6;
// Per packet and per run, without Reframer: locality alone, then work once a run.
const forms = { kind: 'zip', names: ['contender', 'policy', 'form'], rows: [['per packet', 'off', 'packet'], ['per run', 'off', 'run']] } as const;
const metrics = ['nsPerPacket', 'cyclesPerPacket', 'throughputGbps', 'slfIn', 'meanUs'] as const;

function costs(name: string, title: string, chains: readonly string[], slf: readonly number[], scale: TrialScale): Part {
  return {
    name, title, question: 'What does a packet cost, by the number of packets of a flow in a row?', job: 'trial',
    axes: [{ kind: 'list', name: 'chain', values: chains }, { kind: 'list', name: 'slf', values: slf }, forms],
    contenders: { axis: 'contender', baseline: 'per packet' },
    spec: (p) => trialSpec(p, { ...scale, learnNs }, { offeredBps: 400e9, source: { ...clients, interleave: Number(p.slf) }, queues: 4 }, { tableFlows: 0 }),
    headline: 'nsPerPacket', metrics,
  };
}

export const functionCosts = (quick: boolean): Part =>
  costs(
    'functions', 'Cost of functions and chains', quick ? ['paper', 'paper-nat', 'modern'] : ['paper', 'paper-firewall', 'paper-nat', 'modern', 'firewall', 'nat', 'lb', 'cookie-lb'],
    quick ? [1, 8] : [1, 2, 4, 8, 32], { durationNs: 1.5e6, warmupNs: 0.3e6, learnNs },
  );

/** Of functions that need libraries beside the suite's own; not part of a run unless asked for. */
export const libraryFunctionCosts = (quick: boolean): Part =>
  costs('library-functions', 'Cost of functions built on Hyperscan and DPDK', ['dpi', 'inspect', 'rte-lpm', 'rte-fib', 'rte-acl', 'modern-rte'], quick ? [1, 8] : [1, 2, 4, 8, 32], { durationNs: 1.5e6, warmupNs: 0.3e6, learnNs });

/** Cheap functions, at overload: what holding brings them, and what the adaptive policy costs where it brings nothing. */
export function functionsHeld(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'functions-held', title: 'Single functions behind Reframer', question: 'Does a single cheap function gain by holding, and does the adaptive policy spare those that do not?', job: 'trial',
    axes: [{ kind: 'list', name: 'chain', values: quick ? ['nat'] : ['counter', 'router', 'firewall', 'nat', 'lb', 'cookie-lb'] }, contenders([off, offRuns, runs, adaptiveRuns])],
    contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: functionOverloadBps, queues: 2 }),
    headline: 'nsPerPacket', metrics: loadMetrics,
  };
}

export function lookAhead(quick: boolean, scale: TrialScale): Part {
  return {
    name: 'look-ahead', title: 'What looking ahead brings', question: 'What does asking for headers and state of held packets beforehand save?', job: 'trial',
    axes: [
      { kind: 'list', name: 'chain', values: quick ? ['modern'] : ['modern', 'counter', 'nat', 'lb'] },
      contenders([['off', 'off', 0, 'packet'], ['off, blind', 'off', 0, 'packet'], ['64us', 'fixed', 64, 'run'], ['64us, blind', 'fixed', 64, 'run']]),
    ],
    contenders: { axis: 'contender', baseline: '64us, blind' },
    spec: (p) => trialSpec(p, scale, { offeredBps: modernOverloadBps }, { lookAhead: !String(p.contender).endsWith('blind') }),
    headline: 'nsPerPacket', metrics: ['throughputGbps', 'nsPerPacket', 'slfOut', 'p50Us', 'p99Us'],
  };
}
