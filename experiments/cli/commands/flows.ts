// `reframer flows FILE`: the connections of a capture, with state, packets, bytes and duration.
import type { Command } from 'commander';

import { once } from 'node:events';
import { isIP } from 'node:net';

import { exitCodes, UsageError } from '../errors.js';
import { runLabTalking } from '../lab.js';
import { print, renderTable, talk } from '../output.js';
import { counted, formatCount, formatFixed, parseChoice, parseCount } from '../units.js';

const orders = ['start', 'bytes', 'packets', 'duration'] as const;

interface Options {
  top?: string;
  sort?: string;
  protocol?: string;
  state?: string;
  address?: string;
  port?: string;
  expire?: boolean;
  keepGoing?: boolean;
  json?: boolean;
  csv?: boolean;
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
  shown: number;
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
    .option('--top <number>', 'print this many; default 20, with --json and --csv all')
    .option(
      '--sort <order>',
      `${orders.join(', ')}: most first; default bytes, with --json and --csv start`,
    )
    .option('--protocol <name>', 'only these: tcp, udp, icmp, or a number')
    .option('--state <name>', 'only those in this state: established, time-wait, single, ...')
    .option('--address <address>', 'only those with this end')
    .option('--port <number>', 'only those with this port at either end')
    .option('--expire', "end connections after nf_conntrack's default timeouts")
    .option('--keep-going', 'use what was sound before a damaged place')
    .option('--json', 'print one JSON document, in pieces')
    .option('--csv', 'print lines with commas, a head first')
    .option('--quiet', 'no progress')
    .action(flows);
}

// How a record of connections begins; it ends with ]}.
const rowsBegin = '{"flows":[';
const csvHead = 'protocol,a,b,state,packetsAB,bytesAB,packetsBA,bytesBA,start,duration\n';

/** Standard output, no faster than its reader: what waits for it waits in memory. */
class Output {
  #behind: Promise<unknown> = Promise.resolve();

  write(text: string): void {
    if (!process.stdout.write(text)) this.#behind = once(process.stdout, 'drain');
  }

  written(): Promise<unknown> {
    return this.#behind;
  }
}

async function flows(file: string, options: Options): Promise<void> {
  const whole = options.json === true || options.csv === true;
  if (options.json === true && options.csv === true)
    throw new UsageError('--json and --csv: one of the two');
  if (options.address !== undefined && isIP(options.address) === 0)
    throw new UsageError(`--address: '${options.address}' is not an IP address`);
  const spec = {
    file,
    keepGoing: options.keepGoing === true,
    expire: options.expire === true,
    top: options.top === undefined ? (whole ? 0 : 20) : parseCount(options.top, '--top', 1),
    sort: parseChoice(options.sort ?? (whole ? 'start' : 'bytes'), '--sort', orders),
    csv: options.csv === true,
    protocol: options.protocol,
    state: options.state,
    address: options.address,
    port: options.port === undefined ? undefined : parseCount(options.port, '--port', 1),
  };
  const shown: Flow[] = [];
  let summary: Summary | undefined;
  const output = new Output();
  let pieces = 0;
  await runLabTalking<{ flows?: Flow[]; csv?: string; summary?: Summary }>('flows', spec, {
    label: file,
    quiet: options.quiet,
    keep: false,
    onRecord: (record) => {
      summary ??= record.summary;
      // What is wrong with the input was found before the first record: then there is no head either.
      if (options.csv === true) output.write(`${pieces++ === 0 ? csvHead : ''}${record.csv ?? ''}`);
      shown.push(...(record.flows ?? []));
      return output.written();
    },
    // Rows are JSON already: of ten million of them objects would be made only to be written again.
    onLine: (line) => {
      if (options.json !== true || !line.startsWith(rowsBegin)) return undefined;
      output.write(`${pieces++ === 0 ? rowsBegin : ','}${line.slice(rowsBegin.length, -2)}`);
      return output.written();
    },
  });
  summary?.warnings.forEach((warning) => talk(`reframer: ${warning}`));
  // As of analyze and reorder: what comes before the damage is not all there was.
  if (summary !== undefined && summary.damage !== null) process.exitCode = exitCodes.failed;
  if (options.csv === true) return;
  if (options.json === true) {
    const rest = JSON.stringify({ ...summary, flows: undefined, connections: summary?.flows });
    return output.write(`${pieces === 0 ? rowsBegin : ''}],${rest.slice(1)}\n`);
  }
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
  const rest = summary.flows > shown.length ? `, ${formatCount(shown.length)} of them shown` : '';
  print(
    `${summary.file}: ${counted(summary.packets, 'packet')}, ${counted(summary.flows, 'connection')}${rest}; ` +
      `${counted(summary.untracked, 'packet')} without a readable connection`,
  );
}
