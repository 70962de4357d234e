// Experiment `reframer`: what does holding packets for microseconds do to a chain of network
// functions, and to captures that the user brings?
import { readPublished } from '../core/published.js';
import type { Experiment, Figure, Params, ParamValue, Part, Plan, PublishedRow, RunOptions } from '../core/types.js';
import { claims } from './claims.js';
import { metrics } from './metrics.js';
import { trialSpec, type TrialScale } from './trial.js';

/** contender, policy, T in µs, form of the chain. */
type Row = readonly [string, string, number, string];
const held = (us: number): Row => [`${us}us`, 'fixed', us, 'packet'];
const off: Row = ['off', 'off', 0, 'packet'];
const burst: Row = ['burst', 'burst', 0, 'packet'];
const adaptive: Row = ['adaptive', 'adaptive', 128, 'packet'];
// The chain works once a run instead of once a packet, with Reframer's run vector.
const runs: Row = ['64us, runs', 'fixed', 64, 'run'];

const contenders = (rows: readonly Row[]): Part['axes'][number] => ({ kind: 'zip', names: ['contender', 'policy', 'delayUs', 'form'], rows });

const chains = { kind: 'list', name: 'chain', values: ['paper', 'modern'] } as const;
const loadMetrics = ['throughputGbps', 'slfOut', 'slfIn', 'nsPerPacket', 'cyclesPerPacket', 'stageNs', 'p50Us', 'p95Us', 'p99Us', 'dropPercent'] as const;
const versusOff = { axis: 'contender', baseline: 'off' } as const;

// The offered load of the paper's overload point, and the highest that its chain carried unaided.
const overloadBps = 70e9;
const fixedRateBps = 29.7e9;
// Above what the modern chain carries in any configuration measured (about 300 Gbps).
const modernOverloadBps = 400e9;

function overload(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'overload', title: 'Buffering time at overload', question: 'How much more does the chain carry, by buffering time, when 70 Gbps arrive on 8 queues?',
    job: 'trial', axes: [chains, contenders(rows)], contenders: versusOff, spec: (p) => trialSpec(p, scale, { offeredBps: overloadBps }),
    headline: 'throughputGbps', metrics: loadMetrics,
  };
}

/** The modern chain carries the paper's load unaided: this is what it does beyond its limit. */
function modernOverload(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'overload-modern', title: 'The modern chain beyond its limit', question: 'How much more does the modern chain carry when 400 Gbps arrive on 8 queues?',
    job: 'trial', axes: [contenders(rows)], contenders: versusOff, spec: (p) => trialSpec({ ...p, chain: 'modern' }, scale, { offeredBps: modernOverloadBps }),
    headline: 'throughputGbps', metrics: loadMetrics,
  };
}

function fixedRate(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'fixed-rate', title: 'Latency at a rate the chain carries', question: 'What does a packet wait, by buffering time, at 29.7 Gbps?',
    job: 'trial', axes: [chains, contenders(rows)], contenders: versusOff, spec: (p) => trialSpec(p, scale, { offeredBps: fixedRateBps }),
    headline: 'meanUs', metrics: [...loadMetrics, 'meanUs'],
  };
}

function zeroLoss(rows: readonly Row[], scale: TrialScale): Part {
  return {
    name: 'zero-loss', title: 'Highest rate without loss', question: 'Up to which offered rate does no ring overflow?', job: 'trial',
    // 0.1 % of the range: below the noise of one trial.
    axes: [chains, contenders(rows), { kind: 'search', name: 'offeredGbps', from: 2, to: 200, resolution: 0.5, metric: 'ringDropShare', atMost: 0 }],
    contenders: versusOff, spec: (p) => trialSpec(p, scale, { offeredBps: Number(p.offeredGbps ?? 0) * 1e9 }),
    headline: 'zeroLossGbps', metrics: ['zeroLossGbps'],
  };
}

const rates = ['native', '10Gbps', '40Gbps', '100Gbps'] as const;
const heldUs = [16, 64, 128] as const;

function captures({ traces }: RunOptions): Part {
  const file = (params: Params): string => traces.find((t) => t.name === params.trace)?.file ?? '';
  return {
    name: 'captures', title: 'Locality of the captures', question: 'How much locality do these captures have, and how much would holding add?',
    job: 'analyze', axes: [{ kind: 'list', name: 'trace', values: traces.map((t) => t.name) }], deterministic: true, seeded: false,
    spec: (p) => ({ files: [file(p)] }), headline: 'slf', metrics: ['packets', 'flows', 'slf', 'slfGain'], timeoutSeconds: 3600,
    unfold: rates.flatMap((rate) => [
      { params: { rate, delayUs: 0 }, path: '' },
      ...heldUs.map((us) => ({ params: { rate, delayUs: us }, path: `gain.${rate}.${us}` })),
    ]),
  };
}

function speedUp({ traces }: RunOptions, rows: readonly Row[], scale: TrialScale): Part {
  const file = (params: Params): string => traces.find((t) => t.name === params.trace)?.file ?? '';
  return {
    name: 'capture-chain', title: 'The captures through the chains', question: 'How much faster does a chain carry these captures when Reframer stands before it?',
    job: 'trial', axes: [{ kind: 'list', name: 'trace', values: traces.map((t) => t.name) }, chains, contenders(rows)], contenders: versusOff,
    spec: (p) => trialSpec(p, scale, { offeredBps: overloadBps, source: { file: file(p), timing: 'rate' } }), headline: 'throughputGbps', metrics: loadMetrics,
  };
}

function plan(options: RunOptions): Plan {
  const quick = options.profile === 'quick';
  const scale: TrialScale = quick ? { durationNs: 6e6, warmupNs: 2e6, learnNs: 20e6 } : { durationNs: 20e6, warmupNs: 5e6, learnNs: 50e6 };
  const sweep = quick ? [off, burst, held(16), held(64), held(256), adaptive] : [off, burst, ...[8, 16, 32, 64, 104, 128, 256].map(held), adaptive, runs];
  const brief = quick ? [off, held(64)] : [off, burst, held(16), held(64), held(128), adaptive];
  const withTraces = options.traces.length === 0 ? [] : [captures(options), speedUp(options, brief, scale)];
  return {
    profile: quick
      ? { name: 'quick', blocks: { min: 3, max: 5 }, precision: 0.02, budgetSeconds: 60, limitSeconds: 90 + 30 * options.traces.length, warmup: { max: 3, drift: 0.05 } }
      : { name: 'full', blocks: { min: 6, max: 20 }, precision: 0.005, budgetSeconds: 3600, limitSeconds: 4 * 3600, warmup: { max: 5, drift: 0.01 } },
    parts: quick ? [overload(sweep, scale), modernOverload([off, burst, held(16), held(64)], scale), ...withTraces] : [overload(sweep, scale), modernOverload(sweep, scale), fixedRate(brief, scale), zeroLoss(brief, scale), ...withTraces],
  };
}

/** The paper's chain only: what was published about it. The level T = 0 is our `off`. */
function published(): PublishedRow[] {
  const tables = [['reframer-in-chain.csv', 'overload'], ['reframer-fixed-rate.csv', 'fixed-rate']] as const;
  return tables.flatMap(([file, part]) =>
    readPublished(file).rows.flatMap((row) =>
      Object.entries(row)
        .filter((entry): entry is [string, number] => entry[0] !== 'delayUs' && typeof entry[1] === 'number')
        .map(([metric, value]) => {
          const us = Number(row.delayUs ?? 0);
          const params: Record<string, ParamValue> = { chain: 'paper', contender: us === 0 ? 'off' : `${us}us` };
          return { part, params, metric, value };
        }),
    ),
  );
}

const byDelay = { param: 'delayUs', label: 'buffering time T (µs)', scale: 'symlog' } as const;
const sweepFigure = (id: string, title: string, metric: string, part = 'overload'): Figure => ({
  id, title, part, kind: 'line', x: byDelay, metric, series: 'chain', facet: 'chain', levels: ['burst', 'adaptive', '64us, runs'],
});

export const reframer: Experiment = {
  name: 'reframer',
  title: 'Reframer: holding packets for microseconds to gain locality',
  question: 'Does a chain of network functions carry more when packets wait microseconds to be grouped by flow?',
  metrics,
  claims,
  figures: [
    sweepFigure('throughput', 'Throughput at overload', 'throughputGbps'),
    sweepFigure('slf', 'Packets of a flow in a row', 'slfOut'),
    sweepFigure('cost', 'Time per packet', 'nsPerPacket'),
    sweepFigure('latency-p50', 'Median latency at overload', 'p50Us'),
    sweepFigure('latency-p99', '99th percentile of latency at overload', 'p99Us'),
    sweepFigure('drops', 'Packets lost at overload', 'dropPercent'),
    { id: 'modern-throughput', title: 'Throughput of the modern chain at 400 Gbps', part: 'overload-modern', kind: 'bar', category: { param: 'contender', label: 'Reframer' }, metric: 'throughputGbps' },
    { id: 'samples', title: 'Every sample', part: 'overload', kind: 'box', series: 'contender', facet: 'chain', metric: 'throughputGbps' },
    sweepFigure('fixed-rate-mean', 'Mean latency at 29.7 Gbps', 'meanUs', 'fixed-rate'),
    sweepFigure('fixed-rate-p99', '99th percentile of latency at 29.7 Gbps', 'p99Us', 'fixed-rate'),
    { id: 'zero-loss', title: 'Highest rate without loss', part: 'zero-loss', kind: 'bar', category: { param: 'contender', label: 'Reframer' }, facet: 'chain', metric: 'zeroLossGbps' },
    { id: 'capture-locality', title: 'Locality of the captures by buffering time', part: 'captures', kind: 'line', x: byDelay, metric: 'slf', series: 'rate', facet: 'trace' },
    { id: 'capture-gain', title: 'SLF gained by T = 64 µs', part: 'captures', where: { delayUs: 64 }, kind: 'heat', x: { param: 'rate', label: 'rate' }, y: { param: 'trace', label: 'capture' }, metric: 'slfGain' },
    { id: 'capture-throughput', title: 'The captures through the paper’s chain', part: 'capture-chain', where: { chain: 'paper' }, kind: 'bar', category: { param: 'contender', label: 'Reframer' }, facet: 'trace', metric: 'throughputGbps' },
  ],
  published,
  plan,
  setup: 'The chain is a flow counter, a router, a firewall and a NAT; its form called paper has linear tables with one-entry caches, the form called modern a trie, tuple-space search and hash tables. Packets arrive by a virtual clock at the offered rate on eight queues; only the time that the polling loop really took advances that clock. The loop, Reframer and the chain are the real ones; the network interface is simulated.',
  limitations: [
    'The network interface is simulated: frames come from memory that another core wrote, and no bus or driver takes part.',
    'The eight queues are measured one after another on one core; contention between cores for caches and memory is not part of the figures.',
    'Traffic of the paper’s campus cannot be had; it is generated and fitted to the published distributions.',
  ],
  references: [
    'H. Ghasemirahni, T. Barbette, G. P. Katsikas, A. Farshin, A. Roozbeh, M. Girondi, M. Chiesa, G. Q. Maguire Jr., D. Kostić. Packet Order Matters! Improving Application Performance by Deliberately Delaying Packets. NSDI 2022, pages 807–827.',
  ],
};
