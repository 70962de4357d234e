// `reframer bench programs`: what the preloaded library gives to, and takes from, programs of DPDK
// that know nothing of it.
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

import { locate, type NativeFile } from '../../../native/loader.js';
import { medianInterval, type Interval } from '../../core/statistics.js';
import { CliError, exitCodes } from '../errors.js';
import { runLabOnce } from '../lab.js';
import { benchGroup } from '../main.js';
import { print, printJson, ProgressLine, renderTable, type Column } from '../output.js';
import { needOvs, ovsActions, runOvs, type OvsActions } from '../programs/ovs.js';
import { needTestpmd, runTestpmd, testpmdModes, type TestpmdMode } from '../programs/testpmd.js';
import { writeTrains } from '../programs/trains.js';
import { temporaryFolder } from '../temporary.js';
import type { ProgramRun, ProgramTrial } from '../programs/trial.js';
import { formatFixed, parseChoice, parseCount, parseDuration } from '../units.js';

const preload: NativeFile = { variable: 'REFRAMER_PRELOAD', file: 'libreframer_preload.so' };

const testpmdNames = testpmdModes.map((mode) => `testpmd-${mode}` as const);
const programs = [...testpmdNames, 'ovs'] as const;
type ProgramName = (typeof programs)[number];
const traffics = ['campus', 'trains'] as const;
type Traffic = (typeof traffics)[number];
const capturePackets = 20_000;

interface Options {
  programs: string;
  traffic: string;
  emc: string;
  rules: string;
  actions: string;
  reframer: string;
  rounds: string;
  time: string;
  snaplen: string;
  seed: string;
  json?: boolean;
  quiet?: boolean;
}

/** A program, what it does, and what it is given. */
interface Setting {
  program: ProgramName;
  traffic: Traffic;
  emc?: boolean;
  rules?: number;
  actions?: OvsActions;
}

/** A setting with one text of REFRAMER, beside plain runs of the same rounds. */
interface Row extends Setting {
  reframer: string;
  trials: readonly ProgramTrial[];
  nsPerPacket: Interval;
  cyclesPerPacket: number;
  packetsPerBatch?: number;
  emcHits?: number;
  megaflowHits?: number;
  /** To plain: above 1 it is dearer. */
  timesPlain: Interval;
}

export function register(program: Command): void {
  benchGroup(program)
    .command('programs')
    .description(
      'time a packet of dpdk-testpmd and Open vSwitch (net_pcap to net_null), plain and with libreframer_preload.so',
    )
    .option('--programs <list>', programs.join(', '), programs.join(','))
    .option('--traffic <list>', traffics.join(', '), traffics.join(','))
    .option('--emc <list>', 'ovs: exact-match cache on, off', 'on')
    .option('--rules <list>', 'ovs: OpenFlow rules, such as 1,2000', '1')
    .option('--actions <list>', `ovs: ${ovsActions.join(', ')}`, 'output')
    .option(
      '--reframer <list>',
      'texts of the environment variable REFRAMER, with ; between them',
      'delay=16us;delay=64us;policy=burst;delay=64us,policy=adaptive',
    )
    .option('--rounds <number>', 'rounds, each there and back through plain and all texts', '3')
    .option('--time <time>', 'a trial forwards this long', '1s')
    .option(
      '--snaplen <bytes>',
      "campus: bytes of each frame; DPDK's pcap port copies every frame, a NIC's driver does not",
      '64',
    )
    .option('--seed <number>', 'of the traffic', '1')
    .option('--json', 'print {"rows":[...]}')
    .option('--quiet', 'no progress')
    .action(bench);
}

const listOf = <T extends string>(text: string, option: string, all: readonly T[]): T[] =>
  text.split(',').map((word) => parseChoice(word.trim(), option, all));

function settingsOf(options: Options): Setting[] {
  const emcs = listOf(options.emc, '--emc', ['on', 'off']);
  const rules = options.rules.split(',').map((word) => parseCount(word.trim(), '--rules', 1));
  const actions = listOf(options.actions, '--actions', ovsActions);
  const traffic = listOf(options.traffic, '--traffic', traffics);
  return listOf(options.programs, '--programs', programs).flatMap((name) =>
    traffic.flatMap((each): Setting[] =>
      name === 'ovs'
        ? emcs.flatMap((emc) =>
            rules.flatMap((nb) =>
              actions.map((action) => ({
                program: name,
                traffic: each,
                emc: emc === 'on',
                rules: nb,
                actions: action,
              })),
            ),
          )
        : [{ program: name, traffic: each }],
    ),
  );
}

function runOnce(setting: Setting, run: ProgramRun): Promise<ProgramTrial> {
  const { program, emc = true, rules = 1, actions = 'output' } = setting;
  return program === 'ovs'
    ? runOvs({ emc, rules, actions }, run)
    : runTestpmd(program.slice('testpmd-'.length) as TestpmdMode, run);
}

const median = (values: readonly number[]): number => medianInterval(values).value;

function rowOf(
  setting: Setting,
  reframer: string,
  trials: readonly ProgramTrial[],
  plain: readonly ProgramTrial[],
): Row {
  const of = (name: keyof ProgramTrial): number[] =>
    trials.map((trial) => trial[name]).filter((value) => value !== undefined);
  // The one way of a round beside plain of the same way.
  const ratios = trials.map(
    (trial, i) => trial.nsPerPacket / (plain[i]?.nsPerPacket ?? Number.NaN),
  );
  return {
    ...setting,
    reframer,
    trials,
    nsPerPacket: medianInterval(of('nsPerPacket')),
    cyclesPerPacket: median(of('cyclesPerPacket')),
    ...(setting.program === 'ovs'
      ? {
          packetsPerBatch: median(of('packetsPerBatch')),
          emcHits: median(of('emcHits')),
          megaflowHits: median(of('megaflowHits')),
        }
      : {}),
    timesPlain: medianInterval(ratios),
  };
}

const optional = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? '' : formatFixed(value, digits);
const ruled = ({ emc, rules, actions }: Setting): string =>
  rules === undefined ? '' : `EMC ${emc === true ? 'on' : 'off'}, ${rules} rules, ${actions}`;

const columns: readonly (readonly [Column, (row: Row) => string])[] = [
  [{ title: 'program', align: 'left' }, (row) => row.program],
  [{ title: 'traffic', align: 'left' }, (row) => row.traffic],
  [{ title: 'switch', align: 'left' }, ruled],
  [{ title: 'REFRAMER', align: 'left' }, (row) => row.reframer],
  [{ title: 'ns/packet' }, (row) => formatFixed(row.nsPerPacket.value, 1)],
  [{ title: 'cycles' }, (row) => formatFixed(row.cyclesPerPacket, 0)],
  [
    { title: 'times plain' },
    ({ timesPlain: { value, low, high } }) =>
      Number.isNaN(low)
        ? formatFixed(value, 3)
        : `${formatFixed(value, 3)} (${formatFixed(low, 3)} to ${formatFixed(high, 3)})`,
  ],
  [{ title: 'packets/batch' }, (row) => optional(row.packetsPerBatch, 1)],
  [{ title: 'EMC hits' }, (row) => optional(row.emcHits, 3)],
  [{ title: 'megaflow hits' }, (row) => optional(row.megaflowHits, 3)],
];

function tableOf(rows: readonly Row[]): string {
  const shown = columns.filter(([, cell]) => rows.some((row) => cell(row) !== ''));
  return renderTable(
    shown.map(([column]) => column),
    rows.map((row) => shown.map(([, cell]) => cell(row))),
  );
}

async function bench(options: Options): Promise<void> {
  const settings = settingsOf(options);
  const texts = ['off', ...options.reframer.split(';').map((text) => text.trim())];
  const rounds = parseCount(options.rounds, '--rounds', 1);
  const timeMs = parseDuration(options.time, '--time') / 1e6;
  const seed = parseCount(options.seed, '--seed');
  const snaplen = parseCount(options.snaplen, '--snaplen', 60);
  // What is measured with it must not be measured without: a file that is not there is only a warning of ld.so.
  const library = locate(preload);
  if (settings.some(({ program }) => program !== 'ovs')) needTestpmd();
  if (settings.some(({ program }) => program === 'ovs')) needOvs();
  if (cpus().length < 2)
    throw new CliError(
      'not-supported',
      'two CPUs are needed: one forwards, one waits',
      exitCodes.notSupported,
    );
  const { path: folder, remove } = temporaryFolder('reframer-bench-');
  const progress = new ProgressLine('bench programs', options.quiet);
  const rows: Row[] = [];
  try {
    const captures = { campus: join(folder, 'campus.pcap'), trains: join(folder, 'trains.pcap') };
    await runLabOnce(
      'generate',
      { out: captures.campus, profile: 'campus', packets: capturePackets, seed, snaplen },
      { label: 'generate', quiet: true },
    );
    await writeTrains(captures.trains, capturePackets, seed);
    const total = settings.length * rounds * texts.length * 2;
    let done = 0;
    for (const setting of settings) {
      const trials = texts.map((): ProgramTrial[] => []);
      for (let round = 0; round < rounds; round++)
        for (const i of [...texts.keys(), ...[...texts.keys()].reverse()]) {
          const text = texts[i] ?? 'off';
          const environment = text === 'off' ? {} : { LD_PRELOAD: library, REFRAMER: text };
          const capture = captures[setting.traffic];
          trials[i]?.push(await runOnce(setting, { capture, folder, environment, timeMs }));
          progress.update({ done: ++done, total, what: 'trials' });
        }
      const [plain = []] = trials;
      for (const [i, text] of texts.entries())
        rows.push(rowOf(setting, text, trials[i] ?? [], plain));
    }
  } finally {
    progress.end();
    remove();
  }
  if (options.json === true) return printJson({ rows });
  print(tableOf(rows));
  print(
    'off: the program as it is; times plain: the median of pairs, in brackets its 95 % interval',
  );
}
