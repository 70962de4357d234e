// `reframer reorder IN OUT`: writes a capture as it would leave Reframer. Each packet comes at its own time
// and each group leaves at its deadline, as in experiments/examples/reorder.mjs, which writes the same
// records; a core that polls at intervals gathers packets and lets groups go at its polls.
import { resolve } from 'node:path';
import type { Command } from 'commander';

import { exitCodes, UsageError } from '../errors.js';
import { isStandardOutput } from '../file-names.js';
import { runLabOnce } from '../lab.js';
import { print, talk } from '../output.js';
import {
  counted,
  formatCount,
  formatFixed,
  parseChoice,
  parseCount,
  parseHold,
  parseRate,
} from '../units.js';

const policies = ['fixed', 'adaptive', 'burst'] as const;
const keys = ['5tuple', 'symmetric', 'destination', 'inner'] as const;

interface Options {
  delay: string;
  rate: string;
  policy: string;
  key: string;
  seed?: string;
  keepGoing?: boolean;
  json?: boolean;
  quiet?: boolean;
}

interface Reordered {
  packetsIn: number;
  packetsOut: number;
  slfIn: number;
  slfOut: number;
  holdMaxUs: number;
  holdP50Us: number;
  flowsReordered: number;
  warnings: readonly string[];
  damage: { message: string } | null;
}

export function register(program: Command): void {
  program
    .command('reorder')
    .description(
      'the same frames in the order in which Reframer releases them, stamped with their departure',
    )
    .argument('<in>', 'capture to read; - is standard input')
    .argument('<out>', 'pcap to write (nanosecond stamps, same link type); - is standard output')
    .option('--delay <time>', 'longest hold, such as 64us', '64us')
    .option('--rate <rate>', "native: the capture's own timing; or 40Gbps and the like", 'native')
    .option(
      '--policy <policy>',
      `${policies.join(', ')}; burst groups within what one poll would find: 32 packets, or what comes within --delay`,
      'fixed',
    )
    .option('--key <key>', `what packets are grouped by: ${keys.join(', ')}`, '5tuple')
    .option('--seed <number>', 'key of the group hash')
    .option('--keep-going', 'write what was sound before a damaged place')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(reorder);
}

/** In the bounds of the job. */
function rateOf(text: string): number | 'native' {
  const rate = parseRate(text, '--rate');
  if (rate !== 'native' && (rate < 1e3 || rate > 1e12))
    throw new UsageError(`--rate: '${text}' is not from 1kbps to 1000Gbps`);
  return rate;
}

async function reorder(input: string, output: string, options: Options): Promise<void> {
  const spec = {
    in: input,
    out: output,
    delayNs: parseHold(options.delay, '--delay'),
    rate: rateOf(options.rate),
    policy: parseChoice(options.policy, '--policy', policies),
    key: parseChoice(options.key, '--key', keys),
    ...(options.seed === undefined ? {} : { seed: parseCount(options.seed, '--seed') }),
    keepGoing: options.keepGoing === true,
  };
  const toStdout = isStandardOutput(output);
  if (!toStdout && resolve(input) === resolve(output))
    throw new UsageError('IN and OUT are the same file; write to another one');
  const result = await runLabOnce<Reordered>('reorder', spec, {
    label: 'reorder',
    quiet: options.quiet,
  });
  if (result.damage !== null) {
    talk(`reframer: ${result.damage.message} (what comes before was written)`);
    process.exitCode = exitCodes.failed;
  }
  // stdout is the capture then.
  const say = toStdout ? talk : print;
  if (options.json === true) return say(JSON.stringify(result));
  say(
    [
      `${counted(result.packetsIn, 'packet')} in, ${formatCount(result.packetsOut)} out to ${output}`,
      `SLF (packets of a flow in a row): ${formatFixed(result.slfIn, 2)} in, ${formatFixed(result.slfOut, 2)} out, ${formatFixed(result.slfOut / result.slfIn, 2)} times as long`,
      `hold time: median ${formatFixed(result.holdP50Us, 1)} µs, longest ${formatFixed(result.holdMaxUs, 1)} µs`,
      `flows out of order: ${result.flowsReordered}`,
      ...result.warnings
        .filter((text) => !text.includes(result.damage?.message ?? '\n'))
        .map((text) => `note: ${text}`),
    ].join('\n'),
  );
}
