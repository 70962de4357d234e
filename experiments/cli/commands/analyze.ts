// `reframer analyze FILE...`: how much locality do these captures have, and what would Reframer add?
import type { Command } from 'commander';

import { describeError, type ErrorRecord } from '../errors.js';
import { tryLabTalking } from '../lab.js';
import { print, printJson, talk } from '../output.js';
import { renderAnalysis, type Analysis } from '../render-analysis.js';

interface Options {
  json?: boolean;
  keepGoing?: boolean;
  quiet?: boolean;
}

export function register(program: Command): void {
  program
    .command('analyze')
    .description(
      'locality of captures: run lengths, reuse, sizes, and what holding packets would bring',
    )
    .argument(
      '<file...>',
      'captures: pcap, pcapng or ERF, plain or compressed; - is standard input',
    )
    .option('--keep-going', 'report what was sound before a damaged place')
    .option('--json', 'print {"files":[...]}')
    .option('--quiet', 'no progress')
    .action(analyze);
}

async function analyze(files: string[], options: Options): Promise<void> {
  const analyses: Analysis[] = [];
  const errors: ErrorRecord[] = [];
  let worst = 0;
  // A process a file: what one damaged file does is kept from the others.
  for (const file of files) {
    const spec = { files: [file], ...(options.keepGoing === true ? { keepGoing: true } : {}) };
    const { records, error } = await tryLabTalking<Analysis>('analyze', spec, {
      label: file,
      quiet: options.quiet,
    });
    analyses.push(...records);
    for (const record of records) {
      if (options.json !== true) print(`${renderAnalysis(record)}\n`);
      if (record.damage === null) continue;
      talk(`reframer: ${record.damage.message} (what comes before was analyzed)`);
      worst = Math.max(worst, 1);
    }
    if (error === undefined) continue;
    talk(`reframer: ${error.message}`);
    const described = describeError(error);
    errors.push({ file, ...(described?.record ?? { code: 'failed', message: error.message }) });
    worst = Math.max(worst, error.exitCode);
  }
  if (options.json === true)
    printJson(errors.length === 0 ? { files: analyses } : { files: analyses, errors });
  process.exitCode = worst;
}
