// `reframer misses`: cache misses of a packet by level, from valgrind's model of the caches. Counts do
// not depend on what else the machine does; time is not measured here.
import type { Command } from 'commander';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { packageRoot } from '../../../native/loader.js';
import { readPublished } from '../../core/published.js';
import type { JsonObject } from '../../core/types.js';
import { CliError } from '../errors.js';
import { print, printJson, ProgressLine, renderTable, talk } from '../output.js';
import { temporaryFolder } from '../temporary.js';

interface Options {
  json?: boolean;
  quiet?: boolean;
}

interface Point {
  name: string;
  spec: JsonObject;
  published?: number | undefined;
}

/** Misses of a packet. */
interface Misses {
  l1: number;
  l2: number;
  l3: number;
}

export function register(program: Command): void {
  program
    .command('misses')
    .description(
      'cache misses of a packet by level, for the chains by SLF and by buffering time (valgrind; takes minutes)',
    )
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(misses);
}

// A core of the machine that the peers' figures were taken on: 48 KiB, 1 MiB, about 8 MiB of a shared
// cache. Valgrind has two levels, so the second and the third take a run each.
const firstLevel = '--D1=49152,12,64';
const lastLevels = { l2: '--LL=1048576,16,64', l3: '--LL=8388608,16,64' } as const;
// Valgrind does not know AVX-512.
const march = 'x86-64-v3';
const buildFolder = join(packageRoot, 'native', 'build-valgrind');

function run(command: string, args: readonly string[], what: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (error !== undefined || status !== 0)
    throw new CliError('failed', `${what}: ${error?.message ?? (stderr || stdout).slice(-400)}`, 1);
  return stdout;
}

function buildLab(): string {
  if (spawnSync('valgrind', ['--version']).status !== 0)
    throw new CliError('not-supported', 'valgrind is not installed: apt-get install valgrind', 3);
  if (!existsSync(join(buildFolder, 'build.ninja'))) {
    run(
      'meson',
      [
        'setup',
        buildFolder,
        join(packageRoot, 'native'),
        `-Dmarch=${march}`,
        '-Dtests=false',
        '-Ddpdk=disabled',
        '-Dhyperscan=disabled',
      ],
      'meson',
    );
  }
  run('ninja', ['-C', buildFolder, 'reframer-lab'], 'ninja');
  return join(buildFolder, 'reframer-lab');
}

/** Runs beside others; what the command is, is in its error. */
function start(
  command: string,
  args: readonly string[],
  what: string,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
    child.on('error', (error) => reject(new CliError('failed', `${what}: ${error.message}`, 1)));
    child.on('close', (code) =>
      code === 0
        ? resolve(stdout)
        : reject(new CliError('failed', `${what}: ${(stderr || stdout).slice(-400)}`, 1)),
    );
  });
}

interface Counts {
  first: number;
  last: number;
  packets: number;
}

/** Misses inside the chain and the stage, and packets, of one trial. */
async function count(
  lab: string,
  spec: JsonObject,
  lastLevel: string,
  file: string,
  signal: AbortSignal,
): Promise<Counts> {
  const specFile = `${file}.json`;
  const outFile = `${file}.out`;
  writeFileSync(specFile, JSON.stringify(spec));
  const inside = ['*Chain*process*', 'reframer_push', 'reframer_poll'].map(
    (name) => `--toggle-collect=${name}`,
  );
  // Counted from where the trial's packets begin to arrive: the program says so (native/src/measure/callgrind.hpp).
  const valgrind = [
    '--tool=callgrind',
    '--cache-sim=yes',
    '--instr-atstart=no',
    '--collect-atstart=no',
    ...inside,
    firstLevel,
    lastLevel,
    `--callgrind-out-file=${outFile}`,
  ];
  const command = [...valgrind, lab, 'trial', specFile];
  const stdout = await start('valgrind', command, 'valgrind', signal);
  const record = JSON.parse(stdout.split('\n')[0] ?? '') as { checks: { out: number } };
  const lines = readFileSync(outFile, 'utf8').split('\n');
  const words = (head: string): string[] =>
    lines
      .find((line) => line.startsWith(head))
      ?.slice(head.length)
      .trim()
      .split(/\s+/) ?? [];
  const names = words('events:');
  const sums = words(lines.some((line) => line.startsWith('totals:')) ? 'totals:' : 'summary:').map(
    Number,
  );
  const sum = (...events: string[]): number =>
    events.reduce((all, event) => all + (sums[names.indexOf(event)] ?? 0), 0);
  const first = sum('D1mr', 'D1mw');
  if (first === 0)
    throw new CliError(
      'failed',
      'valgrind counted nothing; is build-valgrind older than the program? Remove native/build-valgrind',
      1,
    );
  return { first, last: sum('DLmr', 'DLmw'), packets: record.checks.out };
}

/** The four trials of a point: one and one of twice its length, whose difference has no cold caches in it, for each last level. */
const trialsOf = (spec: JsonObject): { spec: JsonObject; lastLevel: string }[] =>
  [lastLevels.l2, lastLevels.l3].flatMap((lastLevel) =>
    [1, 2].map((times) => ({
      lastLevel,
      spec: { ...spec, durationNs: Number(spec.durationNs) * times },
    })),
  );

function missesOf([shortL2, longL2, shortL3, longL3]: readonly (Counts | undefined)[]): Misses {
  if (!shortL2 || !longL2 || !shortL3 || !longL3) throw new CliError('failed', 'no counts', 1);
  const difference = (long: Counts, short: Counts, what: 'first' | 'last'): number =>
    (long[what] - short[what]) / (long.packets - short.packets);
  return {
    l1: difference(longL2, shortL2, 'first'),
    l2: difference(longL2, shortL2, 'last'),
    l3: difference(longL3, shortL3, 'last'),
  };
}

// The cost of a packet is fixed, so that the same packets are processed whatever the machine does; it is
// below what the load asks for, so that none is dropped.
const base = {
  dma: 'dram',
  cpus: [0],
  serviceNs: 100,
  warmupNs: 300_000,
  learnNs: 5_000_000,
} as const;

function points(): Point[] {
  const chain = readPublished('reframer-motivation-chain.csv').rows;
  const bySlf = ['paper', 'modern'].flatMap((name) =>
    [1, 4, 32].map((slf) => ({
      name: `${name}, SLF ${slf}`,
      published:
        name === 'paper'
          ? Number(chain.find((row) => row.slf === slf)?.l1MissesPerPacket)
          : undefined,
      spec: {
        ...base,
        chain: name,
        queues: 1,
        offeredBps: 50e9,
        durationNs: 600_000,
        tableFlows: 65_536,
        source: { profile: 'clients', flows: 10_000, packetsPerFlow: 400, interleave: slf },
      },
    })),
  );
  const byDelay = [0, 16, 64, 256].map((us) => ({
    name: us === 0 ? 'paper, no Reframer' : `paper, T = ${us} µs`,
    spec: {
      ...base,
      chain: 'paper',
      policy: us === 0 ? 'off' : 'fixed',
      delayNs: us * 1000,
      queues: 8,
      offeredBps: 70e9,
      durationNs: 600_000,
    },
  }));
  return [...bySlf, ...byDelay];
}

async function misses(options: Options): Promise<void> {
  if (options.quiet !== true && !existsSync(join(buildFolder, 'reframer-lab')))
    talk('misses: building reframer-lab for valgrind, once; some minutes');
  const lab = buildLab();
  const { path: folder, remove } = temporaryFolder('reframer-misses-');
  // One that failed, or Ctrl-C, ends the others: they take minutes.
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  process.once('exit', abort);
  const progress = new ProgressLine('misses', options.quiet);
  const all = points();
  const trials = all.flatMap((point) => trialsOf(point.spec));
  const counts: Counts[] = [];
  try {
    // Counts do not depend on what runs beside them.
    let next = 0;
    let done = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < trials.length; i = next++) {
        const trial = trials[i];
        if (trial === undefined || stop.signal.aborted) break;
        const file = join(folder, String(i));
        counts[i] = await count(lab, trial.spec, trial.lastLevel, file, stop.signal);
        progress.update({ done: ++done, total: trials.length, what: 'trials under valgrind' });
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 8) }, worker));
  } finally {
    progress.end();
    abort();
    process.removeListener('exit', abort);
    remove();
  }
  const found = all.map((point, i) => ({ ...point, ...missesOf(counts.slice(4 * i, 4 * i + 4)) }));
  if (options.json === true)
    return printJson(
      found.map(({ name, l1, l2, l3, published, spec }) => ({
        name,
        l1,
        l2,
        l3,
        publishedL1: published ?? null,
        spec,
      })),
    );
  print(
    'data misses a packet, in stage and chain; valgrind’s model of 48 KiB, 1 MiB and 8 MiB caches',
  );
  print(
    renderTable(
      [
        { title: 'point' },
        ...['L1', 'L2', 'L3', 'published L1'].map((title) => ({ title, align: 'right' as const })),
      ],
      found.map(({ name, l1, l2, l3, published }) => [
        name,
        l1.toFixed(1),
        l2.toFixed(2),
        l3.toFixed(2),
        published === undefined || Number.isNaN(published) ? '' : published.toFixed(1),
      ]),
    ),
  );
  // What a reader of the L1 column would take for an error.
  print(
    'paper: a walk over its 11,746 rules reads 92 KiB in a row, some 1,470 lines that the first level does not hold; processors fetch such lines ahead, the model does not.',
  );
}
