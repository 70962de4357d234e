// `reframer list`: experiments that there are, and runs that were made.
import { basename, relative } from 'node:path';
import type { Command } from 'commander';

import { experiments } from '../../core/registry.js';
import { keepState, readState, stateOf } from '../../core/run-state.js';
import { openRun, runFolders } from '../../core/runs.js';
import { print, printJson, renderTable } from '../output.js';

interface RunLine {
  run: string;
  folder: string;
  experiment: string;
  profile: string;
  seed: number;
  started: string;
  points: string;
  samples: number;
  problem?: string;
}

export function register(program: Command): void {
  program
    .command('list')
    .description('experiments, and the runs made so far')
    .option('--json', 'print JSON')
    .action(list);
}

function lineOf(folder: string): RunLine {
  const base = { run: basename(folder), folder: relative(process.cwd(), folder) || '.' };
  try {
    const kept = readState(folder);
    const state = kept ?? stateOf(folder, openRun(folder).history);
    if (kept === undefined) keepState(folder, state);
    const { experiment, profile, seed, started, done, planned, samples } = state;
    return { ...base, experiment, profile, seed, started, points: `${done}/${planned}`, samples };
  } catch (error) {
    return {
      ...base,
      experiment: '?',
      profile: '?',
      seed: 0,
      started: '?',
      points: '?',
      samples: 0,
      problem: (error as Error).message,
    };
  }
}

function list(options: { json?: boolean }): void {
  const runs = runFolders().map(lineOf);
  if (options.json === true) {
    printJson({
      experiments: experiments.map(({ name, title, question }) => ({ name, title, question })),
      runs,
    });
    return;
  }
  for (const { name, question } of experiments) print(`${name}: ${question}`);
  if (runs.length === 0) return print('no runs yet; `npx reframer exp reframer` makes one');
  print(
    renderTable(
      [
        { title: 'run', align: 'left' },
        { title: 'profile', align: 'left' },
        { title: 'seed' },
        { title: 'points' },
        { title: 'samples' },
        { title: 'started', align: 'left' },
      ],
      runs.map((r) => [
        r.run,
        r.profile,
        String(r.seed),
        r.points,
        String(r.samples),
        r.problem ?? r.started,
      ]),
    ),
  );
}
