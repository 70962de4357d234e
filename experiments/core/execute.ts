// Measures what a prepared run lacks. Ends well however it ends: the journal is always good.
import { join } from 'node:path';

import { reopened } from './budget.js';
import { makeFolder } from './files.js';
import { readHistory } from './history.js';
import { Journal, schemaVersion } from './journal.js';
import type { JournalRecord } from './records.js';
import { machineWarnings, measureNoise, readUsage, runNoise } from './noise.js';
import type { Prepared } from './prepare.js';
import { makeRunner, type RunTrial } from './runner.js';
import { journalName, lockRun } from './runs.js';
import { makeBedRunner } from '../testbed/run.js';
import { Scheduler } from './scheduler.js';
import { duration, type Status } from './status.js';

export interface Outcome {
  complete: boolean;
  reused: number;
  measured: number;
  wallMs: number;
  trialMs: number;
}

export interface ExecuteOptions {
  status: Status;
  argv: readonly string[];
  now: Date;
  /** Tests put a trial of their own here. */
  runTrial?: RunTrial;
  stop?: () => boolean;
}

function openJournal(prepared: Prepared, { argv, now }: ExecuteOptions): Journal {
  const journal = Journal.open(join(prepared.folder, journalName));
  const { experiment, options } = prepared;
  const traces = options.traces.map(({ name, sha256 }) => ({ name, sha256 }));
  const first = journal.records[0];
  if (first === undefined) {
    journal.append({
      type: 'run',
      v: schemaVersion,
      experiment: experiment.name,
      profile: options.profile,
      seed: options.seed,
      traces,
      argv: [...argv],
      started: now.toISOString(),
      ...(options.bed === undefined ? {} : { bed: options.bed }),
    });
  } else {
    // A capture added by a later session: the last run record lists them all.
    const known = readHistory(journal.records).run;
    const added = traces.filter(
      (t) => !known.traces.some((k) => k.name === t.name && k.sha256 === t.sha256),
    );
    if (added.length > 0) journal.append({ ...known, traces: [...known.traces, ...added] });
  }
  return journal;
}

export async function execute(prepared: Prepared, options: ExecuteOptions): Promise<Outcome> {
  const { folder, settings, experiment, plan, identity, context } = prepared;
  const { status } = options;
  makeFolder(folder);
  const release = lockRun(folder);
  process.once('exit', release);
  const started = performance.now();
  let opened: Journal | undefined;
  try {
    const journal = openJournal(prepared, options);
    opened = journal;
    // Records of one session are written as they come; a killed run has no end record, and needs none.
    const append = (record: JournalRecord): void => journal.append(record);
    const history = reopened(readHistory(journal.records), plan);
    const planned = settings.flatMap((s) => s.points);
    const reused = planned.filter((p) => history.done.has(p.id)).length;
    if (journal.repaired)
      status.say('the journal ended in the middle of a line; that sample is measured again');
    if (prepared.finished !== undefined) {
      status.say(
        `${prepared.finished} is finished: this is a new run; \`npx reframer report\` with that folder shows the old one`,
      );
    }
    if (prepared.resumed || reused > 0) {
      const kept = history.measured - history.setAside;
      status.say(
        `resuming ${folder}: ${reused} of ${planned.length} points are finished and reused, ${kept} samples kept`,
      );
    }
    // Points that others took the place of are announced anew: they are what the run is about again.
    if (reused === planned.length && !planned.some((p) => history.replaced.has(p.id))) {
      status.say('nothing left to measure; another --out, or none, measures anew');
      return { complete: true, reused, measured: 0, wallMs: 0, trialMs: 0 };
    }
    const session = history.sessions + 1;
    const usage = readUsage();
    append({ type: 'context', session, context });
    const noise = measureNoise();
    append({ type: 'noise', session, when: 'before', measures: noise });
    const known = new Set(history.warnings.map((w) => w.name));
    for (const warning of machineWarnings(context, noise))
      if (!known.has(warning.name)) append(warning);
    const onBed =
      prepared.bed === undefined
        ? undefined
        : makeBedRunner(prepared.bed.bed, prepared.bed.prepared);
    const runTrial =
      options.runTrial ??
      makeRunner({
        program: prepared.program,
        cpus: prepared.cpus,
        logFile: join(folder, 'trials.log'),
        onBed: onBed?.run,
      });
    const measuringFrom = performance.now();
    const stop = options.stop === undefined ? {} : { stop: options.stop };
    const scheduler = new Scheduler({
      settings,
      metrics: experiment.metrics,
      profile: plan.profile,
      identity,
      journal,
      session,
      runTrial,
      status,
      ...stop,
    });
    const complete = await scheduler.run();
    status.end();
    const wallMs = performance.now() - measuringFrom;
    const trialMs = scheduler.trialMilliseconds;
    append({ type: 'noise', session, when: 'after', measures: runNoise(usage) });
    for (const warning of onBed?.warnings() ?? []) append(warning);
    append({ type: 'end', session, reason: complete ? 'complete' : 'partial', wallMs, trialMs });
    status.say(
      `${complete ? 'measured' : 'stopped after'} ${planned.length - reused} points in ${duration((performance.now() - started) / 1000)}`,
    );
    return { complete, reused, measured: planned.length - reused, wallMs, trialMs };
  } finally {
    status.end();
    opened?.close();
    release();
    process.removeListener('exit', release);
  }
}
