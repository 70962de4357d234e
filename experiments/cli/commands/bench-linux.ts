// `reframer bench linux`: what an unmodified kernel behind Reframer saves, because GRO finds more to merge.
import type { Command } from 'commander';

import { UsageError } from '../errors.js';
import { noGuest } from '../linux/guest.js';
import { kernelHelp, parseKernel } from '../linux/kernels.js';
import { measureLinux } from '../linux/measure.js';
import { drivers } from '../linux/box.js';
import { functions } from '../linux/path.js';
import { twoProcessors } from '../linux/processors.js';
import { renderRows } from '../linux/report.js';
import type { LinuxRow, Plan } from '../linux/rows.js';
import { traffics, type Order } from '../linux/send.js';
import { benchGroup } from '../main.js';
import { print, printJson, ProgressLine } from '../output.js';
import { parseChoice, parseCount, parseDuration, parseHold, parseRate } from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options {
  functions?: string;
  kernels?: string;
  traffic: string;
  wireQueues?: string;
  flows?: string;
  slf?: string;
  delays: string;
  offered?: string;
  cpus?: string;
  live?: string;
  pace?: string;
  boxCpu?: string;
  lossless?: boolean;
  time?: string;
  rounds?: string;
  seed: string;
  quick?: boolean;
  json?: boolean;
  quiet?: boolean;
}

const list = <T>(text: string, parse: (word: string) => T): T[] =>
  text
    .split(',')
    .filter((word) => word.trim() !== '')
    .map((word) => parse(word.trim()));

/** Where nothing else is given. */
const fully = {
  functions: 'forward,firewall',
  kernels: 'default,timer64,hash,hash-timer64,fraglist',
  flows: '256',
  slf: '1,4,16',
  offered: '70Gbps',
  pace: '100k',
  time: '500ms',
  rounds: '6',
};
// Until caches and the kernel's tables are as they stay.
const warmSeconds = 0.2;
const liveKernels = 'software'; // checksums do not pass a box unseen
const quickly = { functions: 'forward', kernels: 'default', time: '200ms', rounds: '2' };

export function register(program: Command): void {
  benchGroup(program)
    .command('linux')
    .description(
      'ns a packet and highest rate of one kernel core that forwards TCP segments, by their order: in rows of one flow, and as Reframer in front of it would release them; root',
    )
    .option('--functions <list>', `${functions.join(', ')}; default forward,firewall`)
    .option('--kernels <list>', `${kernelHelp}; default ${fully.kernels}`)
    .option(
      '--traffic <order>',
      `${traffics.join(', ')}: flows in turn, or the TCP segments with data of campus traffic at --offered, each of the same length`,
      'interleaved',
    )
    .option(
      '--wire-queues <number>',
      'campus: that spread the wire by hash; the core has one; default 1',
    )
    .option('--flows <list>', 'TCP connections that take turns; default 256')
    .option('--slf <list>', 'packets of a flow in a row, by construction; default 1,4,16')
    .option('--delays <list>', 'T of Reframer in front, each from rows of one', '16us,64us,128us')
    .option(
      '--offered <list>',
      'rates of the wire in front of Reframer, each with each T: how many packets wait with one; default 70Gbps',
    )
    .option('--cpus <sender,kernel>', 'processors of the sender and of the kernel')
    .option(
      '--live <driver>',
      `a box in the path forms the order as packets pass, over ${drivers.join(' or ')}, from rows of one, kernel software unless given`,
    )
    .option('--pace <number>', 'with --live: packets a second; default 100k')
    .option(
      '--box-cpu <cpu>',
      'with --live: processor of the box; by default that of the kernel, which comes first there',
    )
    .option(
      '--lossless',
      'look for the highest rate without loss, too, by bisection, some ten trials a row',
    )
    .option('--time <time>', 'of a trial; default 500ms')
    .option('--rounds <number>', 'of a trial each, in an order drawn anew; default 6')
    .option('--seed <number>', 'of the orders', '1')
    .option('--quick', 'unless given: forward, default, two rounds of 200ms')
    .option('--json', 'print {"rows":[...],"notTestable":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

/** Options that would be ignored beside others: what was measured would not be what was asked for. */
function refuseIgnored(options: Options): void {
  const live = options.live !== undefined;
  const campus = options.traffic === 'campus';
  const alone: [boolean, string | undefined, string][] = [
    [!live, options.pace, '--pace: of a box in the path, with --live'],
    [!live, options.boxCpu, '--box-cpu: of a box in the path, with --live'],
    [!campus, options.wireQueues, '--wire-queues: of --traffic campus'],
    [live, options.slf, '--slf: with --live rows are of one, and the box makes longer ones'],
    [live, options.offered, '--offered: with --live packets come at --pace'],
    [campus, options.slf, '--slf: campus traffic has an order of its own'],
    [campus, options.flows, '--flows: campus traffic has flows of its own'],
    [live && options.lossless === true, options.live, '--lossless: a box in the path has a pace'],
    [campus && live, options.live, '--live: not with --traffic campus'],
  ];
  for (const [ignored, given, why] of alone)
    if (ignored && given !== undefined) throw new UsageError(why);
}

function planOf(options: Options): Plan {
  const usual = options.quick === true ? quickly : fully;
  refuseIgnored(options);
  const offeredBps = list(options.offered ?? fully.offered, (word) => {
    const bps = parseRate(word, '--offered');
    if (bps === 'native') throw new UsageError('--offered: a rate such as 70Gbps is needed');
    return bps;
  });
  const [senderCpu, kernelCpu] = twoProcessors(options.cpus);
  const traffic = parseChoice(options.traffic, '--traffic', traffics);
  const ownOrder = traffic === 'campus' || options.live !== undefined;
  const orders: Order[] = [
    ...list(options.slf ?? (ownOrder ? '1' : fully.slf), (word) => ({
      slf: parseCount(word, '--slf', 1),
    })),
    ...offeredBps.flatMap((bps) =>
      list(options.delays, (word) => ({
        delayNs: parseHold(word, '--delays'),
        offeredBps: bps,
      })),
    ),
  ];
  if (!orders.some((order) => 'slf' in order && order.slf === 1)) orders.unshift({ slf: 1 });
  const live =
    options.live === undefined
      ? undefined
      : {
          driver: parseChoice(options.live, '--live', drivers),
          packetsPerSecond: parseCount(options.pace ?? fully.pace, '--pace', 1),
          cpu: options.boxCpu === undefined ? kernelCpu : parseCount(options.boxCpu, '--box-cpu'),
        };
  if (traffic === 'campus' && offeredBps.length > 1)
    throw new UsageError('--offered: one rate with --traffic campus');
  return {
    live,
    traffic,
    wireQueues: parseCount(options.wireQueues ?? '1', '--wire-queues', 1),
    orders,
    flows: list(options.flows ?? fully.flows, (word) => parseCount(word, '--flows', 1)),
    offeredBps,
    senderCpu,
    kernelCpu,
    seconds: parseDuration(options.time ?? usual.time, '--time') / 1e9,
    warmSeconds,
    rounds: parseCount(options.rounds ?? usual.rounds, '--rounds', 1),
    seed: parseCount(options.seed, '--seed'),
    lossless: options.lossless === true,
  };
}

async function bench(options: Options): Promise<void> {
  const plan = planOf(options);
  const usual = options.quick === true ? quickly : fully;
  const chosen = {
    functions: list(options.functions ?? usual.functions, (word) =>
      parseChoice(word, '--functions', functions),
    ),
    kernels: list(
      options.kernels ?? (plan.live === undefined ? usual.kernels : liveKernels),
      parseKernel,
    ),
  };
  const { live } = plan;
  if (live !== undefined && chosen.kernels.some((k) => k.checkedByNic))
    throw new UsageError('--live: a box passes on no checksums that a NIC looked after: software');
  if (chosen.kernels.some((k) => k.busyPoll)) {
    if (plan.lossless !== true || live !== undefined)
      throw new UsageError('--kernels: of busy its highest rate tells: with --lossless');
    if (chosen.functions.includes('bridge'))
      throw new UsageError('--kernels: a bridge has no address that a program could poll: no busy');
  }
  if (live?.driver === 'af_xdp' && chosen.kernels.some((k) => k.storedHash))
    throw new UsageError('--live: what leaves over af_xdp has no stored hash; af_packet');
  const progress = new ProgressLine('bench linux', options.quiet);
  const stopping = untilStopped(0);
  let rows: LinuxRow[] = [];
  try {
    rows = await measureLinux(plan, chosen, stopping, (done, total) =>
      progress.update({ done, total, what: 'trials' }),
    );
  } finally {
    progress.end();
    stopping.release();
  }
  if (stopping.signal() !== 0) process.exitCode = 128 + stopping.signal();
  if (options.json === true) printJson({ rows, notTestable: [noGuest()] });
  else print(renderRows(rows, plan));
}
