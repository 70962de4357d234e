// `reframer exp NAME`: measures an experiment, goes on where it was interrupted, writes its report.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Command } from 'commander';

import { execute } from '../../core/execute.js';
import { prepare, type Prepared, type Request } from '../../core/prepare.js';
import { describeParams } from '../../core/points.js';
import { blockOrder } from '../../core/order.js';
import { findExperiment } from '../../core/registry.js';
import { openRun } from '../../core/runs.js';
import { shellWord } from '../../core/shell.js';
import { duration, makeStatus } from '../../core/status.js';
import type { Summary } from '../../core/summary.js';
import type { ClaimResult } from '../../core/claims.js';
import { fewestValues } from '../../core/statistics.js';
import { claimsFinding, controlFinding } from '../../report/findings.js';
import { foundIn } from '../../report/model.js';
import { numbered } from '../../story/references.js';
import { plain } from '../../report/text.js';
import { writeReport, type Written } from '../../report/write.js';
import { endBedTrials, rehearse } from '../../testbed/run.js';
import { exitCodes, UsageError } from '../errors.js';
import { print, printJson, printVerdicts, renderTable, talk } from '../output.js';
import { parseCount, parseMilliseconds } from '../units.js';
import { onStopSignals } from '../until-stopped.js';

interface Options {
  full?: boolean;
  quick?: boolean;
  trace?: string[];
  seed: string;
  budget?: string;
  out?: string;
  testbed?: string;
  only?: string[];
  dryRun?: boolean;
  resume?: boolean;
  fresh?: boolean;
  ci?: boolean;
  json?: boolean;
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];
const collectNames = (value: string, before: string[] = []): string[] => [
  ...before,
  ...value.split(',').map((name) => name.trim()),
];

export function register(program: Command): void {
  program
    .command('exp')
    .description(
      'run an experiment: a quick run unless --full; goes on with an interrupted one, else starts anew',
    )
    .argument('<name>', 'experiment; `reframer list` shows them')
    .option('--quick', 'few points and samples, about two minutes (default)')
    .option('--full', 'every point, until the intervals are narrow')
    .option('--trace <file>', 'a capture to measure as well; may be repeated', collect)
    .option(
      '--only <names>',
      'measure these parts, or what these figures need, separated by commas; may be repeated',
      collectNames,
    )
    .option(
      '--testbed <file>',
      'measure on the ports and machines that this file names; see docs/REAL-HARDWARE.md',
    )
    .option(
      '--budget <time>',
      "time for all trials of the run, such as 40min, in the place of the profile's; what earlier sessions took is part of it. Opens again only points that ended on their budget or time limit: a run whose points ended on their blocks or on narrow intervals is complete, and more takes a new run",
    )
    .option('--seed <number>', 'seed of order and traffic', '1')
    .option('--out <folder>', 'folder of the run (default: results/runs/<name>-<time>)')
    .option('--resume', 'go on with the newest run; fail when none was interrupted')
    .option('--fresh', 'measure everything anew, in a new run')
    .option('--dry-run', 'show points, order and an estimate; measure nothing')
    .option('--ci', 'plain lines, and failure when the control or a trial fails')
    .option('--json', 'print the summary as JSON')
    .action(run);
}

function requestOf(options: Options): Request {
  if (options.full === true && options.quick === true)
    throw new UsageError('--full and --quick exclude each other');
  if (options.resume === true && options.fresh === true)
    throw new UsageError('--resume and --fresh exclude each other');
  return {
    profile: options.full === true ? 'full' : 'quick',
    seed: parseCount(options.seed, '--seed'),
    traceFiles: options.trace ?? [],
    only: options.only ?? [],
    budgetSeconds:
      options.budget === undefined
        ? undefined
        : parseMilliseconds(options.budget, '--budget') / 1000,
    out: options.out,
    testbed: options.testbed,
    mode: options.resume === true ? 'resume' : options.fresh === true ? 'fresh' : 'auto',
    argv: process.argv.slice(2),
  };
}

// Seconds of a trial on the machine this was written on; the status line corrects it at once.
const guessedTrialSeconds = { quick: 0.5, full: 1.5 } as const;

/** Trials that a run measures at least, and the seconds that they may take. */
function estimate({ settings, plan, options }: Prepared): {
  points: number;
  trials: number;
  seconds: number;
  longer: number;
} {
  const { blocks, budgetSeconds, limitSeconds, trialSeconds, warmup } = plan.profile;
  const points = settings.flatMap((s) => s.points).length;
  const least = (s: Prepared['settings'][number]): number =>
    s.points.length *
    (s.part.deterministic === true ? (s.part.seeds ?? 1) : blocks.min * 2 + warmup.max);
  const count = (deterministic: boolean): number =>
    settings
      .filter((s) => (s.part.deterministic === true) === deterministic)
      .reduce((sum, s) => sum + least(s), 0);
  const trials = count(true) + count(false);
  const guess = trialSeconds ?? guessedTrialSeconds[options.profile];
  const seconds = Math.min(trials * guess, limitSeconds ?? Number.POSITIVE_INFINITY);
  // Only where samples differ do more of them follow.
  return {
    points,
    trials,
    seconds,
    longer: Math.max(
      seconds,
      count(true) * guess + Math.min(budgetSeconds, count(false) * guess * 3),
    ),
  };
}

function dryRun(prepared: Prepared, json: boolean): void {
  const { settings, plan, identity } = prepared;
  const order = settings.map((s) => ({
    setting: s.key,
    params: s.params,
    points: s.points.map((p) => ({ id: p.id, params: p.params, control: p.control })),
    firstBlock:
      s.search !== undefined || s.part.deterministic === true
        ? s.points.map((p) => p.id)
        : blockOrder(s.points, identity.seed, s.key, 0).map((p) => p.id),
  }));
  const { points, trials, seconds, longer } = estimate(prepared);
  if (json)
    return printJson({
      experiment: prepared.experiment.name,
      profile: plan.profile,
      points,
      settings: order,
      trialsAtLeast: trials,
      estimateSeconds: { least: seconds, budget: plan.profile.budgetSeconds },
    });
  for (const setting of settings) {
    print(
      `${setting.part.name}${Object.keys(setting.params).length > 0 ? ` (${describeParams(setting.params)})` : ''}: ${setting.part.question}`,
    );
    for (const point of setting.points)
      print(
        `  ${point.id}  ${describeParams(point.params)}${point.control ? ' (again: control)' : ''}`,
      );
    const names = new Map(
      setting.points.map((p) => [
        p.id,
        `${p.params[setting.part.contenders?.axis ?? ''] ?? p.id}${p.control ? ' (again)' : ''}`,
      ]),
    );
    const first = order.find((o) => o.setting === setting.key)?.firstBlock ?? [];
    print(`  first block: ${first.map((id) => names.get(id)).join(' ')}`);
  }
  print(
    `${points} points, at least ${trials} trials, about ${duration(longer)}; folder ${prepared.folder}`,
  );
}

/** A claim that was judged: the rest is counted, and stands in the report. */
const judged = ({ verdict }: ClaimResult): boolean =>
  verdict !== 'not in this run' && verdict !== 'not testable here';

function claimLine(claim: ClaimResult): string[] {
  const unit = claim.unit === '' ? '' : ` ${claim.unit}`;
  const few = claim.n < fewestValues ? `n = ${claim.n}: no verdict` : claim.verdict;
  const ours = claim.ours === null ? '' : `${plain(claim.ours.value)}${unit}`;
  return [
    few,
    claim.text,
    claim.published === null ? 'a curve' : `${plain(claim.published)}${unit}`,
    ours,
  ];
}

/** Verdicts and where the rest is: tables and figures are in the report. */
function printSummary(
  summary: Summary,
  { model, notes }: Written,
  folder: string,
  warn: boolean,
): void {
  if (summary.profile === 'quick') print('[QUICK RUN: few samples, short trials]');
  const found = model.parts.map(({ part }) => ({
    part,
    text: numbered(foundIn(model, part), model.experiment.references),
  }));
  for (const { part, text } of found) if (text !== '') print(`${part.title}: ${text}`);
  const silent = found.filter(({ text }) => text === '').map(({ part }) => part.title);
  if (silent.length > 0) print(`In the report alone: ${silent.join('; ')}.`);
  const claims = summary.claims.filter(judged);
  if (claims.length > 0) {
    const columns = [
      { title: 'verdict', align: 'left' as const },
      { title: 'claim', align: 'left' as const },
      { title: 'published or aimed at' },
      { title: 'ours' },
    ];
    printVerdicts(`\n${renderTable(columns, claims.map(claimLine))}`);
  }
  print(`\n${[claimsFinding(summary), controlFinding(summary)].filter((s) => s !== '').join(' ')}`);
  // Of a run that was finished before, its warnings were seen then.
  if (warn)
    for (const { name, seen, remedy } of summary.warnings)
      talk(`warning: ${name}: ${seen} -> ${remedy}`);
  for (const note of notes) talk(`warning: ${note}`);
  const shown = relative(process.cwd(), folder) || '.';
  talk(
    `journal: ${join(shown, 'journal.jsonl')}\nreport:  ${join(shown, 'report.html')}, report.pdf, report.md`,
  );
}

/** The same command again resumes; --fresh would throw the work away. */
function resumeCommand(prepared: Prepared): string {
  const words = process.argv.slice(2).filter((word) => word !== '--fresh' && word !== '--resume');
  const out = words.some((word) => word.startsWith('--out'))
    ? []
    : ['--out', relative(process.cwd(), prepared.folder)];
  return ['npx', 'reframer', ...words, ...out].map(shellWord).join(' ');
}

/** Testers of others go on sending when we are gone: they are told first, then the signal has its way. */
function endBedFirst(): void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const handlers = new Map(signals.map((signal) => [signal, process.rawListeners(signal)]));
  for (const signal of signals) process.removeAllListeners(signal);
  const leave = (signal: NodeJS.Signals): void => {
    for (const handler of handlers.get(signal as 'SIGINT') ?? []) handler.call(process, signal);
  };
  onStopSignals(signals, (signal) => void endBedTrials().finally(() => leave(signal)), leave);
}

async function run(name: string, options: Options): Promise<void> {
  const experiment = findExperiment(name);
  const prepared = await prepare(experiment, requestOf(options), new Date());
  if (options.dryRun === true) return dryRun(prepared, options.json === true);
  if (prepared.bed !== undefined) {
    endBedFirst();
    await rehearse(prepared.bed.bed, prepared.bed.prepared);
  }
  const status = makeStatus({
    tty: process.stderr.isTTY === true && options.ci !== true,
    quiet: false,
  });
  const interrupted = (): void => {
    status.end();
    if (!existsSync(prepared.folder)) return;
    talk(
      `what was measured is kept in ${prepared.folder}\nresume with: ${resumeCommand(prepared)}`,
    );
  };
  process.once('exit', interrupted);
  status.say(
    `${experiment.name}: ${options.full === true ? 'full' : 'quick'} run, ${prepared.settings.flatMap((s) => s.points).length} points, seed ${prepared.options.seed}, about ${duration(estimate(prepared).longer)}, in ${prepared.folder}`,
  );
  const outcome = await execute(prepared, {
    status,
    argv: prepared.context.argv as string[],
    now: new Date(),
  });
  process.removeListener('exit', interrupted);
  const whole = openRun(prepared.folder);
  const written = writeReport(whole, experiment);
  const { summary } = written;
  if (options.json === true)
    printJson({
      folder: prepared.folder,
      reused: outcome.reused,
      measured: outcome.measured,
      summary: { ...summary, points: summary.points.map(({ values: _values, ...point }) => point) },
    });
  else printSummary(summary, written, prepared.folder, outcome.measured > 0);
  const failed =
    summary.points.some((p) => p.stopped === 'failed') ||
    summary.warnings.some((w) => w.name === 'failed-trials');
  const control = options.ci === true && summary.control.some((c) => c.verdict === 'changed');
  if (control)
    talk(
      'reframer: the control failed: the same against itself came out different, so no other difference counts',
    );
  // Parts that may be left out are no failure; where nothing else was asked for there is no answer here.
  const nothing = summary.pointsMeasured === 0 && whole.history.failures.length > 0;
  process.exitCode =
    failed || control ? exitCodes.failed : nothing ? exitCodes.notSupported : exitCodes.ok;
}
