// Parts `latency` and `drops`: what packets wait and lose, by the mean load of a core.
import type { Part } from '../core/types.js';
import {
  rss,
  greedy,
  ours,
  greedyFast,
  oursFast,
  pooled,
  ideal,
  contenders,
  versusRss,
  pathUs,
  trial,
  type Scale,
} from './contenders.js';

export function latency(scale: Scale): Part {
  const loads = scale.quick ? [0.82] : [0.74, 0.82, 0.86, 0.9];
  return {
    name: 'latency',
    title: 'Latency by load',
    question: 'What is the latency on four cores with rings of 4,096, by mean load of a core?',
    job: 'rsspp-trial',
    axes: [
      { kind: 'list', name: 'load', values: loads },
      contenders([rss, greedy, greedyFast, ours, oursFast, pooled, ideal]),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: scale.seeds,
    spec: (p) => trial(p, scale, { cores: 4, load: Number(p.load), exactLoad: true, pathUs }),
    headline: 'p95Us',
    metrics: ['p50Us', 'p95Us', 'p99Us', 'dropKpps', 'movesPerEpoch'],
  };
}

/**
 * Published speed in percent, what it is placed by, and the mean load of a core there. The paper gives
 * two measures that do not agree: the offered rate over the 22.1 Gbps of saturation, and the mean load
 * of the cores. Beyond a load of 1 every method must drop what cannot be served.
 */
export const dropLoads = [
  [120, 'offered rate', 0.837],
  [130, 'offered rate', 0.912],
  [140, 'offered rate', 0.982],
  [120, 'core load', 0.94],
  [130, 'core load', 1],
  [140, 'core load', 1.09],
] as const;

export function drops(scale: Scale): Part {
  return {
    name: 'drops',
    title: 'Drops near saturation',
    question: 'How many packets do four cores drop at 120, 130 and 140 % of the trace’s speed?',
    job: 'rsspp-trial',
    axes: [
      {
        kind: 'zip',
        names: ['speedPercent', 'placing', 'load'],
        rows: scale.quick ? dropLoads.filter(([, , load]) => load === 0.94) : dropLoads,
      },
      contenders(
        scale.quick
          ? [rss, greedyFast, oursFast, pooled, ideal]
          : [rss, greedy, greedyFast, ours, oursFast, pooled, ideal],
      ),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: scale.seeds,
    spec: (p) => trial(p, scale, { cores: 4, load: Number(p.load), exactLoad: true }),
    headline: 'dropKpps',
    metrics: ['dropKpps', 'dropFreePercent', 'p95Us', 'movesPerEpoch'],
  };
}
