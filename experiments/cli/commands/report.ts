// `reframer report RUN`: makes figures and reports again from the journal; measures nothing.
import { join, relative } from 'node:path';
import type { Command } from 'commander';

import { findExperiment } from '../../core/registry.js';
import { findRun, openRun } from '../../core/runs.js';
import { keepRun } from '../../report/keep.js';
import { writeReport } from '../../report/write.js';
import { print, printJson, talk } from '../output.js';

export function register(program: Command): void {
  program
    .command('report')
    .description('figures, HTML, PDF and Markdown of a run, from its journal alone')
    .argument('<run>', 'folder or name of a run, `latest`, or `latest:EXPERIMENT`')
    .option(
      '--keep <folder>',
      'write journal and report into a new folder, the journal cut to what the report reads',
    )
    .option('--png', 'figures as PNG, too')
    .option('--json', 'print the names of the files as JSON')
    .action(report);
}

function report(name: string, options: { keep?: string; png?: boolean; json?: boolean }): void {
  const found = findRun(name);
  const experiment = findExperiment(found.history.run.experiment);
  if (options.keep !== undefined) keepRun(found, experiment, options.keep);
  const run = options.keep === undefined ? found : openRun(options.keep);
  const { files, notes, summary } = writeReport(run, experiment, options.png === true);
  for (const note of notes) talk(`warning: ${note}`);
  const folder = relative(process.cwd(), run.folder) || '.';
  if (options.json === true)
    return printJson({ folder: run.folder, complete: summary.complete, files, notes });
  for (const file of files) print(join(folder, file));
}
