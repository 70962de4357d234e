// Folders of runs: where they are, which one to go on with, and who is writing to it.
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import { giveBack, take } from '#held-file';
import { packageRoot } from '../../native/loader.js';
import { machineFingerprint, readText } from './context.js';
import { HarnessError } from './errors.js';
import { kindOf, makeFolder } from './files.js';
import { readHistory, type History } from './history.js';
import { readJournal } from './journal.js';
import type { JsonObject, RunOptions, Trace } from './types.js';

export const journalName = 'journal.jsonl';
/** Of a kept run: compressed by Brotli, which every Node has; Zstandard came with 22.15. */
export const keptJournalName = `${journalName}.br`;

/** The journal of a run, as it was written or as it was kept. */
export const journalIn = (folder: string): string | undefined =>
  [journalName, keptJournalName]
    .map((name) => join(folder, name))
    .find((file) => kindOf(file) !== undefined);

/** In a clone the clone's own results/; in a consumer's project theirs. */
export function resultsFolder(): string {
  const home = packageRoot.split(/[\\/]/).includes('node_modules') ? process.cwd() : packageRoot;
  return join(home, 'results');
}

export interface Run {
  folder: string;
  history: History;
}

export function openRun(folder: string): Run {
  const file = journalIn(folder);
  if (file === undefined)
    throw new HarnessError(
      'no-run',
      `${folder}: no ${journalName} there; \`reframer list\` shows the runs`,
      2,
    );
  return { folder, history: readHistory(readJournal(file).records) };
}

export function runFolders(root = resultsFolder()): string[] {
  return ['runs', 'reference'].flatMap((kind) => {
    const folder = join(root, kind);
    if (!existsSync(folder)) return [];
    return (
      readdirSync(folder)
        .map((name) => join(folder, name))
        // A link that leads nowhere, or a folder of something else, is no run.
        .filter(
          (path) =>
            statSync(path, { throwIfNoEntry: false })?.isDirectory() === true &&
            kindOf(journalIn(path) ?? '') === 'file',
        )
        .sort()
    );
  });
}

const changedMs = (folder: string): number =>
  lstatSync(journalIn(folder) ?? '', { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** A run by its path, its name, or `latest` and `latest:NAME`. */
export function findRun(name: string): Run {
  if (journalIn(name) !== undefined) return openRun(resolve(name));
  const folders = runFolders();
  if (name === 'latest' || name.startsWith('latest:')) {
    const prefix = name === 'latest' ? '' : `${name.slice('latest:'.length)}-`;
    const newest = folders
      .filter(
        (f) => basename(f).startsWith(prefix) && !f.includes(`${join('results', 'reference')}`),
      )
      .sort((a, b) => changedMs(a) - changedMs(b))
      .at(-1);
    if (newest !== undefined) return openRun(newest);
    throw new HarnessError(
      'no-run',
      `${name}: no run was made here yet; \`reframer exp NAME\` makes one`,
      2,
    );
  }
  const found = folders.filter((f) => basename(f) === name);
  const [only] = found;
  if (found.length === 1 && only !== undefined) return openRun(only);
  if (found.length > 1)
    throw new HarnessError(
      'no-run',
      `'${name}' names ${found.length} runs; give the path of one`,
      2,
    );
  throw new HarnessError(
    'no-run',
    kindOf(name) === 'file'
      ? `${name} is a file; name the folder of a run`
      : `no run is called '${name}'; \`reframer list\` shows the runs`,
    2,
  );
}

export interface ResumeKey {
  experiment: string;
  profile: RunOptions['profile'];
  seed: number;
  binary: string;
  context: JsonObject;
  traces: readonly Pick<Trace, 'name' | 'sha256'>[];
}

interface Programs {
  lab: string;
  dpdk?: string | undefined;
  bed?: string | undefined;
}

/** As prepare() puts them together: that of the ports is in it where a part needs it. */
function programsOf(binary: unknown): Programs {
  const [lab = '', ...more] = String(binary).split('+');
  return { lab, dpdk: more.find((h) => h.length === 64), bed: more.find((h) => h.length === 16) };
}

function sameBuild(one: Programs, other: Programs): boolean {
  const both = one.dpdk !== undefined && other.dpdk !== undefined;
  return one.lab === other.lab && one.bed === other.bed && (!both || one.dpdk === other.dpdk);
}

/** What a session of this run was measured with and on, where it is not what there is now; in words. */
export function otherThan({ run, context, sessions }: History, key: ResumeKey): string | undefined {
  const build = context.build as JsonObject | undefined;
  // Tables and figures know a capture by its name: two of one name would be one row.
  const renamed = key.traces.filter(({ name, sha256 }) =>
    run.traces.some((known) => known.name === name && known.sha256 !== sha256),
  );
  const other = [
    ...(sessions === 0 || sameBuild(programsOf(build?.binarySha256), programsOf(key.binary))
      ? []
      : ['another build']),
    ...(sessions === 0 || machineFingerprint(context) === machineFingerprint(key.context)
      ? []
      : ['another machine']),
    ...renamed.map(({ name }) => `another capture called ${name}`),
  ];
  return other.length === 0 ? undefined : other.join(' and ');
}

/** Whether points of this run may be taken over: same program, seed, profile and machine. */
function fits(history: History, key: ResumeKey): boolean {
  const { run, sessions, context } = history;
  const build = context.build as JsonObject | undefined;
  return (
    run.experiment === key.experiment &&
    run.profile === key.profile &&
    run.seed === key.seed &&
    sessions > 0 &&
    build?.binarySha256 === key.binary &&
    otherThan(history, key) === undefined
  );
}

/** The newest run that this one can go on with. */
export function resumable(key: ResumeKey, root = resultsFolder()): string | undefined {
  const folders = runFolders(root)
    .filter(
      (folder) =>
        basename(folder).startsWith(`${key.experiment}-`) &&
        basename(join(folder, '..')) === 'runs',
    )
    .sort()
    .reverse();
  return folders.find((folder) => {
    try {
      return fits(openRun(folder).history, key);
    } catch {
      // A damaged or older journal is no reason not to start anew.
      return false;
    }
  });
}

export function newRunFolder(experiment: string, now: Date, root = resultsFolder()): string {
  const stamp = now.toISOString().slice(0, 19).replaceAll(':', '').replace('T', '-');
  const base = join(root, 'runs', `${experiment}-${stamp}`);
  let folder = base;
  for (let i = 2; existsSync(folder); i++) folder = `${base}-${i}`;
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When a process began, in ticks since the machine did; undefined where nothing tells. */
const beganAt = (pid: number): string | undefined =>
  // proc(5): field 22; the name before it may hold blanks.
  readText(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')[19];

/**
 * Whether who wrote this lock still runs. Numbers are given again, in a container within a moment: one that
 * began at another time is another process.
 */
function holds(text: string): boolean {
  const [pid, began] = text.split(' ');
  const owner = Number(pid);
  if (!(owner > 0) || owner === process.pid || !isAlive(owner)) return false;
  const now = beganAt(owner);
  return began === undefined || now === undefined || began === now;
}

/** One writer a run. A lock whose process is gone is taken over. @returns the release */
export function lockRun(folder: string): () => void {
  makeFolder(folder);
  const file = join(folder, 'lock');
  const held = take(file, holds, `${process.pid} ${beganAt(process.pid) ?? ''}`.trimEnd());
  if (held !== undefined)
    throw new HarnessError(
      'run-in-use',
      `${folder} is being written by process ${held.split(' ')[0]}; wait for it, or give another folder`,
    );
  return () => giveBack(file);
}
