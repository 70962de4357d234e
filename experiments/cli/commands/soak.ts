// `reframer soak`: random policies, keys, capacities, clocks and migrations; counts broken promises.
import type { Command } from 'commander';

import { CliError } from '../errors.js';
import { tryLab } from '../lab.js';
import { print, printJson, ProgressLine } from '../output.js';
import { counted, formatFixed, parseCount } from '../units.js';

interface Options {
  packets: string;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

interface Soak {
  packets: number;
  lost: number;
  duplicated: number;
  reordered: number;
  overHeld: number;
  seconds: number;
  thinned: number;
  moves: number;
  rounds: number;
  seed: number;
  firstBroken?: { round: number; seed: number };
}

export function register(program: Command): void {
  program
    .command('soak')
    .description(
      'drive the engines at random and count what is lost, duplicated, reordered or held too long',
    )
    .option('--packets <number>', 'how many', '10M')
    .option('--seed <number>', 'the same seed does the same', '1')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(soak);
}

async function soak(options: Options): Promise<void> {
  const spec = {
    packets: parseCount(options.packets, '--packets', 1),
    seed: parseCount(options.seed, '--seed'),
  };
  const progress = new ProgressLine('soak', options.quiet);
  const { records, error } = await tryLab<Soak>('soak', spec, {
    onProgress: (p) => progress.update(p),
  }).finally(() => progress.end());
  const [result] = records;
  if (result === undefined)
    throw error ?? new CliError('lab-output', 'reframer-lab soak ended well without a record');
  process.exitCode = error?.exitCode ?? 0;
  if (options.json === true) return printJson(result);
  print(
    `${counted(result.packets, 'packet')} in ${counted(result.rounds, 'round')}, ${counted(result.moves, 'bucket')} moved, ` +
      `${formatFixed(result.seconds, 1)} s (seed ${result.seed})`,
  );
  print(
    `lost ${result.lost}, duplicated ${result.duplicated}, reordered ${result.reordered}, held too long ${result.overHeld}`,
  );
  if (result.firstBroken !== undefined) print(`first in round ${result.firstBroken.round}`);
}
