// `reframer top`: what Reframer, RSS++ and flow tables inside running DPDK programs do, by telemetry.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';

import { labProgram } from '../../../native/loader.js';
import { NativeSession, SessionError } from '../../../native/session.js';
import { cleanLine } from '../../core/clean.js';
import { CliError, exitCodes, UsageError, type ErrorRecord } from '../errors.js';
import { LiveView } from '../live-view.js';
import { printJson, renderTable } from '../output.js';
import { formatCount, formatFixed, parseLooks } from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options {
  socket?: string;
  filePrefix: string;
  interval: string;
  once?: boolean;
  json?: boolean;
}

type Counters = Readonly<Record<string, number>>;

interface RssTable {
  port: number;
  epochs: number;
  moves: number;
  refused: number;
  owners: number[];
  loads_permille: number[];
}

/** What one look at a program gave. */
export interface Look {
  /** Counters of /reframer/stats, by port and queue. */
  queues: Counters[];
  /** Of /rsspp/table. */
  tables: RssTable[];
  /** Of /conntrack/stats. */
  trackers: (Counters & { name: string })[];
}

interface Reply {
  program?: unknown;
  answer?: unknown;
  error?: ErrorRecord;
}

export function register(program: Command): void {
  program
    .command('top')
    .description(
      'live counters of the suite inside running DPDK programs (`run`, a preloaded program, your own)',
    )
    .option('--socket <path>', "the program's telemetry socket; otherwise found by its file prefix")
    .option('--file-prefix <name>', 'as the program was given to EAL', 'rte')
    .option('--interval <time>', 'between two looks, at least 10ms', '1s')
    .option('--once', 'look once')
    .option('--json', 'print one JSON line a look')
    .action(top);
}

// Anybody may make folders here, so also one that says to be a program of mine.
const shared = '/tmp/dpdk';

/** A folder or socket that only root or this user can have put there, and no link. */
function isOurs(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return (
    found !== undefined &&
    !found.isSymbolicLink() &&
    (found.uid === 0 || found.uid === process.getuid?.())
  );
}

/**
 * Sockets that a process has open, as the kernel lists them for this network namespace. The file of a
 * program that was killed stays; where another of its prefix runs, that one has the next name.
 */
function openSockets(): ReadonlySet<string> {
  try {
    const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
    return new Set(lines.flatMap((line) => /\s(\/.*)$/.exec(line)?.[1] ?? []));
  } catch {
    return new Set();
  }
}

/** Where EAL keeps a program's sockets: root's, else the user's. */
function findSocket(prefix: string): string {
  if (!/^[^/]+$/.test(prefix) || prefix.startsWith('.'))
    throw new UsageError(`--file-prefix: '${prefix}' is not a file prefix: one name, without /`);
  const folders = [
    '/var/run/dpdk',
    ...(process.env['XDG_RUNTIME_DIR'] === undefined
      ? []
      : [join(process.env['XDG_RUNTIME_DIR'], 'dpdk')]),
    shared,
  ];
  const open = openSockets();
  let foreign = '';
  for (const folder of folders) {
    const sockets = join(folder, prefix);
    if (!existsSync(sockets)) continue;
    const all = readdirSync(sockets)
      .filter((name) => name.startsWith('dpdk_telemetry.v2'))
      .sort();
    const found = all.find((name) => open.has(join(sockets, name))) ?? all[0];
    if (found === undefined) continue;
    const socket = join(sockets, found);
    if (folder !== shared || (isOurs(sockets) && isOurs(socket))) return socket;
    foreign = `; ${socket} is another user's and was left alone`;
  }
  throw new CliError(
    'no-telemetry',
    `no DPDK program with file prefix '${prefix}' has a telemetry socket in ${folders.join(', ')}${foreign}; name it by --file-prefix or --socket`,
    exitCodes.notSupported,
  );
}

async function ask(session: NativeSession<Reply>, command: string): Promise<unknown> {
  const { answer, error } = await session.ask(command);
  if (answer === undefined)
    throw new CliError(error?.code ?? 'telemetry', error?.message ?? `no answer to ${command}`);
  return typeof answer === 'object' && answer !== null ? (Object.values(answer)[0] ?? null) : null;
}

// Answers come from another program, which may be anything: what is not of the kind expected is left out.
const isName = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number';
const listed = (value: unknown): (string | number)[] =>
  Array.isArray(value) ? value.filter(isName) : [];
const numbers = (value: unknown): number[] =>
  Array.isArray(value) ? value.filter((item): item is number => typeof item === 'number') : [];

function counters(value: object): Counters {
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  );
}

function rssTable(value: object): RssTable {
  const { port = 0, epochs = 0, moves = 0, refused = 0 } = counters(value);
  const { owners, loads_permille } = value as Record<string, unknown>;
  return {
    port,
    epochs,
    moves,
    refused,
    owners: numbers(owners),
    loads_permille: numbers(loads_permille),
  };
}

function tracker(value: object): Look['trackers'][number] {
  const { name } = value as Record<string, unknown>;
  return {
    ...counters(value),
    name: typeof name === 'string' ? cleanLine(name) : '?',
  } as Look['trackers'][number];
}

async function look(session: NativeSession<Reply>): Promise<Look> {
  const all = async <T>(
    list: string,
    command: string,
    read: (value: object) => T,
  ): Promise<T[]> => {
    const found: T[] = [];
    for (const name of listed(await ask(session, list))) {
      // Gone since it was listed: not there.
      const value = await ask(session, `${command},${name}`);
      if (typeof value === 'object' && value !== null) found.push(read(value));
    }
    return found;
  };
  return {
    queues: await all('/reframer/list', '/reframer/stats', counters),
    tables: await all('/rsspp/list', '/rsspp/table', rssTable),
    trackers: await all('/conntrack/list', '/conntrack/stats', tracker),
  };
}

const of = (counters: Counters | undefined, name: string): number => counters?.[name] ?? 0;

function queueRows(now: Look, before: Look | undefined, seconds: number): string[] {
  if (now.queues.length === 0) return [];
  const columns = [
    'port',
    'queue',
    'in/s',
    'out/s',
    'held',
    'of',
    'SLF in',
    'out',
    'T µs',
    'hold p50',
    'p99',
    'early',
    'full',
    'unparsed',
  ];
  return renderTable(
    columns.map((title) => ({ title })),
    now.queues.map((queue) => {
      const earlier = before?.queues.find(
        (q) => q['port'] === queue['port'] && q['queue'] === queue['queue'],
      );
      const since = (name: string): number => of(queue, name) - of(earlier, name);
      // Over the time since the last look; over all time at the first.
      const slf = (packets: number, runs: number): string =>
        formatFixed(runs > 0 ? packets / runs : undefined, 2);
      const rate = (name: string): string =>
        earlier === undefined ? '-' : formatCount(since(name) / seconds);
      return [
        formatCount(of(queue, 'port')),
        formatCount(of(queue, 'queue')),
        rate('packets_in'),
        rate('packets_out'),
        formatCount(of(queue, 'packets_held')),
        formatCount(of(queue, 'max_packets')),
        slf(since('packets_in'), since('runs_in')),
        slf(since('packets_out'), since('runs_out')),
        formatFixed(of(queue, 'delay_ns') / 1000, 1),
        formatFixed(of(queue, 'hold_p50_ns') / 1000, 1),
        formatFixed(of(queue, 'hold_p99_ns') / 1000, 1),
        formatCount(
          since('released_by_early') + since('released_by_bypass') + since('released_by_burst'),
        ),
        formatCount(since('released_by_capacity')),
        formatCount(since('unparsed')),
      ];
    }),
  ).split('\n');
}

function otherRows({ tables, trackers }: Look): string[] {
  return [
    ...tables.map(
      ({ port, loads_permille: loads, epochs, moves, refused }) =>
        `RSS++ port ${port}: loads ${loads.map((load) => `${formatFixed(load / 10, 0)} %`).join(' ')}; ${formatCount(epochs)} epochs, ${formatCount(moves)} moves, ${formatCount(refused)} refused`,
    ),
    ...trackers.map(
      (t) =>
        `flows ${t.name}: ${formatCount(of(t, 'flows'))} of ${formatCount(of(t, 'slots'))}; new ${formatCount(of(t, 'inserted'))}, expired ${formatCount(of(t, 'expired'))}, evicted ${formatCount(of(t, 'evicted'))}, refused ${formatCount(of(t, 'refused'))}`,
    ),
  ];
}

/** What a program says of itself first; undefined if it says nothing. */
function greeting(value: unknown): { version: string; pid: number } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, pid } = value as Record<string, unknown>;
  return {
    version: typeof version === 'string' ? cleanLine(version) : 'of unknown version',
    pid: typeof pid === 'number' ? pid : 0,
  };
}

async function top(options: Options): Promise<void> {
  const intervalMs = parseLooks(options.interval, '--interval');
  const socket = options.socket ?? findSocket(options.filePrefix);
  const stopping = untilStopped(0);
  let session: NativeSession<Reply> | undefined;
  try {
    session = await NativeSession.open<Reply>(labProgram, 'telemetry', { socket });
    const { error } = session.first;
    const program = greeting(session.first.program);
    if (program === undefined)
      throw new CliError(
        error?.code ?? 'telemetry',
        error?.message ?? `${socket}: no greeting`,
        error?.code === 'no-telemetry' ? exitCodes.notSupported : exitCodes.failed,
      );
    const view = new LiveView();
    let before: Look | undefined;
    let beforeAt = 0;
    for (;;) {
      const now = await look(session);
      const seconds = (Date.now() - beforeAt) / 1000;
      beforeAt = Date.now();
      const rows = (): string[] => {
        const lines = [...queueRows(now, before, seconds), ...otherRows(now)];
        return [
          `${program.version}, process ${program.pid}`,
          ...(lines.length > 0 ? lines : ['nothing of this suite runs in this program now']),
        ];
      };
      if (options.json === true) printJson({ program, ...now });
      else view.show(rows, () => rows().join('\n'));
      before = now;
      if (options.once === true) break;
      await stopping.sleep(intervalMs);
      if (stopping.stopped()) break;
    }
  } catch (error) {
    throw error instanceof SessionError
      ? new CliError('native-ended', `reframer-lab telemetry: ${error.message}`)
      : error;
  } finally {
    session?.end();
    stopping.release();
  }
}
