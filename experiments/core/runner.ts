// One trial is one process of `reframer-lab`: pinned, specification in, records out.
import { appendFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { $, type ProcessPromise } from 'zx';

import { dpdkProgram, locate, packageRoot } from '../../native/loader.js';
import { endTree, outputWithin } from './child.js';
import { HarnessError } from './errors.js';
import type { JsonObject } from './types.js';

export interface TrialResult {
  records: JsonObject[];
  wallMs: number;
  error?: { code: string; message: string; exitCode: number };
}

export type RunTrial = (
  job: string,
  spec: JsonObject,
  timeoutSeconds: number,
) => Promise<TrialResult>;

export interface RunnerOptions {
  program: string;
  /** Processors of the trial: "0,1"; undefined leaves it to the system. */
  cpus: string | undefined;
  /** Everything the children say on stderr. */
  logFile: string;
  /** Runs the trials on a bed, where there is one. */
  onBed?: RunTrial | undefined;
}

export type Engine = 'virtual' | 'threads' | 'dpdk' | 'testbed';

/** What carried the packets of a trial. */
export function engineOf(job: string, spec: JsonObject): Engine {
  if (job.startsWith(bedJob)) return 'testbed';
  if (job.startsWith(dpdkJob)) return 'dpdk';
  return spec.engine === 'threads' ? 'threads' : 'virtual';
}

/** In front of the name of a job of `reframer-dpdk`. */
export const dpdkJob = 'dpdk:';
/** In front of the name of a trial on a bed; see experiments/testbed/run.ts. */
export const bedJob = 'bed:';
/** In front of a subcommand of this command line that is a trial. */
export const commandJob = 'command:';

const commandLine = join(packageRoot, 'experiments', 'cli', 'reframer.mjs');

function wordsOf(job: string, program: string): string[] {
  if (job.startsWith(dpdkJob)) return [locate(dpdkProgram), job.slice(dpdkJob.length)];
  if (job.startsWith(commandJob))
    return [process.execPath, commandLine, ...job.slice(commandJob.length).split(' '), '--json'];
  return [program, job];
}

const live = new Set<ProcessPromise>();

/** For the harness's end, however it comes: no trial outlives it. */
export function killTrials(): void {
  for (const child of live) endTree(child);
}

function parseLines(
  stdout: string,
  job: string,
): { records: JsonObject[]; reported: JsonObject | undefined } {
  const records: JsonObject[] = [];
  let reported: JsonObject | undefined;
  for (const line of stdout.split('\n')) {
    if (line.trim() === '') continue;
    let record: JsonObject;
    try {
      record = JSON.parse(line) as JsonObject;
    } catch {
      throw new HarnessError(
        'lab-output',
        `reframer-lab ${job} wrote what is not a record: ${line.slice(0, 200)}`,
      );
    }
    if ('progress' in record) continue;
    if ('error' in record) reported = record.error as JsonObject;
    else records.push(record);
  }
  return { records, reported };
}

/** Each record says which engine it is of. */
const marked = (records: JsonObject[], job: string, spec: JsonObject): JsonObject[] =>
  records.map((record) => ({ ...record, engine: engineOf(job, spec) }));

export function makeRunner({ program, cpus, logFile, onBed }: RunnerOptions): RunTrial {
  process.once('exit', killTrials);
  return async (job, spec, timeoutSeconds) => {
    if (job.startsWith(bedJob)) {
      if (onBed === undefined)
        throw new HarnessError('no-bed', `${job} runs on a bed: give it by --testbed`, 2);
      return onBed(job, spec, timeoutSeconds);
    }
    const started = performance.now();
    const words = wordsOf(job, program);
    const command = cpus === undefined ? words : ['taskset', '-c', cpus, ...words];
    // `exec`: the process that we know is the trial itself, not a shell around it.
    const child = $({
      quiet: true,
      nothrow: true,
      input: JSON.stringify(spec),
    })`exec ${command}`;
    live.add(child);
    const { output, timedOut } = await outputWithin(child, timeoutSeconds).finally(() =>
      live.delete(child),
    );
    const wallMs = performance.now() - started;
    if (output.stderr !== '') appendFileSync(logFile, `# ${job}\n${output.stderr}`);
    const { records, reported } = parseLines(output.stdout, job);
    if (output.exitCode === 0 && reported === undefined)
      return { records: marked(records, job, spec), wallMs };
    const code = typeof reported?.code === 'string' ? reported.code : 'lab-died';
    const how =
      output.signal === null && !timedOut
        ? `exit code ${output.exitCode}`
        : `${output.signal ?? 'SIGKILL'} (timeout is ${timeoutSeconds} s)`;
    const message =
      typeof reported?.message === 'string'
        ? reported.message
        : `reframer-lab ${job} ended with ${how}; see ${basename(logFile)}`;
    return { records, wallMs, error: { code, message, exitCode: output.exitCode ?? 1 } };
  };
}
