// `reframer bench linux`: what an unmodified kernel behind Reframer saves, because GRO finds more to merge.
import type { Command } from 'commander';

import { UsageError } from '../errors.js';
import { kernelHelp, parseKernel } from '../linux/kernels.js';
import { measureLinux } from '../linux/measure.js';
import { drivers } from '../linux/box.js';
import { functions } from '../linux/path.js';
import { renderRows } from '../linux/report.js';
import type { LinuxRow, Plan } from '../linux/rows.js';
import { traffics, type Order } from '../linux/send.js';
import { group } from '../main.js';
import { print, printJson, ProgressLine } from '../output.js';
import { parseChoice, parseCount, parseDuration, parseRate } from '../units.js';
import { untilStopped } from '../until-stopped.js';

interface Options {
  functions?: string;
  kernels?: string;
  traffic: string;
  wireQueues: string;
  flows: string;
  slf: string;
  delays: string;
  offered: string;
  cpus: string;
  live?: string;
  pace: string;
  boxCpu?: string;
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
  time: '500ms',
  rounds: '6',
};
// Until caches and the kernel's tables are as they stay.
const warmSeconds = 0.2;
const liveKernels = 'software'; // checksums do not pass a box unseen
const quickly = { functions: 'forward', kernels: 'default', time: '200ms', rounds: '2' };

export function register(program: Command): void {
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run')
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
    .option('--wire-queues <number>', 'campus: that spread the wire by hash; the core has one', '1')
    .option('--flows <list>', 'TCP connections that take turns', '256')
    .option('--slf <list>', 'packets of a flow in a row, by construction', '1,4,16')
    .option('--delays <list>', 'T of Reframer in front, each from rows of one', '16us,64us,128us')
    .option(
      '--offered <list>',
      'rates of the wire in front of Reframer, each with each T: how many packets wait with one',
      '70Gbps',
    )
    .option('--cpus <sender,kernel>', 'processors of the sender and of the kernel', '0,1')
    .option(
      '--live <driver>',
      `a box in the path forms the order as packets pass, over ${drivers.join(' or ')}, from rows of one, kernel software unless given`,
    )
    .option('--pace <number>', 'with --live: packets a second', '100k')
    .option(
      '--box-cpu <cpu>',
      'with --live: processor of the box; by default that of the kernel, which comes first there',
    )
    .option('--time <time>', 'of a trial; default 500ms')
    .option('--rounds <number>', 'of a trial each, in an order drawn anew; default 6')
    .option('--seed <number>', 'of the orders', '1')
    .option('--quick', 'unless given: forward, default, two rounds of 200ms')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

function planOf(options: Options): Plan {
  const usual = options.quick === true ? quickly : fully;
  const offeredBps = list(options.offered, (word) => {
    const bps = parseRate(word, '--offered');
    if (bps === 'native') throw new UsageError('--offered: a rate such as 70Gbps is needed');
    return bps;
  });
  // A box in the path takes the pace that there is.
  const rates = options.live === undefined ? offeredBps : offeredBps.slice(0, 1);
  const [senderCpu, kernelCpu, ...more] = list(options.cpus, (word) => parseCount(word, '--cpus'));
  if (
    senderCpu === undefined ||
    kernelCpu === undefined ||
    more.length > 0 ||
    senderCpu === kernelCpu
  )
    throw new UsageError('--cpus: two different processors, as 0,1');
  const orders: Order[] = [
    ...list(options.slf, (word) => ({ slf: parseCount(word, '--slf', 1) })),
    ...rates.flatMap((bps) =>
      list(options.delays, (word) => ({
        delayNs: parseDuration(word, '--delays'),
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
          packetsPerSecond: parseCount(options.pace, '--pace', 1),
          cpu: options.boxCpu === undefined ? kernelCpu : parseCount(options.boxCpu, '--box-cpu'),
        };
  const traffic = parseChoice(options.traffic, '--traffic', traffics);
  if (traffic === 'campus' && (live !== undefined || rates.length > 1))
    throw new UsageError('--traffic campus: one rate of --offered, and no --live');
  return {
    live,
    traffic,
    wireQueues: parseCount(options.wireQueues, '--wire-queues', 1),
    orders:
      traffic === 'campus'
        ? orders.filter((o) => !('slf' in o) || o.slf === 1)
        : live === undefined
          ? orders
          : orders.filter((o) => !('slf' in o) || o.slf === 1),
    flows: list(options.flows, (word) => parseCount(word, '--flows', 1)),
    offeredBps,
    senderCpu,
    kernelCpu,
    seconds: parseDuration(options.time ?? usual.time, '--time') / 1e9,
    warmSeconds,
    rounds: parseCount(options.rounds ?? usual.rounds, '--rounds', 1),
    seed: parseCount(options.seed, '--seed'),
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
  if (plan.live !== undefined && chosen.kernels.some((k) => k.checkedByNic || k.storedHash))
    throw new UsageError('--live: a box passes on neither checksums nor hashes of a NIC: software');
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
  if (options.json === true) printJson({ rows });
  else print(renderRows(rows, plan));
}
