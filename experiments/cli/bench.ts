// What the `bench` commands share: one job of reframer-lab whose records are rows of a table.
import type { Command } from 'commander';

import { runLabTalking } from './lab.js';
import { benchGroup } from './main.js';
import { print, printJson, renderTable, talk } from './output.js';
import { parseCount } from './units.js';

/** A list that the command line may narrow: `--flows 4M,16M`. */
export interface BenchList {
  /** The specification's member; its option is the same with hyphens. */
  name: string;
  says: string;
  /** @throws UsageError */
  parse: (word: string) => string | number;
}

export interface Bench<Row> {
  name: string;
  description: string;
  /** What --quick leaves out, and the members of the specification that do it. */
  quick: { says: string; spec: object };
  lists?: readonly BenchList[];
  columns: readonly (readonly [title: string, cell: (row: Row) => string])[];
  caption: string;
}

interface Options {
  quick?: boolean;
  seed?: string;
  json?: boolean;
  quiet?: boolean;
}

const hyphened = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A list of counts. */
export const counts = (name: string, says: string, least = 1): BenchList => ({
  name,
  says,
  parse: (word) => parseCount(word, `--${hyphened(name)}`, least),
});
/** A list of names, which the job checks. */
export const names = (name: string, says: string): BenchList => ({
  name,
  says,
  parse: (word) => word,
});

export function registerBench<Row>(program: Command, bench: Bench<Row>): void {
  const command = benchGroup(program)
    .command(bench.name)
    .description(bench.description)
    .option('--quick', bench.quick.says)
    .option('--seed <number>', 'seed of the traffic')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress');
  for (const { name, says } of bench.lists ?? [])
    command.option(`--${hyphened(name)} <list>`, says);
  command.action((options: Options & Record<string, string | undefined>) => run(bench, options));
}

async function run<Row>(
  bench: Bench<Row>,
  options: Options & Record<string, string | undefined>,
): Promise<void> {
  const lists = (bench.lists ?? []).flatMap(({ name, parse }) => {
    const given = options[name];
    return given === undefined
      ? []
      : [[name, given.split(',').map((word) => parse(word.trim()))] as const];
  });
  const spec = {
    ...(options.quick === true ? bench.quick.spec : {}),
    ...(options.seed === undefined ? {} : { seed: parseCount(options.seed, '--seed') }),
    ...Object.fromEntries(lists),
  };
  const rows: Row[] = [];
  const table = (): void => {
    const titles = bench.columns.map(([title]) => ({ title }));
    print(
      renderTable(
        titles,
        rows.map((row) => bench.columns.map(([, cell]) => cell(row))),
      ),
    );
    print(bench.caption);
  };
  // A long one that is ended early, or fails half way, has measured what it has measured.
  const unfinished = (): void => {
    if (rows.length === 0) return;
    if (options.json === true) printJson({ rows, interrupted: true });
    else table();
    talk(`unfinished: ${rows.length} rows`);
  };
  process.once('exit', unfinished);
  try {
    const onRecord = ({ row }: { row?: Row }): void =>
      void (row === undefined ? 0 : rows.push(row));
    await runLabTalking(`bench-${bench.name}`, spec, {
      label: `bench ${bench.name}`,
      quiet: options.quiet,
      onRecord,
    });
  } catch (error) {
    // The error is the one document of --json.
    if (options.json !== true) unfinished();
    throw error;
  } finally {
    process.removeListener('exit', unfinished);
  }
  if (options.json === true) printJson({ rows });
  else table();
}
