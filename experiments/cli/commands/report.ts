// `reframer report RUN`: makes figures and reports again from the journal; measures nothing.
import { join, relative } from 'node:path';
import type { Command } from 'commander';

import { findExperiment } from '../../core/registry.js';
import { findRun } from '../../core/runs.js';
import { writeReport } from '../../report/write.js';
import { print, printJson, talk } from '../output.js';

export function register(program: Command): void {
  program
    .command('report')
    .description('figures, HTML, PDF and Markdown of a run, from its journal alone')
    .argument('<run>', 'folder or name of a run, `latest`, or `latest:EXPERIMENT`')
    .option('--json', 'print the names of the files as JSON')
    .action(report);
}

async function report(name: string, options: { json?: boolean }): Promise<void> {
  const run = findRun(name);
  const { files, notes, summary } = await writeReport(run, findExperiment(run.history.run.experiment));
  for (const note of notes) talk(`warning: ${note}`);
  const folder = relative(process.cwd(), run.folder) || '.';
  if (options.json === true) return printJson({ folder: run.folder, complete: summary.complete, files, notes });
  for (const file of files) print(join(folder, file));
}
