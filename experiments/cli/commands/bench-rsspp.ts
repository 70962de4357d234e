// `reframer bench rsspp`: every balancing method over the same seconds of campus traffic.
import type { Command } from 'commander';

import { runLab } from '../lab.js';
import { group } from '../main.js';
import { print, printJson, ProgressLine, renderTable } from '../output.js';
import { formatFixed, parseCount } from '../units.js';

interface Options {
  quick?: boolean;
  seed?: string;
  json?: boolean;
  quiet?: boolean;
}

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
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
    .command('rsspp')
    .description('time, moves and distance from the lower bound of the balancing methods on campus traffic')
    .option('--quick', '20 seconds of traffic and a table of 512 only')
    .option('--seed <number>', 'seed of the traffic')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const spec = {
    ...(options.quick === true ? { seconds: 20, entries: [512] } : {}),
    ...(options.seed === undefined ? {} : { seed: parseCount(options.seed, '--seed') }),
  };
  const progress = new ProgressLine('bench rsspp', options.quiet);
  const records = await runLab<{ row?: Row }>('bench-rsspp', spec, { onProgress: (p) => progress.update(p) }).finally(
    () => progress.end(),
  );
  const rows = records.flatMap((record) => (record.row === undefined ? [] : [record.row]));
  if (options.json === true) return printJson({ rows });
  const titles = ['profile', 'entries', 'cores', 'method', 'solve µs', 'over bound', '(max-min)/min', 'moves an epoch'];
  const cells = rows.map((row) => [
    row.profile,
    String(row.entries),
    String(row.cores),
    row.method,
    formatFixed(row.solveUs, 1),
    `${formatFixed(row.worstOverBoundPercent, 2)} %`,
    `${formatFixed(row.imbalancePercent, 1)} %`,
    formatFixed(row.movesPerEpoch, 2),
  ]);
  print(renderTable(titles.map((title) => ({ title })), cells));
  print('over bound: predicted worst core as solved over max(mean, heaviest bucket); imbalance: median of seconds');
}
