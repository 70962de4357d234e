// `reframer bench rsspp`: every balancing method over the same seconds of campus traffic.
import type { Command } from 'commander';

import { registerBench } from '../bench.js';
import { formatFixed } from '../units.js';

interface Row {
  method: string;
  entries: number;
  cores: number;
  profile: string;
  solveUs: number;
  worstOverBoundPercent: number;
  imbalancePercent: number;
  movesPerEpoch: number;
}

export function register(program: Command): void {
  registerBench<Row>(program, {
    name: 'rsspp',
    description:
      'time, moves and distance from the lower bound of the balancing methods on campus traffic',
    quick: {
      says: '20 seconds of traffic and a table of 512 only',
      spec: { seconds: 20, entries: [512] },
    },
    columns: [
      ['profile', (row) => row.profile],
      ['entries', (row) => String(row.entries)],
      ['cores', (row) => String(row.cores)],
      ['method', (row) => row.method],
      ['solve µs', (row) => formatFixed(row.solveUs, 1)],
      ['over bound', (row) => `${formatFixed(row.worstOverBoundPercent, 2)} %`],
      ['(max-min)/min', (row) => `${formatFixed(row.imbalancePercent, 1)} %`],
      ['moves an epoch', (row) => formatFixed(row.movesPerEpoch, 2)],
    ],
    caption:
      'over bound: predicted worst core as solved over max(mean, heaviest bucket); imbalance: median of seconds',
  });
}
