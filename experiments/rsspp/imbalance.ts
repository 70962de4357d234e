// Parts about how evenly packets spread: by method, by cores, and what the solver takes.
import { fewestValues } from '../core/statistics.js';
import type { Part } from '../core/types.js';
import {
  classes,
  comparators,
  contenders,
  versusRss,
  profiles,
  trial,
  type Scale,
} from './contenders.js';

export function imbalanceByMethod(scale: Scale): Part {
  return {
    name: 'imbalance-methods',
    title: 'Imbalance by method',
    question: 'How unevenly do packets spread over eight cores within a second?',
    job: 'rsspp-trial',
    axes: [
      profiles,
      contenders(scale.quick ? comparators.filter((row) => row !== classes) : comparators),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: fewestValues,
    // Traffic classes begin on one core and split once in 3 s: all wait until cores stand still. A quick run leaves them out.
    spec: (p) =>
      trial(
        p,
        {
          ...scale,
          warmupSeconds: scale.quick ? scale.warmupSeconds : 20,
          seconds: scale.quick ? 2 : scale.seconds,
        },
        { cores: 8, load: 0.5, exactLoad: true, stillSeconds: scale.quick ? 0 : 7 },
      ),
    headline: 'imbalancePercent',
    metrics: [
      'imbalancePercent',
      'floorPercent',
      'p95Us',
      'movesPerEpoch',
      'dropKpps',
      'reordered',
      'warmedSeconds',
      'stillSeconds',
    ],
  };
}

const benchMethods = [
  ['static RSS', 'static'],
  ['RSS++ greedy', 'greedy'],
  ['ours', 'ours'],
  ['from scratch (LPT)', 'lpt'],
] as const;

function grouped(
  traces: readonly string[],
  entries: readonly number[],
  cores: readonly number[],
  rows: readonly (readonly [string, string])[],
): NonNullable<Part['unfold']> {
  return traces.flatMap((trace) =>
    entries.flatMap((size) =>
      cores.flatMap((n) =>
        rows.map(([contender, method]) => ({
          params: { trace, entries: size, cores: n, contender },
          path: `${trace}.${size}.${n}.${method}`,
        })),
      ),
    ),
  );
}

export function imbalanceByCores(scale: Scale): Part {
  const cores = Array.from({ length: 15 }, (_, i) => i + 2);
  const traces = ['campus', 'campus4'];
  const rows = benchMethods.filter(([, method]) => method !== 'lpt');
  return {
    name: 'imbalance-cores',
    title: 'Imbalance by cores',
    question: 'How unevenly do packets spread over 2 to 16 cores within a second?',
    job: 'bench-rsspp',
    axes: [],
    deterministic: true,
    seeds: fewestValues,
    spec: () => ({
      profiles: traces,
      entries: [512],
      cores,
      methods: rows.map(([, method]) => method),
      seconds: scale.quick ? 20 : 60,
      grouped: true,
    }),
    headline: 'imbalancePercent',
    metrics: [
      'imbalancePercent',
      'floorPercent',
      'movesPerEpoch',
      'settledOverBoundPercent',
      'settledMoves',
    ],
    unfold: grouped(traces, [512], cores, rows),
    timeoutSeconds: 900,
  };
}

export function solver(scale: Scale): Part {
  const entries = scale.quick ? [128, 512, 2048] : [64, 128, 256, 512, 1024, 2048, 4096];
  const cores = scale.quick ? [8, 16, 64] : [2, 4, 8, 16, 32, 64];
  const rows = benchMethods.filter(([, method]) => method !== 'static');
  return {
    name: 'solver',
    title: 'The solver',
    question:
      'How long does solving an epoch take, how close to the bound does it come, and how much does it move?',
    job: 'bench-rsspp',
    axes: [],
    spec: () => ({
      profiles: ['campus4'],
      entries,
      cores,
      methods: rows.map(([, method]) => method),
      seconds: scale.quick ? 10 : 60,
      grouped: true,
    }),
    headline: 'solveUs',
    metrics: [
      'solveUs',
      'overBoundPercent',
      'settledOverBoundPercent',
      'settledMoves',
      'movesPerEpoch',
      'imbalancePercent',
    ],
    unfold: grouped(['campus4'], entries, cores, rows),
    timeoutSeconds: 900,
  };
}
