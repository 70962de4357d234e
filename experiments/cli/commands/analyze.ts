// `reframer analyze FILE...`: how much locality do these captures have, and what would Reframer add?
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
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
      'captures, or folders of them: pcap, pcapng or ERF, plain or compressed; - is standard input',
    )
    .option('--keep-going', 'report what was sound before a damaged place')
    .option('--json', 'print {"files":[...]}')
    .option('--quiet', 'no progress')
    .action(analyze);
}

const noCaptures =
  'a folder without captures; their names end in .pcap, .pcapng, .cap, .dmp or .erf, or in one of these and .gz, .xz or .zst';
const captureName = /\.(pcap|pcapng|cap|dmp|erf)\d*(\.(gz|xz|zst))?$/i;

/** Folders as the captures in them, in the order of their names; `empty` gets those without any. */
function captures(names: readonly string[], empty: Set<string>): string[] {
  return names.flatMap((name) => {
    if (statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true) return [name];
    const found = readdirSync(name, { recursive: true, withFileTypes: true })
      .filter((entry) => captureName.test(entry.name) && (entry.isFile() || entry.isSymbolicLink()))
      .map((entry) => join(entry.parentPath, entry.name))
      // Links to captures are captures; one that leads nowhere is an error that is told.
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      .sort();
    if (found.length === 0) empty.add(name);
    return found.length === 0 ? [name] : found;
  });
}

async function analyze(names: string[], options: Options): Promise<void> {
  const analyses: Analysis[] = [];
  const errors: ErrorRecord[] = [];
  let worst = 0;
  const take = (record: Analysis): void => {
    analyses.push(record);
    if (options.json !== true) print(`${renderAnalysis(record)}\n`);
    if (record.damage === null) return;
    talk(`reframer: ${record.damage.message} (what comes before was analyzed)`);
    worst = Math.max(worst, 1);
  };
  // One process for all, until one of them cannot be read: another goes on behind it.
  const empty = new Set<string>();
  let files = captures(names, empty);
  while (files.length > 0) {
    const before = analyses.length;
    const spec = { files, keepGoing: options.keepGoing === true };
    const { error } = await tryLabTalking<Analysis>('analyze', spec, {
      label: files.length === 1 ? (files[0] ?? '') : 'analyze',
      quiet: options.quiet,
      onRecord: take,
    });
    if (error === undefined) break;
    const done = analyses.length - before;
    const file = files[done] ?? '';
    files = files.slice(done + 1);
    // All that the job can say of a folder is that it is one.
    if (empty.has(file)) error.message = `${file}: ${noCaptures}`;
    talk(`reframer: ${error.message}`);
    const described = describeError(error);
    errors.push({ file, ...(described?.record ?? { code: 'failed', message: error.message }) });
    worst = Math.max(worst, error.exitCode);
  }
  if (options.json === true)
    printJson(errors.length === 0 ? { files: analyses } : { files: analyses, errors });
  process.exitCode = worst;
}
