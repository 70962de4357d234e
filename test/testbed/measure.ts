// A bed's part, run in this process: how the tests of beds measure.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

import { execute } from '../../experiments/core/execute.js';
import { prepare } from '../../experiments/core/prepare.js';
import { findExperiment } from '../../experiments/core/registry.js';
import { makeStatus } from '../../experiments/core/status.js';
import type { Experiment, JsonObject, Plan } from '../../experiments/core/types.js';

/** A sample of each point: enough to see that it runs. */
export function brief(name: string): Experiment {
  const whole = findExperiment(name);
  return {
    ...whole,
    plan: (options): Plan => {
      const plan = whole.plan(options);
      return { ...plan, parts: plan.parts.map((part) => ({ ...part, deterministic: true })) };
    },
  };
}

export interface Sample {
  part: string;
  point: string;
  record: JsonObject & {
    engine: string;
    tester: { sentInAll: number; outOfOrder?: number };
    bed: { agree: boolean; onTheWay: number; onTheWayBack: number };
  };
}

export const samplesOf = (run: string): Sample[] => {
  const lines = readFileSync(join(run, 'journal.jsonl'), 'utf8').trim().split('\n');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const parts = new Map(
    records.filter((r) => r.type === 'point').map((r) => [r.id, r.part as string]),
  );
  return records
    .filter((r) => r.type === 'sample' && (r.record as JsonObject).bed !== undefined)
    .map((r) => ({ part: parts.get(r.point) ?? '', ...(r as unknown as Omit<Sample, 'part'>) }));
};

let runs = 0;

/**
 * @param folder of the test's, for the run and the bed's file
 * @param stopAfter trials after which the run is interrupted
 */
export async function measure(
  folder: { file: (name: string) => string },
  experiment: Experiment,
  bed: object,
  only: readonly string[],
  { out = folder.file(`run-${++runs}`), stopAfter = Infinity } = {},
): Promise<{ out: string; complete: boolean; reused: number }> {
  const file = folder.file('bed.json');
  writeFileSync(file, JSON.stringify(bed));
  const request = {
    profile: 'quick' as const,
    seed: 1,
    traceFiles: [],
    only,
    out,
    mode: 'auto' as const,
    argv: [],
    testbed: file,
  };
  const prepared = await prepare(experiment, request, new Date());
  let asked = 0;
  const { complete, reused } = await execute(prepared, {
    status: makeStatus({ tty: false, quiet: true }),
    argv: [],
    now: new Date(),
    stop: () => asked++ >= stopAfter,
  });
  return { out, complete, reused };
}

/** Two bursts on each of two queues. */
const lateMost = 128;

export function expectSound(samples: readonly Sample[]): void {
  expect(samples.length).toBeGreaterThan(0);
  for (const { record } of samples) {
    expect(record.engine).toBe('testbed');
    expect(record.tester.sentInAll).toBeGreaterThan(100);
    // Tester, device and harness share two processors here: the last bursts of a trial may come after
    // the patience of who waits for them, and its record then says that the counts do not agree.
    const { agree, onTheWay, onTheWayBack } = record.bed;
    for (const late of [onTheWay, onTheWayBack]) {
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(lateMost);
    }
    expect(agree).toBe(onTheWay === 0 && onTheWayBack === 0);
  }
}
