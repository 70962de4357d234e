// `reframer bench reframer`: what the stage costs a packet, beside the bound measured in the same run.
import type { Command } from 'commander';

import { runLab } from '../lab.js';
import { group } from '../main.js';
import { print, printJson, ProgressLine, renderTable } from '../output.js';
import { formatCount, formatFixed, parseCount } from '../units.js';

interface Options {
  quick?: boolean;
  seed?: string;
  json?: boolean;
  quiet?: boolean;
}

interface Row {
  flows: number;
  inFlight: number;
  nicHash: boolean;
  nsPerPacket: number;
  nsLow: number;
  nsHigh: number;
  boundNsPerPacket: number;
}

export function register(program: Command): void {
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
    .command('reframer')
    .description('ns per packet of classify, hold and release, for several windows and numbers of flows')
    .option('--quick', 'fewer rounds: wider intervals')
    .option('--seed <number>', 'seed of the traffic')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const spec = {
    ...(options.quick === true ? { quick: true } : {}),
    ...(options.seed === undefined ? {} : { seed: parseCount(options.seed, '--seed') }),
  };
  const progress = new ProgressLine('bench reframer', options.quiet);
  const records = await runLab<{ row?: Row }>('bench-reframer', spec, { onProgress: (p) => progress.update(p) }).finally(
    () => progress.end(),
  );
  const rows = records.flatMap((record) => (record.row === undefined ? [] : [record.row]));
  if (options.json === true) return printJson({ rows });
  const columns = ['flows', 'in flight', 'NIC hash', 'ns/packet', '95 % interval', 'bound', 'times bound'].map((title) => ({ title }));
  const cells = rows.map((row) => [
    formatCount(row.flows),
    formatCount(row.inFlight),
    row.nicHash ? 'yes' : 'no',
    formatFixed(row.nsPerPacket, 2),
    `${formatFixed(row.nsLow, 2)} to ${formatFixed(row.nsHigh, 2)}`,
    formatFixed(row.boundNsPerPacket, 2),
    formatFixed(row.nsPerPacket / row.boundNsPerPacket, 1),
  ]);
  print(renderTable(columns, cells));
  print('bound, same packets, same run: read one word of each header, copy the pointer in and out; with the NIC hash only the latter');
}
