// What `list` tells of a run, kept beside its journal so that a list of hundreds reads no journal.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';

import { kindOf, OwnFolder, readOwnFile } from './files.js';
import type { History } from './history.js';
import { journalIn } from './runs.js';

export const stateName = 'state.json';
// Bytes; a state has a few hundred.
const largest = 2 ** 14;

export interface RunState {
  experiment: string;
  profile: string;
  seed: number;
  started: string;
  done: number;
  planned: number;
  samples: number;
  /** The journal that this was read from: another size is another journal. */
  journalBytes: number;
}

const journalBytes = (folder: string): number =>
  lstatSync(journalIn(folder) ?? '', { throwIfNoEntry: false })?.size ?? -1;

export function stateOf(folder: string, history: History): RunState {
  const { experiment, profile, seed, started } = history.run;
  const planned = [...history.points.keys()].filter((id) => !history.probes.has(id));
  return {
    experiment,
    profile,
    seed,
    started,
    done: planned.filter((id) => history.done.has(id)).length,
    planned: planned.length,
    samples: history.measured,
    journalBytes: journalBytes(folder),
  };
}

const isState = (value: unknown): value is RunState => {
  const state = value as Partial<Record<keyof RunState, unknown>> | null;
  return (
    typeof state === 'object' &&
    state !== null &&
    (['experiment', 'profile', 'started'] as const).every((k) => typeof state[k] === 'string') &&
    (['seed', 'done', 'planned', 'samples', 'journalBytes'] as const).every(
      (k) => typeof state[k] === 'number',
    )
  );
};

/** @returns undefined where there is none, or one of another journal */
export function readState(folder: string): RunState | undefined {
  const file = join(folder, stateName);
  if (kindOf(file) !== 'file') return undefined;
  try {
    const state: unknown = JSON.parse(readOwnFile(file, largest).toString('utf8'));
    return isState(state) && state.journalBytes === journalBytes(folder) ? state : undefined;
  } catch {
    // Damaged: the journal tells.
    return undefined;
  }
}

/** Where the folder takes it; a list does not fail because it cannot be faster next time. */
export function keepState(folder: string, state: RunState): void {
  try {
    const target = OwnFolder.open(folder);
    try {
      target.write(stateName, `${JSON.stringify(state)}\n`);
    } finally {
      target.close();
    }
  } catch {
    // A folder that may not be written to.
  }
}
