// `reframer generate OUT.pcap`: seeded synthetic traffic, the same bytes on every machine.
import type { Command } from 'commander';

import { UsageError } from '../errors.js';
import { isStandardOutput } from '../file-names.js';
import { runLabOnce } from '../lab.js';
import { print, talk } from '../output.js';
import { counted, formatFixed, parseChoice, parseCount, parseRate } from '../units.js';

const profiles = ['campus', 'clients', 'uniform'] as const;

interface Options {
  profile: string;
  packets?: string;
  flows?: string;
  packetsPerFlow?: string;
  interleave?: string;
  frameLength?: string;
  rate?: string;
  snaplen?: string;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

interface Generated {
  packets: number;
  flows?: number;
  slf?: number;
  durationSeconds?: number;
}

export function register(program: Command): void {
  program
    .command('generate')
    .description('synthetic traffic with a seed, as a capture')
    .argument('<out>', 'pcap to write (nanosecond stamps); - is standard output')
    .option(
      '--profile <profile>',
      `${profiles.join(', ')}: as the paper's trace, its motivation generator, or random flows`,
      'campus',
    )
    .option('--packets <number>', 'packets to write; default 1M, clients: every flow once')
    .option(
      '--flows <number>',
      'clients, uniform: flows, default 10k (in campus they come and go as published)',
    )
    .option('--packets-per-flow <number>', 'clients: packets that a flow has, default 400')
    .option(
      '--interleave <number>',
      'clients: packets of a flow in a row, 1 (default) to 32 as published',
    )
    .option('--frame-length <bytes>', 'clients, uniform: length without FCS, default 1000')
    .option(
      '--rate <rate>',
      'offered load, such as 40Gbps; default 10Gbps, campus 70Gbps, where more is more flows',
    )
    .option('--snaplen <bytes>', 'write only the first bytes of each frame')
    .option('--seed <number>', 'the same seed gives the same file', '1')
    .option('--json', 'print one JSON document')
    .option('--quiet', 'no progress')
    .action(generate);
}

async function generate(out: string, options: Options): Promise<void> {
  const count = (text: string | undefined, option: string, low = 1): number | undefined =>
    text === undefined ? undefined : parseCount(text, option, low);
  const rate = options.rate === undefined ? undefined : parseRate(options.rate, '--rate');
  if (rate === 'native')
    throw new UsageError(
      "--rate: 'native' is for captures; give a number with Mbps or Gbps, such as 40Gbps",
    );
  const profile = parseChoice(options.profile, '--profile', profiles);
  const flows = count(options.flows, '--flows');
  if (profile === 'campus' && flows !== undefined) {
    talk(
      'reframer: note: the flows of profile campus come and go as published; --flows changes nothing there (--rate does)',
    );
  }
  // What was not given is absent from the JSON: the job's own defaults hold.
  const spec = {
    out,
    profile,
    packets: count(options.packets, '--packets'),
    flows: profile === 'campus' ? undefined : flows,
    packetsPerFlow: count(options.packetsPerFlow, '--packets-per-flow'),
    interleave: count(options.interleave, '--interleave'),
    frameLength: count(options.frameLength, '--frame-length'),
    rateBps: rate,
    snaplen: count(options.snaplen, '--snaplen'),
    seed: parseCount(options.seed, '--seed'),
  };
  const result = await runLabOnce<Generated>('generate', spec, {
    label: 'generate',
    quiet: options.quiet,
  });
  // stdout is the capture then.
  const say = isStandardOutput(out) ? talk : print;
  if (options.json === true) return say(JSON.stringify(result));
  const facts = [
    result.flows === undefined ? undefined : counted(result.flows, 'flow'),
    result.durationSeconds === undefined
      ? undefined
      : `${formatFixed(result.durationSeconds, 6)} s`,
    result.slf === undefined ? undefined : `SLF ${formatFixed(result.slf, 2)}`,
  ].filter((fact) => fact !== undefined);
  say(`${counted(result.packets, 'packet')}${facts.map((fact) => `, ${fact}`).join('')} to ${out}`);
}
