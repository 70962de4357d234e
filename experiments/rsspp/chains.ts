// Part `throughput`: chains on several cores.
import { fewestValues } from '../core/statistics.js';
import type { Part } from '../core/types.js';
import { rss, greedy, ours, contenders, versusRss, trial, type Scale } from './contenders.js';

/** Workloads by what the paper's one core carries of them; the offered rate is the replay's. */
export const chains = [
  ['fw', 'firewall_100G_replay', 'rsspp-throughput-by-cores.csv'],
  ['fw+nat', 'fw+nat', 'rsspp-chain-by-cores.csv'],
  ['fw+nat+dpi', 'fw+nat+dpi', 'rsspp-chain-by-cores.csv'],
] as const;
const offeredGbps = 99.5;
// The campus trace at 15.2 Gbps, sped up to the replay's rate: an epoch is so much longer in its time.
const speedUp = offeredGbps / 15.2;

export function throughput(scale: Scale, oneCoreGbps: (chain: string) => number): Part {
  const cores = scale.quick ? [4, 8, 12] : [1, 4, 6, 8, 10, 12, 16];
  const load = (chain: string, n: number): number => offeredGbps / (n * oneCoreGbps(chain));
  // A core that is offered more than ten times what it carries carries just that: nothing to measure.
  const rows = (scale.quick ? ['fw+nat'] : chains.map(([chain]) => chain)).flatMap((chain) =>
    cores.filter((n) => load(chain, n) <= 10).map((n) => [chain, n]),
  );
  return {
    name: 'throughput',
    title: 'Throughput by cores',
    question:
      'How much of 99.5 Gbps do the cores carry, given the published one-core cost of each chain?',
    job: 'rsspp-trial',
    axes: [
      { kind: 'zip', names: ['chain', 'cores'], rows },
      contenders(scale.quick ? [rss, ours] : [rss, greedy, ours]),
    ],
    contenders: versusRss,
    deterministic: true,
    seeds: fewestValues,
    spec: (p) =>
      trial(
        { ...p, epochMs: Math.round(Number(p.epochMs) * speedUp) },
        { ...scale, warmupSeconds: scale.quick ? 2 : 4, seconds: scale.quick ? 3 : 8 },
        { cores: Number(p.cores), load: load(String(p.chain), Number(p.cores)), exactLoad: true },
      ),
    headline: 'carriedGbps',
    metrics: ['carriedGbps', 'dropKpps', 'imbalancePercent'],
  };
}
