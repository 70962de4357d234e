// `reframer bench memif`: the same trial on the virtual NIC and between two processes over memif. What the
// chain takes for a packet should agree; what receiving and sending take does not, and this says by how much.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import { medianInterval, pairedRatio, type Interval } from '../../core/statistics.js';
import { memifEal } from '../../testbed/local-bed.js';
import { CliError, exitCodes } from '../errors.js';
import { runLabOnce } from '../lab.js';
import { benchGroup } from '../main.js';
import { print, printJson, renderTable, talk } from '../output.js';
import { temporaryFolder } from '../temporary.js';
import { formatFixed, parseCount } from '../units.js';

interface Options {
  rounds: string;
  json?: boolean;
  quiet?: boolean;
}

interface Trial {
  throughputPps: number;
  chainNsPerPacket: number;
  nsPerPacket: number;
}

interface Said {
  ready?: object;
  error?: { message: string };
  record?: Trial;
  result?: object;
}

// As in the other comparison of engines, `reframer validate`.
const margin = 0.03;
const packets = 131_072;
/** Offered to the virtual NIC, over what it carries: its queue must never run empty. */
const overload = 1.2;
const probePps = 3e6;

export function register(program: Command): void {
  benchGroup(program)
    .command('memif')
    .description(
      'the same trial, under overload, on the virtual NIC and between two processes over memif: throughput, and what the chain alone takes; needs two processors',
    )
    .option('--rounds <number>', 'of both, in turn', '6')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(bench);
}

const common = { chain: 'paper', form: 'packet', policy: 'off', releaseMax: 32, ringDepth: 1024 };

async function overMemif(folder: string, capture: string): Promise<Trial> {
  const socket = join(folder, 'memif.sock');
  const open = async (role: 'server' | 'client', job: string, spec: object) => {
    const session = await NativeSession.open<Said>(dpdkProgram, job, spec);
    const { ready, error } = session.first;
    if (ready !== undefined) return session;
    await session.close();
    throw new CliError('bench', `bench memif: ${role}: ${error?.message ?? 'it is not ready'}`);
  };
  const port = (role: 'server' | 'client'): object => ({ eal: memifEal(role, socket, 1) });
  const device = await open('server', 'live-trial', {
    ...common,
    seed: 1,
    port: { ...port('server'), in: 'net_memif0', out: 'net_memif0' },
  });
  try {
    const tester = await open('client', 'tester', {
      ...port('client'),
      tx: 'net_memif0',
      frames: packets,
      source: { file: capture, timing: 'rate' },
    });
    try {
      await tester.ask({ do: 'start', warmupMs: 300, windowMs: 1000 });
      await new Promise((resolve) => setTimeout(resolve, 400));
      await device.ask({ do: 'window' });
      await new Promise((resolve) => setTimeout(resolve, 700));
      await device.ask({ do: 'close' });
      await tester.ask({ do: 'stop' });
      const { record } = await device.ask({ do: 'stop' });
      if (record === undefined) throw new CliError('bench', 'bench memif: no record');
      return record;
    } finally {
      await tester.close();
    }
  } finally {
    await device.close();
  }
}

async function onVirtualNic(capture: string): Promise<Trial> {
  const at = (offered: { offeredPps: number }): Promise<Trial> => {
    const ns = (packets / offered.offeredPps) * 1e9;
    return runLabOnce<Trial>(
      'trial',
      {
        ...common,
        ...offered,
        seed: 1,
        queues: 1,
        dma: 'dram',
        learnNs: 0,
        warmupNs: Math.floor(ns * 0.2),
        durationNs: Math.floor(ns * 0.7),
        source: { file: capture, timing: 'rate' },
      },
      { label: 'bench memif', quiet: true },
    );
  };
  // A ring that drops most of what comes would change the order of what is left: first its capacity.
  const { throughputPps } = await at({ offeredPps: probePps });
  return at({ offeredPps: throughputPps * overload });
}

async function bench(options: Options): Promise<void> {
  const rounds = parseCount(options.rounds, '--rounds', 1);
  if (availableParallelism() < 2)
    throw new CliError(
      'not-supported',
      'bench memif: needs two processors, one for each end; this process may use 1',
      exitCodes.notSupported,
    );
  const { path: folder, remove } = temporaryFolder('reframer-bench-');
  const pairs: { virtual: Trial; memif: Trial }[] = [];
  try {
    const capture = join(folder, 'campus.pcap');
    await runLabOnce(
      'generate',
      { out: capture, profile: 'campus', packets, seed: 1 },
      { label: 'generate', quiet: true },
    );
    for (let round = 0; round < rounds; round++) {
      // In turn, so that a machine that changes its speed changes it for both.
      const [memif, virtual] =
        round % 2 === 0
          ? [await overMemif(folder, capture), await onVirtualNic(capture)]
          : await onVirtualNic(capture).then(
              async (first) => [await overMemif(folder, capture), first] as const,
            );
      pairs.push({ memif, virtual });
      if (options.quiet !== true) talk(`bench memif: round ${round + 1} of ${rounds}`);
    }
  } finally {
    remove();
  }
  report(options, pairs);
}

function report(options: Options, pairs: readonly { virtual: Trial; memif: Trial }[]): void {
  const row = (name: string, of: (trial: Trial) => number): Row => {
    const ratio = pairedRatio(
      pairs.map(({ virtual, memif }) => [of(memif), of(virtual)] as const),
      'neutral',
    );
    const whole = ratio.low >= 1 - margin && ratio.high <= 1 + margin;
    const apart = ratio.low > 1 + margin || ratio.high < 1 - margin;
    return {
      name,
      virtual: medianInterval(pairs.map(({ virtual }) => of(virtual))).value,
      memif: medianInterval(pairs.map(({ memif }) => of(memif))).value,
      ratio,
      verdict: whole ? 'agrees' : apart ? 'differs' : 'undecided',
    };
  };
  const rows = [
    row('throughput, Mpps', (t) => t.throughputPps / 1e6),
    row('chain alone, ns a packet', (t) => t.chainNsPerPacket),
    row('all but the chain, ns a packet', (t) => t.nsPerPacket - t.chainNsPerPacket),
  ];
  if (options.json === true) return printJson({ rows });
  print(
    renderTable(
      [
        { title: 'of the trial', align: 'left' },
        ...['virtual NIC', 'memif', 'memif over virtual', '95 % interval'].map((title) => ({
          title,
        })),
        { title: 'verdict', align: 'left' },
      ],
      rows.map((r) => [
        r.name,
        formatFixed(r.virtual, 3),
        formatFixed(r.memif, 3),
        `${formatFixed(r.ratio.value, 3)}`,
        `${formatFixed(r.ratio.low, 3)} to ${formatFixed(r.ratio.high, 3)}`,
        r.verdict,
      ]),
    ),
  );
  print(
    'A memif copies each packet at either end, on the core that is measured, and leaves its header warm; the virtual NIC fills its buffers outside the measured time, and they are cold.',
  );
}

interface Row {
  name: string;
  virtual: number;
  memif: number;
  ratio: Interval;
  verdict: 'agrees' | 'differs' | 'undecided';
}
