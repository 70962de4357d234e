// `reframer rss FILE`: how unbalanced is RSS on this capture, and what would rewriting its table bring?
import type { Command } from 'commander';

import { exitCodes } from '../errors.js';
import { runLabOnce } from '../lab.js';
import { print, printJson, renderTable, talk } from '../output.js';
import { counted, formatCount, formatFixed, parseCount, parseMilliseconds } from '../units.js';

interface Options {
  cores: string;
  reta: string;
  interval: string;
  keepGoing?: boolean;
  json?: boolean;
  quiet?: boolean;
}

interface MethodFigures {
  imbalancePercent: number;
  worstOverMeanPercent: number;
  movesPerEpoch: number;
  worstOverBoundPercent: number;
  solveUs: number;
  imbalanceByEpoch: number[];
}

interface RssResult {
  file: string;
  packets: number;
  cores: number;
  reta: number;
  epochs: number;
  epoch: string;
  methods: Record<string, MethodFigures>;
  warnings: { code: string; message: string; offset: number }[];
}

const labels: Readonly<Record<string, string>> = {
  static: 'RSS, table never rewritten',
  greedy: "RSS++, the authors' greedy",
  ours: 'ours',
};

export function register(program: Command): void {
  program
    .command('rss')
    .description('balance of a capture over cores: plain RSS, the greedy of RSS++, ours')
    .argument('<file>', 'capture')
    .option('--cores <number>', 'receive cores', '8')
    .option('--reta <number>', 'entries of the indirection table', '128')
    .option('--interval <duration>', 'epoch: how often the table may be rewritten', '100ms')
    .option('--keep-going', 'use what was sound before a damaged place')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(rss);
}

// Where a core gets nothing the ratio has no bound: the library counts up to this.
const mostImbalance = 2000;

const imbalanceText = (percent: number): string =>
  percent >= mostImbalance ? `above ${formatCount(mostImbalance)} %` : `${formatCount(percent)} %`;

async function rss(file: string, options: Options): Promise<void> {
  const spec = {
    file,
    cores: parseCount(options.cores, '--cores', 1),
    reta: parseCount(options.reta, '--reta', 2),
    intervalMs: Math.round(parseMilliseconds(options.interval, '--interval')),
    keepGoing: options.keepGoing === true,
  };
  const result = await runLabOnce<RssResult>('rss', spec, { label: file, quiet: options.quiet });
  // Each is a damage, with what comes before it used.
  result.warnings.forEach((warning) => {
    talk(`reframer: ${warning.message} (what comes before was used)`);
    process.exitCode = exitCodes.failed;
  });
  if (options.json === true) return printJson(result);
  print(
    `${result.file}: ${counted(result.packets, 'packet')} on ${counted(result.cores, 'core')}, ` +
      `table of ${result.reta}, ${counted(result.epochs, 'epoch')} of ${result.epoch}`,
  );
  const columns = ['method', '(max-min)/min', 'worst core over mean', 'moves an epoch'].map(
    (title, i) => ({
      title,
      align: i === 0 ? ('left' as const) : ('right' as const),
    }),
  );
  // JSON objects come sorted by name; people compare with plain RSS.
  const rows = Object.entries(labels)
    .flatMap(([name, label]) =>
      result.methods[name] === undefined ? [] : [[label, result.methods[name]] as const],
    )
    .map(([label, f]) => [
      label,
      imbalanceText(f.imbalancePercent),
      `${formatFixed(f.worstOverMeanPercent, 0)} %`,
      formatFixed(f.movesPerEpoch, 1),
    ]);
  print(renderTable(columns, rows));
  print('medians over epochs; packets count as load; moves take effect in the epoch after');
  if (Object.values(result.methods).some((f) => f.imbalancePercent >= mostImbalance))
    print(
      `above ${formatCount(mostImbalance)} %: in half of the epochs or more, a core had next to nothing to do; a longer --interval or fewer --cores tell more`,
    );
}
