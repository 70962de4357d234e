// `reframer bench api`: what the TypeScript interface costs a packet, from a capture to flows and back.
import { join } from 'node:path';
import type { Command } from 'commander';

import { benchApi } from '../api-bench.js';
import { runLabOnce } from '../lab.js';
import { benchGroup } from '../main.js';
import { print, printJson, ProgressLine, renderTable } from '../output.js';
import { temporaryFolder } from '../temporary.js';
import { formatFixed, parseCount } from '../units.js';

interface Options {
  quick?: boolean;
  bursts?: string;
  packets?: string;
  snaplen?: string;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

export function register(program: Command): void {
  benchGroup(program)
    .command('api')
    .description(
      'ns per packet of the TypeScript interface: read a capture, make keys, track, reframe, write',
    )
    .option('--quick', 'a tenth of the packets, fewer rounds: no intervals')
    .option('--bursts <list>', 'packets a burst (default 32,256)')
    .option('--packets <number>', 'packets of the capture (default 1M)')
    .option('--snaplen <bytes>', 'bytes of each frame that are in it (default 96)')
    .option('--seed <number>', 'seed of the traffic', '1')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

async function bench(options: Options): Promise<void> {
  const quick = options.quick === true;
  const count = (text: string | undefined, option: string, fallback: number): number =>
    text === undefined ? fallback : parseCount(text, option, 1);
  const bursts = (options.bursts ?? '32,256')
    .split(',')
    .map((text) => parseCount(text.trim(), '--bursts', 1));
  const seed = parseCount(options.seed, '--seed');
  const { path: folder, remove } = temporaryFolder('reframer-bench-api-');
  const progress = new ProgressLine('bench api', options.quiet);
  try {
    const file = join(folder, 'campus.pcap');
    const spec = {
      out: file,
      profile: 'campus',
      packets: count(options.packets, '--packets', quick ? 100_000 : 1_000_000),
      snaplen: count(options.snaplen, '--snaplen', 96),
      seed,
    };
    await runLabOnce('generate', spec, { label: 'generate', quiet: true });
    const rows = await benchApi(
      file,
      folder,
      { bursts, rounds: quick ? 3 : 15, seed },
      (done, all) => progress.update({ done, total: all, what: 'of the rounds' }),
    );
    progress.end();
    if (options.json === true) return printJson({ rows });
    print(
      renderTable(
        ['step', 'burst', 'ns/packet', '95 % interval', 'Mpps'].map((title) => ({ title })),
        rows.map((row) => [
          row.step,
          String(row.burst),
          formatFixed(row.nsPerPacket, 1),
          row.nsLow === null
            ? '-'
            : `${formatFixed(row.nsLow, 1)} to ${formatFixed(row.nsHigh, 1)}`,
          row.step.startsWith('capture') ? formatFixed(1e3 / row.nsPerPacket, 1) : '',
        ]),
      ),
    );
    print(
      'capture: the loop that only reads. keys, hashes, reframe, write: what a loop with that step takes more than that one, in the same round; track: what adding to a table that is there takes more than the loop that makes keys. capture to flows: all of it, with the making of the table and a walk through its flows. A file in the page cache',
    );
  } finally {
    progress.end();
    remove();
  }
}
