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
  expectedP50Ns: number;
  p50Ns: number;
  expectedP99Ns: number;
  p99Ns: number;
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
  /** Null with fewer than six blocks. */
  ratioLow: number | null;
  ratioHigh: number | null;
  standing: number;
  noise: number;
  /** Least share of the offered packets that an engine dropped. */
  dropShare: number;
  verdict: Verdict;
}

interface Quantile {
  virtualNs: number;
  threadsNs: number;
  ratio: number;
  low: number | null;
  high: number | null;
  verdict: Verdict;
}

/** Latency at a share of the throughput under overload. */
interface Latency {
  chain: string;
  policy: string;
  delayUs: number;
  load: number;
  p50: Quantile;
  p99: Quantile;
  verdict: Verdict;
}

interface Record {
  md1?: Md1;
  threads?: Threads;
  latency?: Latency;
  skipped?: string;
}

const interval = (low: number | null, high: number | null): string =>
  low === null || high === null ? '-' : `${percent(low - 1)} to ${percent(high - 1)}`;
const percent = (share: number): string =>
  `${share > 0 ? '+' : ''}${formatFixed(share * 100, 1)} %`;

export function register(program: Command): void {
  program
    .command('validate')
    .description('check the virtual NIC: against M/D/1, and against the same loop on real threads')
    .option('--quick', 'fewer blocks: wider intervals, and more that stays undecided')
    .option('--seed <number>', 'seed of the traffic', '1')
    .option('--json', 'print {"md1":[...],"threads":[...],"latency":[...],"skipped":[...]}')
    .option('--quiet', 'no progress')
    .action(validate);
}

async function validate(options: Options): Promise<void> {
  const spec = { quick: options.quick === true, seed: parseCount(options.seed, '--seed') };
  const { records, error } = await tryLabTalking<Record>('validate', spec, {
    label: 'validate',
    quiet: options.quiet,
  });
  const md1 = records.flatMap((record) => record.md1 ?? []);
  const threads = records.flatMap((record) => record.threads ?? []);
  const latency = records.flatMap((record) => record.latency ?? []);
  const skipped = records.flatMap((record) => record.skipped ?? []);
  if (error !== undefined && md1.length === 0) throw error;
  process.exitCode = error?.exitCode ?? 0;
  if (options.json === true) return printJson({ md1, threads, latency, skipped });
  print(
    'A queue with a fixed service time of 1 us, time in the system against M/D/1; agrees within 3 %:',
  );
  print(
    renderTable(
      [
        { title: 'load' },
        { title: 'packets' },
        { title: 'mean us, theory' },
        { title: 'virtual NIC' },
        { title: 'median, theory' },
        { title: 'virtual NIC' },
        { title: 'p99, theory' },
        { title: 'virtual NIC' },
        { title: 'verdict', align: 'left' },
      ],
      md1.map((m) => [
        formatFixed(m.rho, 1),
        formatCount(m.packets),
        ...[m.expectedNs, m.meanNs, m.expectedP50Ns, m.p50Ns, m.expectedP99Ns, m.p99Ns].map((ns) =>
          formatFixed(ns / 1000, 3),
        ),
        m.verdict,
      ]),
    ),
  );
  if (threads.length > 0) {
    print(
      '\nThe same loop and packets under overload, 8 queues, by the virtual clock and on real threads; agrees where the interval lies within 3 %:',
    );
    print(
      renderTable(
        [
          { title: 'chain', align: 'left' },
          { title: 'T us' },
          { title: 'virtual Mpps' },
          { title: 'threads Mpps' },
          { title: 'difference' },
          { title: '95 % interval' },
          { title: 'standing' },
          { title: 'noise' },
          { title: 'dropped' },
          { title: 'verdict', align: 'left' },
        ],
        threads.map((t) => [
          t.chain,
          t.policy === 'off' ? 'off' : String(t.delayUs),
          formatFixed(t.virtualPps / 1e6, 2),
          formatFixed(t.threadsPps / 1e6, 2),
          percent(t.ratio - 1),
          interval(t.ratioLow, t.ratioHigh),
          percent(t.standing),
          `${formatFixed(t.noise * 100, 1)} %`,
          `${formatFixed(t.dropShare * 100, 0)} %`,
          t.verdict,
        ]),
      ),
    );
  }
  if (latency.length > 0) {
    print('\nLatency of the same at a share of that throughput:');
    print(
      renderTable(
        [
          { title: 'chain', align: 'left' },
          { title: 'T us' },
          { title: 'load' },
          { title: 'of latency', align: 'left' },
          { title: 'virtual us' },
          { title: 'threads us' },
          { title: 'difference' },
          { title: '95 % interval' },
          { title: 'verdict', align: 'left' },
        ],
        latency.flatMap((l) =>
          (['p50', 'p99'] as const).map((quantile) => {
            const q = l[quantile];
            return [
              l.chain,
              l.policy === 'off' ? 'off' : String(l.delayUs),
              formatFixed(l.load, 1),
              quantile,
              formatFixed(q.virtualNs / 1000, 2),
              formatFixed(q.threadsNs / 1000, 2),
              percent(q.ratio - 1),
              interval(q.low, q.high),
              q.verdict,
            ];
          }),
        ),
      ),
    );
  }
  for (const why of skipped) print(`\nnot tested here: ${why}`);
  if (error !== undefined) talk(`reframer: ${error.message}`);
}
