// A run made small enough for a repository: every sample stays, with the figures that its report reads.
import { brotliCompressSync } from 'node:zlib';

import { enginesOf } from '../core/engines.js';
import { HarnessError } from '../core/errors.js';
import { OwnFolder } from '../core/files.js';
import { numberAt } from '../core/history.js';
import { readJournal } from '../core/journal.js';
import type { JournalRecord } from '../core/records.js';
import { journalIn, keptJournalName, type Run } from '../core/runs.js';
import { planOf } from '../core/summary.js';
import type { Experiment, JsonObject, Part } from '../core/types.js';

/** Paths of the part's metrics within a record, and within each of the points that it tells about. */
function pathsOf(experiment: Experiment, part: Part): string[] {
  const prefixes = part.unfold?.map(({ path }) => (path === '' ? '' : `${path}.`)) ?? [''];
  const searched = part.axes.flatMap((axis) => (axis.kind === 'search' ? [axis.metric] : []));
  const keys = new Set([...part.metrics, part.headline, ...searched]);
  const metrics = experiment.metrics.filter((m) => keys.has(m.key));
  // What tells whether a cost a packet may be quoted.
  const backlog = metrics.flatMap((m) => Object.values(m.backlog ?? {}) as string[]);
  return [...prefixes.flatMap((prefix) => metrics.map((m) => prefix + m.path)), ...backlog];
}

function only(record: JsonObject, paths: readonly string[]): JsonObject {
  const kept: Record<string, unknown> = {};
  for (const path of paths) {
    const value = numberAt(record, path);
    if (value === undefined) continue;
    const names = path.split('.');
    let at = kept;
    for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>;
    at[names.at(-1) as string] = value;
  }
  return kept as JsonObject;
}

/**
 * Writes the run's journal into a new folder, each sample's record cut to the metrics of its part. The report made
 * from it is the report of the whole journal, byte for byte.
 * @throws HarnessError `exists`: the folder holds a run already
 */
export function keepRun(run: Run, experiment: Experiment, folder: string): void {
  // A link there too, wherever it leads.
  if (journalIn(folder) !== undefined)
    throw new HarnessError(
      'exists',
      `${folder} holds a run already; remove it or name another folder`,
      2,
    );
  const parts = new Map(
    planOf(experiment, run.history).parts.map((part) => [part.name, pathsOf(experiment, part)]),
  );
  const { points, replaced } = run.history;
  const cut = (record: JournalRecord): JournalRecord => {
    if (record.type !== 'sample') return record;
    const point = points.get(record.point) ?? replaced.get(record.point);
    const paths = parts.get(point?.part ?? '');
    if (point === undefined || paths === undefined) return record;
    // What carried the packets, where the specification alone would tell something else.
    const { engine } = record.record;
    const other = typeof engine === 'string' && engine !== enginesOf([], point);
    return { ...record, record: { ...only(record.record, paths), ...(other ? { engine } : {}) } };
  };
  const { records } = readJournal(journalIn(run.folder) ?? run.folder);
  const target = OwnFolder.open(folder);
  try {
    const lines = records.map((record) => `${JSON.stringify(cut(record))}\n`).join('');
    target.write(keptJournalName, brotliCompressSync(lines));
  } finally {
    target.close();
  }
}
