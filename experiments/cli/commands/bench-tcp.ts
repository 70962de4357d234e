// `reframer bench tcp`: real TCP through a box with and without Reframer, as the paper's web test.
import type { Command } from 'commander';

import { medianInterval, pairedRatio } from '../../core/statistics.js';
import { CliError, exitCodes } from '../errors.js';
import { group } from '../main.js';
import { print, printJson, ProgressLine, renderTable } from '../output.js';
import { missingForTcp, TcpPath, type TcpTrial } from '../tcp-bench.js';
import { formatCount, formatFixed, parseChoice, parseCount, parseDuration } from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options {
  delay: string;
  policy: string;
  connections: string;
  file: string;
  gather: string;
  senderQueue: string;
  time: string;
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

const policies = ['fixed', 'adaptive', 'burst'] as const;

export function register(program: Command): void {
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
    .command('tcp')
    .description(
      'requests a second and completion times of nginx and wrk through a DPDK box, with and without Reframer, in ABBA order; root',
    )
    .option('--delay <time>', 'T of the box', '64us')
    .option('--policy <policy>', policies.join(', '), 'fixed')
    .option('--connections <number>', 'that wrk keeps open: senders whose packets interleave', '64')
    .option('--file <bytes>', 'length of each response', '100k')
    .option(
      '--gather <time>',
      'that GRO of the ends gathers frames; NICs coalesce interrupts by tens of µs; 0ns: not',
      '30us',
    )
    .option(
      '--sender-queue <bytes>',
      'that a connection may have on their way at a time: 3k makes senders take turns packet by packet; 0 leaves it to the kernel',
      '0',
    )
    .option('--time <time>', 'of a trial, whole seconds', '3s')
    .option('--rounds <number>', 'of four trials', '2')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

const measures: readonly [
  name: Exclude<keyof TcpTrial, 'slf'>,
  title: string,
  digits: number,
  better: 'higher' | 'lower',
][] = [
  ['requestsPerSecond', 'requests/s', 0, 'higher'],
  ['medianUs', 'median completion, µs', 0, 'lower'],
  ['p99Us', '99 %, µs', 0, 'lower'],
  ['packetsPerAggregate', 'packets per GRO aggregate', 2, 'higher'],
  ['retransmitted', 'segments retransmitted', 0, 'lower'],
  ['socketErrors', 'socket errors', 0, 'lower'],
];

async function bench(options: Options): Promise<void> {
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const reframed = {
    delayNs: parseDuration(options.delay, '--delay'),
    policy: parseChoice(options.policy, '--policy', policies),
  };
  const tcp = {
    fileBytes: parseCount(options.file, '--file', 1),
    connections: parseCount(options.connections, '--connections', 1),
    timeMs: parseDuration(options.time, '--time') / 1e6,
    gatherNs: parseDuration(options.gather, '--gather'),
    senderQueueBytes: parseCount(options.senderQueue, '--sender-queue'),
  };
  const missing = missingForTcp();
  if (missing.length > 0)
    throw new CliError(
      'not-supported',
      `this experiment needs ${missing.join(', ')}`,
      exitCodes.notSupported,
    );
  const stopping = untilStopped(0);
  const progress = new ProgressLine('bench tcp', options.quiet);
  const path = new TcpPath(tcp);
  const plain: TcpTrial[] = [];
  const with_: TcpTrial[] = [];
  try {
    for (let round = 0; round < rounds && !stopping.stopped(); round++) {
      for (const [i, on] of [false, true, true, false].entries()) {
        if (stopping.stopped()) break;
        (on ? with_ : plain).push(await path.trial(on ? reframed : { reframe: false }));
        progress.update({ done: round * 4 + i + 1, total: rounds * 4, what: 'trials' });
      }
    }
  } catch (error) {
    const words = path.serverErrors();
    throw error instanceof CliError && words !== ''
      ? new CliError(error.code, `${error.message}\nnginx: ${words}`, error.exitCode)
      : error;
  } finally {
    progress.end();
    path.close();
    stopping.release();
  }
  if (stopping.signal() !== 0) process.exitCode = 128 + stopping.signal();
  if (plain.length === 0 || with_.length === 0) return;
  report(options, { plain, with_ });
}

function report(
  options: Options,
  { plain, with_ }: { plain: readonly TcpTrial[]; with_: readonly TcpTrial[] },
): void {
  const pairs = Math.min(plain.length, with_.length);
  const rows = measures.map(([name, title, digits, better]) => {
    const value = (trials: readonly TcpTrial[]): number =>
      medianInterval(trials.map((trial) => trial[name])).value;
    const couples = Array.from(
      { length: pairs },
      (_, i) => [with_[i]?.[name] ?? 0, plain[i]?.[name] ?? 0] as const,
    );
    const ratio = couples.every(([a, b]) => a > 0 && b > 0)
      ? pairedRatio(couples, better)
      : undefined;
    return { name, title, digits, plain: value(plain), reframer: value(with_), ratio };
  });
  const slf = with_.flatMap((trial) => (trial.slf === undefined ? [] : [trial.slf]));
  const of = (end: 'in' | 'out'): number => medianInterval(slf.map((each) => each[end])).value;
  if (options.json === true)
    return printJson({
      delay: options.delay,
      policy: options.policy,
      gather: options.gather,
      senderQueue: options.senderQueue,
      connections: options.connections,
      file: options.file,
      trials: { plain, reframer: with_ },
      rows: rows.map(({ title: _, digits: __, ...row }) => row),
    });
  print(
    renderTable(
      ['', 'plain', 'Reframer', 'ratio', '95 % interval'].map((title, i) => ({
        title,
        align: i === 0 ? 'left' : 'right',
      })),
      rows.map(({ title, digits, plain: a, reframer: b, ratio }) => [
        title,
        digits === 0 ? formatCount(a) : formatFixed(a, digits),
        digits === 0 ? formatCount(b) : formatFixed(b, digits),
        formatFixed(ratio?.value, 3),
        ratio === undefined ? '-' : `${formatFixed(ratio.low, 3)} to ${formatFixed(ratio.high, 3)}`,
      ]),
    ),
  );
  if (slf.length > 0)
    print(
      `from server to client, packets of a flow in a row: ${formatFixed(of('in'), 2)} into the box, ${formatFixed(of('out'), 2)} out of it`,
    );
  print(
    `${pairs} pairs${pairs < 6 ? ' (too few for an interval: theirs is their range)' : ''}, one machine for client, box and server: their cores are shared. Published (NSDI'22, a testbed): completion time -11 %, throughput +20 %`,
  );
}
