// `reframer flows FILE`: the connections of a capture, with state, packets, bytes and duration.
import type { Command } from 'commander';

import { runLabTalking } from '../lab.js';
import { print, printJson, renderTable, talk } from '../output.js';
import { formatCount, formatFixed, parseCount } from '../units.js';

interface Options {
  top: string;
  expire?: boolean;
  keepGoing?: boolean;
  json?: boolean;
  quiet?: boolean;
}

interface Flow {
  protocol: string | number;
  a: string;
  b: string;
  state: string;
  packetsAB: number;
  bytesAB: number;
  packetsBA: number;
  bytesBA: number;
  start: number;
  duration: number;
}

interface Summary {
  file: string;
  packets: number;
  flows: number;
  tracked: number;
  untracked: number;
  bytesPerFlow: number;
  warnings: string[];
  damage: { code: string; message: string; offset: number } | null;
}

export function register(program: Command): void {
  program
    .command('flows')
    .description('connections of a capture: state, packets, bytes, duration')
    .argument('<file>', 'capture')
    .option(
      '--top <number>',
      'print this many, those with most bytes first; --json prints all',
      '20',
    )
    .option('--expire', "end connections after nf_conntrack's default timeouts")
    .option('--keep-going', 'use what was sound before a damaged place')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(flows);
}

async function flows(file: string, options: Options): Promise<void> {
  const top = parseCount(options.top, '--top', 1);
  const spec = { file, keepGoing: options.keepGoing === true, expire: options.expire === true };
  const records = await runLabTalking<{ flow?: Flow; summary?: Summary }>('flows', spec, {
    label: file,
    quiet: options.quiet,
  });
  const all = records.flatMap((record) => (record.flow === undefined ? [] : [record.flow]));
  const summary = records.flatMap((record) =>
    record.summary === undefined ? [] : [record.summary],
  )[0];
  summary?.warnings.forEach((warning) => talk(`reframer: ${warning}`));
  if (options.json === true) return printJson({ ...summary, flows: all });
  const bytes = (flow: Flow): number => flow.bytesAB + flow.bytesBA;
  const shown = [...all].sort((x, y) => bytes(y) - bytes(x)).slice(0, top);
  const left = new Set(['protocol', 'a', 'b', 'state']);
  const columns = [
    'protocol',
    'a',
    'b',
    'state',
    'packets a>b',
    'b>a',
    'bytes a>b',
    'b>a',
    'start s',
    'seconds',
  ].map((title) => ({
    title,
    align: left.has(title) ? ('left' as const) : ('right' as const),
  }));
  const rows = shown.map((flow) => [
    String(flow.protocol),
    flow.a,
    flow.b,
    flow.state,
    formatCount(flow.packetsAB),
    formatCount(flow.packetsBA),
    formatCount(flow.bytesAB),
    formatCount(flow.bytesBA),
    formatFixed(flow.start, 3),
    formatFixed(flow.duration, 3),
  ]);
  print(renderTable(columns, rows));
  if (summary === undefined) return;
  const rest = all.length > shown.length ? `, the ${shown.length} largest shown` : '';
  print(
    `${summary.file}: ${formatCount(summary.packets)} packets, ${formatCount(all.length)} connections${rest}; ` +
      `${formatCount(summary.untracked)} packets without a readable connection`,
  );
}
