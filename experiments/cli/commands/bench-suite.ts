// `reframer bench suite`: the box with everything on, over memif, while buckets move and cores come and go;
// and how much more two cores carry than one.
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';

import { medianInterval } from '../../core/statistics.js';
import { openBed, type BoxSample, type TesterResult } from '../../testbed/local-bed.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { benchGroup } from '../main.js';
import { print, printJson, talk } from '../output.js';
import { parseRules } from '../suite-options.js';
import { temporaryFolder } from '../temporary.js';
import { formatCount, formatFixed, parseCount, parseMilliseconds } from '../units.js';

interface Options {
  packets: string;
  moves: string;
  cores: string;
  scaling?: boolean;
  time: string;
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

export function register(program: Command): void {
  benchGroup(program)
    .command('suite')
    .description(
      'the box with stage, RSS++, flow tracking, NAT and firewall over memif: what is lost or reordered while buckets move and cores come and go; exit code 1 where anything is',
    )
    .option('--packets <number>', 'how many pass', '10M')
    .option('--moves <number>', 'random bucket moves a second', '100')
    .option('--cores <number>', 'of the box, one receive queue each', '2')
    .option(
      '--scaling',
      'in place of that: what so many cores carry over one; needs a processor for each, and one for the tester',
    )
    .option('--time <time>', 'of a measurement of --scaling', '3s')
    .option('--rounds <number>', 'of --scaling, one and many cores in turn', '5')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

const everything = (cores: number): object => ({
  queues: cores,
  cores,
  // Two send queues of a port have no order between them.
  txQueues: 1,
  balance: 'software',
  reframe: true,
  track: true,
  chain: ['nat', 'firewall'],
  natAddress: '192.0.2.0',
  natAddresses: 16,
  rules: parseRules('deny any any any 9', 'bench'),
});

const tester = (cores: number): object => ({
  queues: cores,
  rxQueues: 1,
  frames: 16_384,
  source: { profile: 'campus' },
});

interface Measured {
  result: TesterResult;
  summary: BoxSample & { lost: number };
}

/** @param load as the job `tester` takes it */
async function measure(box: object, cores: number, load: object): Promise<Measured> {
  const { path, remove } = temporaryFolder('reframer-bench-');
  try {
    const bed = await openBed(path, { ...everything(cores), ...box }, tester(cores));
    try {
      const { failed } = await bed.tester.ask({ do: 'start', ...load });
      const { result } = await bed.tester.ask({ do: 'stop' });
      const summary = await bed.end();
      if (failed !== undefined || result === undefined)
        throw new CliError('bench', `the tester: ${failed ?? 'it has no result'}`);
      return { result, summary };
    } finally {
      // Of one that failed half way: neither end goes on, and this process does not wait for it.
      await Promise.all([bed.box.close(), bed.tester.close()]);
    }
  } finally {
    remove();
  }
}

function needProcessors(needed: number, what: string): void {
  const there = availableParallelism();
  if (there < needed)
    throw new CliError(
      'not-supported',
      `bench suite: ${what} needs ${needed} processors; this process may use ${there}`,
      exitCodes.notSupported,
    );
}

async function bench(options: Options): Promise<void> {
  const cores = parseCount(options.cores, '--cores', 1);
  if (options.scaling === true) return scaling(options, cores);
  needProcessors(cores, `a box of ${cores} cores`);
  const packets = parseCount(options.packets, '--packets', 1);
  if (options.quiet !== true) talk(`bench suite: ${formatCount(packets)} packets ...`);
  const { result, summary } = await measure(
    { shuffle: parseCount(options.moves, '--moves', 1) },
    cores,
    { packets, inFlight: 4096, graceMs: 2000 },
  );
  const { flows, balance } = summary;
  const denied = flows?.denied ?? 0;
  const lost = result.sent - result.received - denied;
  const record = {
    packets: result.sent,
    seconds: result.seconds,
    lost,
    denied,
    outOfOrder: result.outOfOrder,
    duplicates: result.duplicates,
    unsent: summary.lost,
    withoutState: balance?.stateErrors ?? 0,
    withoutRoom: (flows?.noRoom ?? 0) + (flows?.untranslated ?? 0),
    moves: balance?.moves ?? 0,
    movesPerSecond: result.seconds > 0 ? (balance?.moves ?? 0) / result.seconds : 0,
    coresChanged: balance?.coresChanged ?? 0,
    heldForTheirBucket: balance?.held ?? 0,
    translated: flows?.translated ?? 0,
    packetsPerSecond: result.seconds > 0 ? result.received / result.seconds : 0,
  };
  // Each by itself: a packet that came twice is one less lost.
  const broken = [lost, record.outOfOrder, record.duplicates, record.withoutState].some(
    (count) => count !== 0,
  );
  const short = result.sent < packets;
  if (broken || short) process.exitCode = exitCodes.failed;
  if (options.json === true) return printJson(record);
  print(
    `${formatCount(record.packets)} packets in ${formatFixed(record.seconds, 1)} s, ${formatCount(record.moves)} buckets moved (${formatFixed(record.movesPerSecond, 0)} a second), cores changed ${record.coresChanged} times`,
  );
  print(
    `lost ${lost}, out of order ${record.outOfOrder}, duplicated ${record.duplicates}, buckets without their flows ${record.withoutState}; ${formatCount(record.heldForTheirBucket)} waited for their bucket, ${formatCount(record.translated)} were translated`,
  );
  if (short)
    talk(`reframer: only ${formatCount(result.sent)} packets were sent: the box stood still`);
}

async function scaling(options: Options, cores: number): Promise<void> {
  if (cores < 2) throw new UsageError('--scaling: --cores must be at least 2, to compare with one');
  needProcessors(cores + 1, `--scaling with ${cores} cores, and one for the tester,`);
  const windowMs = parseMilliseconds(options.time, '--time');
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const load = { warmupMs: 500, windowMs, graceMs: 2000 };
  const [one, many]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    // In turn, so that a machine that changes its speed changes it for both.
    for (const n of round % 2 === 0 ? [1, cores] : [cores, 1]) {
      const { result } = await measure({}, n, load);
      (n === 1 ? one : many).push(result.received / result.seconds);
    }
    if (options.quiet !== true) talk(`bench suite: round ${round + 1} of ${rounds}`);
  }
  const ratio = medianInterval(many.map((pps, i) => pps / (one[i] ?? pps)));
  const record = {
    cores,
    onePps: medianInterval(one).value,
    manyPps: medianInterval(many).value,
    times: ratio,
    rounds,
  };
  if (options.json === true) return printJson(record);
  print(
    `one core ${formatFixed(record.onePps / 1e6, 2)} Mpps, ${cores} cores ${formatFixed(record.manyPps / 1e6, 2)} Mpps: ${formatFixed(ratio.value, 2)} times`,
  );
}
