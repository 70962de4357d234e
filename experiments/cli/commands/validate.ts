// `reframer validate`: may the virtual NIC's figures be believed on this machine?
import type { Command } from 'commander';

import { tryLabTalking } from '../lab.js';
import { print, printJson, renderTable, talk } from '../output.js';
import { formatCount, formatFixed, parseCount } from '../units.js';

interface Options {
  quick?: boolean;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

type Verdict = 'agrees' | 'differs' | 'undecided' | 'not overloaded';

/** A queue with a fixed service time against the textbook; times in ns. */
interface Md1 {
  rho: number;
  packets: number;
  expectedNs: number;
  meanNs: number;
  lowNs: number;
  highNs: number;
  verdict: Verdict;
}

/**
 * The same load on both engines; `ratio` is threads to virtual, `noise` a share, `standing` what the
 * virtual clock's standing between polls costs (a share of a packet's time, allowed for in `ratio`).
 */
interface Threads {
  chain: string;
  policy: string;
  delayUs: number;
  virtualPps: number;
  threadsPps: number;
  ratio: number;
  ratioLow: number;
  ratioHigh: number;
  standing: number;
  noise: number;
  /** Least share of the offered packets that an engine dropped. */
  dropShare: number;
  verdict: Verdict;
}

interface Record {
  md1?: Md1;
  threads?: Threads;
  skipped?: string;
}

const percent = (share: number): string => `${share > 0 ? '+' : ''}${formatFixed(share * 100, 1)} %`;

export function register(program: Command): void {
  program
    .command('validate')
    .description('check the virtual NIC: against M/D/1, and against the same loop on real threads')
    .option('--quick', 'fewer blocks: wider intervals')
    .option('--seed <number>', 'seed of the traffic', '1')
    .option('--json', 'print {"md1":[...],"threads":[...]}')
    .option('--quiet', 'no progress')
    .action(validate);
}

async function validate(options: Options): Promise<void> {
  const spec = { quick: options.quick === true, seed: parseCount(options.seed, '--seed') };
  const { records, error } = await tryLabTalking<Record>('validate', spec, { label: 'validate', quiet: options.quiet });
  const md1 = records.flatMap((record) => record.md1 ?? []);
  const threads = records.flatMap((record) => record.threads ?? []);
  const skipped = records.flatMap((record) => record.skipped ?? []);
  if (error !== undefined && md1.length === 0) throw error;
  process.exitCode = error?.exitCode ?? 0;
  if (options.json === true) return printJson({ md1, threads, skipped });
  print('A queue with a fixed service time of 1 us, mean time in the system against M/D/1:');
  print(renderTable(
    [{ title: 'load' }, { title: 'packets' }, { title: 'theory us' }, { title: 'virtual NIC us' }, { title: 'least to most of 5 runs' }, { title: 'difference' }, { title: 'verdict', align: 'left' }],
    md1.map((m) => [
      formatFixed(m.rho, 1), formatCount(m.packets), formatFixed(m.expectedNs / 1000, 3), formatFixed(m.meanNs / 1000, 3),
      `${formatFixed(m.lowNs / 1000, 3)} to ${formatFixed(m.highNs / 1000, 3)}`, percent(m.meanNs / m.expectedNs - 1), m.verdict,
    ]),
  ));
  if (threads.length > 0) {
    print('\nThe same loop and packets under overload, 8 queues, by the virtual clock and on real threads:');
    print(renderTable(
      [{ title: 'chain', align: 'left' }, { title: 'T us' }, { title: 'virtual Mpps' }, { title: 'threads Mpps' }, { title: 'difference' }, { title: '95 % interval' }, { title: 'standing' }, { title: 'noise' }, { title: 'dropped' }, { title: 'verdict', align: 'left' }],
      threads.map((t) => [
        t.chain, t.policy === 'off' ? 'off' : String(t.delayUs), formatFixed(t.virtualPps / 1e6, 2), formatFixed(t.threadsPps / 1e6, 2),
        percent(t.ratio - 1), `${percent(t.ratioLow - 1)} to ${percent(t.ratioHigh - 1)}`, percent(t.standing), `${formatFixed(t.noise * 100, 1)} %`,
        `${formatFixed(t.dropShare * 100, 0)} %`, t.verdict,
      ]),
    ));
  }
  for (const why of skipped) print(`\nnot tested here: ${why}`);
  if (error !== undefined) talk(`reframer: ${error.message}`);
}
