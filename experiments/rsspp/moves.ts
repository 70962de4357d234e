// Parts about what moves cost: scaling by load, hand-over, rewriting the table, a live device.
import { fewestValues } from '../core/statistics.js';
import type { Part } from '../core/types.js';
import { classes, versusRss, trial, type Scale } from './contenders.js';

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
    question: 'How many of 15 cores are used while the rate rises and falls?',
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
    question: 'Are packets lost, reordered or held for long if 100 buckets per second change core?',
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
    title: 'Slow table writes',
    question: 'What happens to packets while the table is written?',
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

/** Not in virtual time: the kernel's own multi-queue TAP, its packets and threads, as far as two processors go. */
export function tap(scale: Scale): Part {
  return {
    name: 'tap',
    title: 'Live: multi-queue TAP',
    question:
      'A program in the kernel steers real packets to four queues while buckets move: how even is the load, and are packets lost or reordered?',
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
