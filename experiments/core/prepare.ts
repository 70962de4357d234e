// From what the user asked to what is to be measured: captures named and hashed, points expanded,
// the run to go on with found.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import { dpdkProgram, labProgram, locate } from '../../native/loader.js';
import { reopened, withBudget } from './budget.js';
import { cleanLine } from './clean.js';
import { captureContext, usableCpus } from './context.js';
import { HarnessError } from './errors.js';
import { kindOf, refuseNoFolder } from './files.js';
import { hashFile, shortHash } from './hash.js';
import { readJournal } from './journal.js';
import { expandPart, type Identity, type Setting } from './points.js';
import { bedFacts, describeBed, readBed, type Bed } from '../testbed/bed.js';
import { prepareBed, type Prepared as PreparedBed } from '../testbed/probe.js';
import { bedJob, dpdkJob } from './runner.js';
import {
  journalName,
  newRunFolder,
  openRun,
  otherThan,
  resumable,
  type ResumeKey,
} from './runs.js';
import type { Experiment, JsonObject, Part, Plan, RunOptions, Trace } from './types.js';

export interface Request {
  profile: RunOptions['profile'];
  seed: number;
  traceFiles: readonly string[];
  /** Parts, or figures whose parts, alone are measured. */
  only: readonly string[];
  /** Seconds of trials, in the place of the profile's. */
  budgetSeconds?: number | undefined;
  out: string | undefined;
  mode: 'auto' | 'resume' | 'fresh';
  argv: readonly string[];
  /** File that describes a bed of two machines. */
  testbed?: string | undefined;
  /** Folder of runs/ and reference/; default that of the clone or project. */
  results?: string;
}

export interface Prepared {
  experiment: Experiment;
  options: RunOptions;
  plan: Plan;
  parts: readonly Part[];
  settings: Setting[];
  identity: Identity;
  program: string;
  cpus: string | undefined;
  context: JsonObject;
  folder: string;
  resumed: boolean;
  /** A finished run of the same kind, left as it is. */
  finished: string | undefined;
  bed?: { bed: Bed; prepared: PreparedBed };
}

/** A capture on a slow disk opens in less. */
const openSeconds = 30;

/** Two captures of the same file name get a number, so that tables can tell them apart. */
async function nameTraces(files: readonly string[]): Promise<Trace[]> {
  const seen = new Map<string, number>();
  const traces: Trace[] = [];
  for (const file of files) {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined)
      throw new HarnessError('no-trace', `--trace ${cleanLine(file)}: no such file`, 2);
    // It is read once a trial.
    if (!found.isFile())
      throw new HarnessError(
        'no-trace',
        `--trace ${cleanLine(file)}: not a file; give a capture that lies on a disk`,
        2,
      );
    const name = cleanLine(basename(file));
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    traces.push({
      name: count === 1 ? name : `${name} (${count})`,
      file: resolve(file),
      sha256: await hashFile(file),
    });
  }
  return traces;
}

function chosenParts(experiment: Experiment, plan: Plan, only: readonly string[]): readonly Part[] {
  const { parts, byDefault } = plan;
  if (only.length === 0)
    return byDefault === undefined ? parts : parts.filter((part) => byDefault.includes(part.name));
  const wanted = only.map((id) => {
    if (parts.some((part) => part.name === id)) return id;
    const figure = experiment.figures.find((f) => f.id === id);
    if (figure === undefined)
      throw new HarnessError(
        'no-figure',
        `--only ${id}: there are the parts ${parts.map((p) => p.name).join(', ')} and the figures ${experiment.figures.map((f) => f.id).join(', ')}`,
        2,
      );
    const part = parts.find((p) => p.name === figure.part);
    if (part === undefined)
      throw new HarnessError(
        'no-figure',
        `--only ${id}: part ${figure.part} is not in this run; it needs --full or --trace`,
        2,
      );
    return part.name;
  });
  return parts.filter((part) => wanted.includes(part.name));
}

/** Whether the part's points depend on the captures that were given. */
const usesTrace = (part: Part, traces: readonly Trace[], identity: Identity): boolean => {
  const specs = expandPart(part, identity).flatMap((s) =>
    s.points.map((p) => JSON.stringify(part.spec(p.params))),
  );
  return specs.some((spec) => traces.some(({ file }) => spec.includes(JSON.stringify(file))));
};

/** @throws HarnessError `no-use-for-trace`: every part that is to be measured would ignore the captures */
function refuseUnusedTraces(
  experiment: Experiment,
  plan: Plan,
  parts: readonly Part[],
  identity: Identity,
): void {
  const { traces } = identity;
  if (traces.length === 0 || parts.some((part) => usesTrace(part, traces, identity))) return;
  const able = plan.parts
    .filter((part) => usesTrace(part, traces, identity))
    .map((part) => part.name);
  const next =
    able.length > 0
      ? `leave --trace out, or measure ${able.join(', ')}`
      : `leave --trace out: no part of ${experiment.name} takes a capture`;
  throw new HarnessError(
    'no-use-for-trace',
    `--trace: ${parts.map((p) => p.name).join(', ')} cannot use a capture; ${next}`,
    2,
  );
}

interface Place {
  folder: string;
  resumed: boolean;
  finished: string | undefined;
}

const isFinished = (folder: string, plan: Plan, settings: readonly Setting[]): boolean => {
  const { done } = reopened(openRun(folder).history, plan);
  return settings.flatMap((s) => s.points).every((point) => done.has(point.id));
};

/** A disk that was full, or a kill, may leave a journal without its first line: then nothing was begun. */
function isBegun(folder: string): boolean {
  const journal = join(folder, journalName);
  return kindOf(journal) !== undefined && readJournal(journal).records.length > 0;
}

/** The folder to measure in: the one given, an interrupted run's, or a new one. */
function placeOf(
  request: Request,
  key: ResumeKey,
  plan: Plan,
  settings: readonly Setting[],
  now: Date,
): Place {
  const { out, mode, results } = request;
  const { experiment, profile, seed } = key;
  const given = out === undefined ? undefined : resolve(out);
  if (given !== undefined) refuseNoFolder(given, `--out ${out}`);
  if (given !== undefined && isBegun(given)) {
    if (mode === 'fresh') {
      throw new HarnessError(
        'run-exists',
        `${out}: holds a run already; give another folder, or leave --fresh out to go on with it`,
        2,
      );
    }
    const { history } = openRun(given);
    const { run } = history;
    if (run.experiment !== experiment || run.profile !== profile || run.seed !== seed) {
      throw new HarnessError(
        'other-run',
        `${out}: holds a run of ${run.experiment}, ${run.profile}, seed ${run.seed}; give another folder`,
        2,
      );
    }
    // Its samples and those that came now would stand in one table, under the name of the last machine.
    const other = otherThan(history, key);
    if (other !== undefined)
      throw new HarnessError(
        'other-run',
        `${out}: was measured with ${other}; give another folder, and \`reframer compare\` the two`,
        2,
      );
    return { folder: given, resumed: true, finished: undefined };
  }
  const found = mode === 'fresh' || given !== undefined ? undefined : resumable(key, results);
  const finished = found !== undefined && isFinished(found, plan, settings) ? found : undefined;
  if (mode === 'resume' && (found === undefined || finished !== undefined)) {
    const which = `${experiment} (${profile}, seed ${seed}, this build, this machine)`;
    const what =
      finished === undefined
        ? `no run of ${which} to go on with`
        : `the newest run of ${which} is finished: ${finished}`;
    throw new HarnessError('no-run', `${what}; leave --resume out to start one`, 2);
  }
  const resumed = found !== undefined && finished === undefined;
  return {
    folder: given ?? (resumed ? found : newRunFolder(experiment, now, results)),
    resumed,
    finished,
  };
}

/** Before minutes of measuring, not after: what the first packet of each capture tells. */
function refuseUnreadableTraces(program: string, traces: readonly Trace[]): void {
  for (const { file } of traces) {
    const { stdout } = spawnSync(program, ['analyze'], {
      input: JSON.stringify({ files: [file], atMost: 1 }),
      encoding: 'utf8',
      timeout: openSeconds * 1000,
    });
    const last = stdout?.trim().split('\n').at(-1) ?? '';
    const { error } = (last === '' ? {} : JSON.parse(last)) as { error?: { message: string } };
    if (error !== undefined)
      throw new HarnessError('bad-trace', `--trace ${cleanLine(error.message)}`, 1);
  }
}

export async function prepare(
  experiment: Experiment,
  request: Request,
  now: Date,
): Promise<Prepared> {
  const { profile, seed, only, argv, budgetSeconds } = request;
  const bed = request.testbed === undefined ? undefined : readBed(request.testbed);
  if (bed !== undefined && experiment.bed === undefined)
    throw new HarnessError(
      'no-bed-parts',
      `--testbed: no part of ${experiment.name} runs on a bed; those of reframer and rsspp do`,
      2,
    );
  const options: RunOptions = {
    profile,
    seed,
    traces: await nameTraces(request.traceFiles),
    ...(bed === undefined ? {} : { bed: bedFacts(bed) }),
  };
  const plan = withBudget(experiment.plan(options), budgetSeconds);
  const parts = chosenParts(experiment, plan, only);
  const program = locate(labProgram);
  const onPorts = (part: Part): boolean =>
    part.job.startsWith(dpdkJob) || part.job.startsWith(bedJob);
  const other = parts.some(onPorts) ? `+${await hashFile(locate(dpdkProgram))}` : '';
  const where = bed === undefined ? '' : `+${shortHash(describeBed(bed))}`;
  const binary = `${await hashFile(program)}${other}${where}`;
  const identity: Identity = { experiment: experiment.name, seed, binary, traces: options.traces };
  refuseUnusedTraces(experiment, plan, parts, identity);
  refuseUnreadableTraces(program, options.traces);
  const settings = parts.flatMap((part) => expandPart(part, identity));
  const cpus = usableCpus();
  const prepared = bed === undefined ? undefined : await prepareBed(bed);
  const context = captureContext({
    binarySha256: binary,
    argv,
    cpus,
    ...(budgetSeconds === undefined ? {} : { budgetSeconds }),
    ...(bed === undefined || prepared === undefined
      ? {}
      : {
          bed: {
            ...describeBed(bed),
            dut: prepared.dut.context,
            tester: prepared.tester.context,
          },
        }),
  });
  const place = placeOf(
    request,
    { experiment: experiment.name, profile, seed, binary, context, traces: options.traces },
    plan,
    settings,
    now,
  );
  return {
    experiment,
    options,
    plan,
    parts,
    settings,
    identity,
    program,
    cpus,
    context,
    ...place,
    ...(bed === undefined || prepared === undefined ? {} : { bed: { bed, prepared } }),
  };
}
