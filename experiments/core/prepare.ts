// From what the user asked to what is to be measured: captures named and hashed, points expanded,
// the run to go on with found.
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import { dpdkProgram, labProgram, locate } from '../../native/loader.js';
import { captureContext, usableCpus } from './context.js';
import { HarnessError } from './errors.js';
import { hashFile } from './hash.js';
import { expandPart, type Identity, type Setting } from './points.js';
import { dpdkJob } from './runner.js';
import { journalName, newRunFolder, openRun, resumable } from './runs.js';
import type { Experiment, JsonObject, Part, Plan, RunOptions, Trace } from './types.js';

export interface Request {
  profile: RunOptions['profile'];
  seed: number;
  traceFiles: readonly string[];
  /** Parts, or figures whose parts, alone are measured. */
  only: readonly string[];
  out: string | undefined;
  mode: 'auto' | 'resume' | 'fresh';
  argv: readonly string[];
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
}

/** Two captures of the same file name get a number, so that tables can tell them apart. */
async function nameTraces(files: readonly string[]): Promise<Trace[]> {
  const seen = new Map<string, number>();
  const traces: Trace[] = [];
  for (const file of files) {
    if (!existsSync(file)) throw new HarnessError('no-trace', `--trace ${file}: no such file`, 2);
    const name = basename(file);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    traces.push({ name: count === 1 ? name : `${name} (${count})`, file: resolve(file), sha256: await hashFile(file) });
  }
  return traces;
}

function chosenParts(experiment: Experiment, plan: Plan, only: readonly string[]): readonly Part[] {
  const { parts, byDefault } = plan;
  if (only.length === 0) return byDefault === undefined ? parts : parts.filter((part) => byDefault.includes(part.name));
  const wanted = only.map((id) => {
    if (parts.some((part) => part.name === id)) return id;
    const figure = experiment.figures.find((f) => f.id === id);
    if (figure === undefined) throw new HarnessError('no-figure', `--only ${id}: there are the parts ${parts.map((p) => p.name).join(', ')} and the figures ${experiment.figures.map((f) => f.id).join(', ')}`, 2);
    const part = parts.find((p) => p.name === figure.part);
    if (part === undefined) throw new HarnessError('no-figure', `--only ${id}: part ${figure.part} is not in this run; it needs --full or --trace`, 2);
    return part.name;
  });
  return parts.filter((part) => wanted.includes(part.name));
}

export async function prepare(experiment: Experiment, request: Request, now: Date): Promise<Prepared> {
  const { profile, seed, only, out, mode, argv } = request;
  const options: RunOptions = { profile, seed, traces: await nameTraces(request.traceFiles) };
  const plan = experiment.plan(options);
  const parts = chosenParts(experiment, plan, only);
  const program = locate(labProgram);
  const other = parts.some((part) => part.job.startsWith(dpdkJob)) ? `+${await hashFile(locate(dpdkProgram))}` : '';
  const binary = `${await hashFile(program)}${other}`;
  const identity: Identity = { experiment: experiment.name, seed, binary, traces: options.traces };
  const settings = parts.flatMap((part) => expandPart(part, identity));
  const cpus = usableCpus();
  const context = captureContext({ binarySha256: binary, argv, cpus });
  const given = out === undefined ? undefined : resolve(out);
  if (given !== undefined && existsSync(join(given, journalName))) {
    if (mode === 'fresh') throw new HarnessError('run-exists', `${out}: holds a run already; give another folder, or leave --fresh out to go on with it`, 2);
    const { run } = openRun(given).history;
    if (run.experiment !== experiment.name || run.profile !== profile || run.seed !== seed) {
      throw new HarnessError('other-run', `${out}: holds a run of ${run.experiment}, ${run.profile}, seed ${run.seed}; give another folder`, 2);
    }
    return { experiment, options, plan, parts, settings, identity, program, cpus, context, folder: given, resumed: true };
  }
  const found = mode === 'fresh' || given !== undefined ? undefined : resumable({ experiment: experiment.name, profile, seed, binary, context });
  if (mode === 'resume' && found === undefined) {
    throw new HarnessError('no-run', `no run of ${experiment.name} (${profile}, seed ${seed}, this build, this machine) to go on with; leave --resume out to start one`, 2);
  }
  const folder = given ?? found ?? newRunFolder(experiment.name, now);
  return { experiment, options, plan, parts, settings, identity, program, cpus, context, folder, resumed: found !== undefined };
}
