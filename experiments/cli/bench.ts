// What the `bench` commands share: one job of reframer-lab whose records are rows of a table.
import type { Command } from 'commander';

import { runLabTalking } from './lab.js';
import { group } from './main.js';
import { print, printJson, renderTable } from './output.js';
import { parseCount } from './units.js';

export interface Bench<Row> {
  name: string;
  description: string;
  /** What --quick leaves out, and the members of the specification that do it. */
  quick: { says: string; spec: object };
  columns: readonly (readonly [title: string, cell: (row: Row) => string])[];
  caption: string;
}

interface Options {
  quick?: boolean;
  seed?: string;
  json?: boolean;
  quiet?: boolean;
}

export function registerBench<Row>(program: Command, bench: Bench<Row>): void {
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
    .command(bench.name)
    .description(bench.description)
    .option('--quick', bench.quick.says)
    .option('--seed <number>', 'seed of the traffic')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action((options: Options) => run(bench, options));
}

async function run<Row>(bench: Bench<Row>, options: Options): Promise<void> {
  const spec = {
    ...(options.quick === true ? bench.quick.spec : {}),
    ...(options.seed === undefined ? {} : { seed: parseCount(options.seed, '--seed') }),
  };
  const job = `bench-${bench.name}`;
  const records = await runLabTalking<{ row?: Row }>(job, spec, { label: `bench ${bench.name}`, quiet: options.quiet });
  const rows = records.flatMap((record) => (record.row === undefined ? [] : [record.row]));
  if (options.json === true) return printJson({ rows });
  const titles = bench.columns.map(([title]) => ({ title }));
  print(renderTable(titles, rows.map((row) => bench.columns.map(([, cell]) => cell(row)))));
  print(bench.caption);
}
