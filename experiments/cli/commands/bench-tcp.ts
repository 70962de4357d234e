// `reframer bench tcp`: real TCP of many senders through a box, by T: what one receiver gains.
import type { Command } from 'commander';

import { drivers } from '../linux/box.js';
import { thirdProcessor, twoProcessors } from '../linux/processors.js';
import { missingForTcp, TcpPath, type TcpMode } from '../linux/tcp.js';
import { publishedTcp, renderTcp, tcpRows } from '../linux/tcp-report.js';
import { webTrials } from '../linux/web-bench.js';
import { UsageError } from '../errors.js';
import { benchGroup } from '../main.js';
import { print, printJson } from '../output.js';
import { parseChoice, parseCount, parseDuration, parseHold, parseRate } from '../units.js';

interface Options {
  delays: string;
  adaptive: string;
  connections: string;
  files: string;
  offered: string;
  gather: string;
  driver: string;
  hash?: string;
  cpus?: string;
  boxCpu?: string;
  time: string;
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

export function register(program: Command): void {
  benchGroup(program)
    .command('tcp')
    .description(
      'real TCP, many senders to one receiver through a box: goodput, completion times, time of the receiver, by T; root',
    )
    .option('--delays <list>', 'T of the box', '16us,64us,128us,500us,1ms')
    .option('--adaptive <time>', 'the most that the adaptive policy holds; 0ns: without it', '1ms')
    .option('--connections <number>', 'senders whose segments interleave', '64')
    .option('--files <list>', 'lengths of responses, each for a share of them', '10k,100k,1M')
    .option('--offered <rate>', 'that they send together, each its share', '1500Mbps')
    .option(
      '--gather <time>',
      'that the receiver gathers frames before it looks, as a NIC coalesces interrupts',
      '30us',
    )
    .option('--driver <driver>', `of the box: ${drivers.join(' or ')}`, 'af_packet')
    .option(
      '--hash <queues>',
      'of the receiver, and a hash stored in each packet, as from a NIC; 1: one queue and no hash; default 4, over af_xdp 1',
    )
    .option('--cpus <senders,receiver>', 'their processors')
    .option('--box-cpu <cpu>', 'of the box; by default a third one, or that of the receiver')
    .option('--time <time>', 'of a trial', '3s')
    .option('--rounds <number>', 'of a trial each, forth and back', '6')
    .option('--json', 'print {"rows":[...],"trials":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

const list = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

function modesOf(options: Options): TcpMode[] {
  const delays = list(options.delays).map((word) => ({
    contender: word,
    waits: 'box' as const,
    delayNs: parseHold(word, '--delays'),
  }));
  const most = parseHold(options.adaptive, '--adaptive');
  const longest = delays.reduce((a, b) => (b.delayNs > a.delayNs ? b : a), {
    contender: '0ns',
    waits: 'box',
    delayNs: 0,
  });
  const off = { contender: 'off', waits: 'none', delayNs: 0 } as const;
  return [
    off,
    // The kernel's own means to the same end, each for as long.
    ...delays.flatMap((mode) => [
      { ...mode, contender: `timer ${mode.contender}`, waits: 'kernel' as const },
      mode,
    ]),
    ...(most > 0 ? [{ contender: 'adaptive', waits: 'adaptive' as const, delayNs: most }] : []),
  ]
    .map((mode): TcpMode => ({ senders: 'many', ...mode }))
    .concat(
      [off, ...(longest.delayNs > 0 ? [longest] : [])].map((mode) => ({
        senders: 'windows',
        ...mode,
      })),
    );
}

async function bench(options: Options): Promise<void> {
  const offered = parseRate(options.offered, '--offered');
  if (offered === 'native') throw new UsageError('--offered: a rate such as 1500Mbps is needed');
  const processors = twoProcessors(options.cpus);
  const [senderCpu, receiverCpu] = processors;
  const files = list(options.files).map((word) => parseCount(word, '--files', 1));
  const connections = parseCount(options.connections, '--connections', 1);
  if (files.length === 0 || files.length > connections)
    throw new UsageError('--files: one at least, and no more than there are connections');
  const driver = parseChoice(options.driver, '--driver', drivers);
  const queues = parseCount(options.hash ?? (driver === 'af_packet' ? '4' : '1'), '--hash', 1);
  if (queues > 16) throw new UsageError('--hash: 1 to 16 queues');
  if (queues > 1 && driver === 'af_xdp')
    throw new UsageError('--hash: what leaves over af_xdp has no stored hash');
  const tcp = {
    files,
    connections,
    seconds: parseDuration(options.time, '--time') / 1e9,
    bytesPerSecond: offered / 8,
    gatherNs: parseDuration(options.gather, '--gather'),
    driver,
    queues,
    senderCpu,
    receiverCpu,
    boxCpu:
      options.boxCpu === undefined
        ? thirdProcessor(processors)
        : parseCount(options.boxCpu, '--box-cpu'),
  };
  const trials = await webTrials(
    {
      name: 'bench tcp',
      modes: modesOf(options),
      rounds: parseCount(options.rounds, '--rounds', 1),
      quiet: options.quiet,
    },
    missingForTcp(),
    () => new TcpPath(tcp),
  );
  if (trials.length === 0) return;
  const rows = tcpRows(trials);
  if (options.json === true) return printJson({ rows, published: publishedTcp, trials });
  print(renderTcp(rows, tcp));
}
