// Order of execution: warm-up, blocks, the stopping rule, and what is given up.
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { withBudget } from '../../experiments/core/budget.js';
import { readJournal } from '../../experiments/core/journal.js';
import type { SampleRecord } from '../../experiments/core/records.js';
import { openRun } from '../../experiments/core/runs.js';
import type { RunTrial } from '../../experiments/core/runner.js';
import { summarize } from '../../experiments/core/summary.js';
import type { Part } from '../../experiments/core/types.js';
import { controlFinding } from '../../experiments/report/findings.js';
import { temporaryFolder } from '../helpers/cli.js';
import { fakeTrials, runTiny, silent, sweep, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const samplesIn = (path: string): SampleRecord[] =>
  readJournal(join(path, 'journal.jsonl')).records.filter((r) => r.type === 'sample');

const rateSearch = {
  kind: 'search',
  name: 'offeredGbps',
  from: 1,
  to: 100,
  resolution: 5,
  metric: 'throughputGbps',
  atMost: 60,
} as const;

describe('order of execution', () => {
  test('warm-up first, then blocks there and back, settings taking turns', async () => {
    const path = folder.file('order');
    const { runTrial, log } = fakeTrials();
    const outcome = await runTiny(path, { runTrial });
    expect(outcome).toMatchObject({ complete: true, reused: 0, measured: 8 });
    const samples = samplesIn(path);
    expect(samples.length).toBe(log.length);
    const measured = samples.filter((s) => s.phase === 'measure');
    const { points } = openRun(path).history;
    for (const block of openRun(path).history.blocks) {
      const own = measured.filter(
        (s) =>
          points.get(s.point)?.setting === block.record.setting && s.block === block.record.block,
      );
      expect(own.map((s) => s.point)).toEqual(block.record.order);
      expect(block.record.order).toEqual([...block.record.order].reverse());
      expect(new Set(own.map((s) => s.seed))).toEqual(new Set([block.record.seed]));
    }
    const settings = openRun(path).history.blocks.map((b) => b.record.setting);
    expect(settings.slice(0, 4)).toEqual([settings[0], settings[1], settings[0], settings[1]]);
    // A point is warm before its first block.
    for (const id of points.keys()) {
      const own = samples.filter((s) => s.point === id).map((s) => s.phase);
      expect(own.lastIndexOf('warmup')).toBeLessThan(own.indexOf('measure'));
      expect(own.filter((p) => p === 'warmup').length).toBe(2);
    }
  });

  test('the rule stops at the minimum when the interval is narrow, at the maximum otherwise', async () => {
    const path = folder.file('rule');
    await runTiny(path, {
      experiment: tiny([sweep()], {
        name: 'quick',
        blocks: { min: 2, max: 5 },
        precision: 1e-9,
        budgetSeconds: 60,
        limitSeconds: 120,
        warmup: { max: 1, drift: 1 },
      }),
    });
    expect([...openRun(path).history.done.values()].map((d) => [d.reason, d.samples])).toEqual(
      Array.from({ length: 8 }, () => ['blocks', 10]),
    );
    const narrow = folder.file('narrow');
    await runTiny(narrow, {
      experiment: tiny([sweep()], {
        name: 'quick',
        blocks: { min: 2, max: 5 },
        precision: 0.5,
        budgetSeconds: 60,
        limitSeconds: 120,
        warmup: { max: 1, drift: 1 },
      }),
    });
    expect([...openRun(narrow).history.done.values()].map((d) => [d.reason, d.samples])).toEqual(
      Array.from({ length: 8 }, () => ['precise', 6]),
    );
  });

  test('where the limit is too short for all, the first settings get the blocks that a verdict takes', async () => {
    const path = folder.file('short');
    // Two settings, eight trials of a second in a block of each: all of it would take 48 s.
    const profile = {
      name: 'full',
      blocks: { min: 3, max: 3 },
      precision: 1e-9,
      budgetSeconds: 1,
      limitSeconds: 30,
      warmup: { max: 0, drift: 1 },
    } as const;
    const { runTrial } = fakeTrials();
    const slow: RunTrial = async (...args) => ({ ...(await runTrial(...args)), wallMs: 1000 });
    await runTiny(path, { experiment: tiny([sweep()], profile), runTrial: slow });
    const { done } = openRun(path).history;
    expect([...done.values()].map((d) => [d.reason, d.samples])).toEqual([
      ...Array.from({ length: 4 }, () => ['blocks', 6]),
      ...Array.from({ length: 4 }, () => ['limit', 2]),
    ]);
    // With time for all they take turns.
    const turns = folder.file('turns');
    await runTiny(turns, {
      experiment: tiny([sweep()], { ...profile, limitSeconds: 60 }),
      runTrial: slow,
    });
    const order = openRun(turns).history.blocks.map((b) => b.record.setting);
    const [one, other] = order;
    expect(order).toEqual([one, other, one, other, one, other]);
  });

  test('the limit ends a run before the minimum, and the report says so', async () => {
    const path = folder.file('limit');
    const experiment = tiny([sweep()], {
      name: 'quick',
      blocks: { min: 3, max: 5 },
      precision: 0.5,
      budgetSeconds: 60,
      limitSeconds: 0.1,
      warmup: { max: 1, drift: 1 },
    });
    expect(await runTiny(path, { experiment })).toMatchObject({ complete: true });
    const summary = summarize(experiment, openRun(path).history);
    expect(new Set(summary.points.map((p) => p.stopped))).toEqual(new Set(['limit']));
    expect(summary.warnings.map((w) => w.name)).toContain('time-limit');
    expect(
      new Set(summary.points.flatMap((p) => Object.values(p.ratios).map((r) => r.verdict))),
    ).toEqual(new Set(['too few']));
  });

  test('once the budget is spent no setting begins a block beyond the minimum, wherever its turn stands', async () => {
    const path = folder.file('budget');
    // 16 trials a round of blocks and 16 of warm-up, 10 ms each: the budget ends within the second round.
    const experiment = tiny([sweep()], {
      name: 'quick',
      blocks: { min: 1, max: 5 },
      precision: 1e-9,
      budgetSeconds: 0.35,
      warmup: { max: 2, drift: 0 },
    });
    await runTiny(path, { experiment });
    const { history } = openRun(path);
    const blocks = [...history.done.values()].map((d) => [d.reason, d.samples / 2]);
    expect(blocks).toEqual([
      ...Array.from({ length: 4 }, () => ['budget', 2]),
      ...Array.from({ length: 4 }, () => ['budget', 1]),
    ]);
    // Nothing but the pairs of all controls together is enough for a word.
    const summary = summarize(experiment, history);
    expect(summary.control.map((c) => c.verdict)).toEqual(['too few', 'too few']);
    expect(summary.controlPooled).toMatchObject({
      settings: 2,
      verdict: 'no change',
      ratio: { pairs: 6 },
    });
    expect(controlFinding(summary)).toMatch(/^None of the 2 .* the 6 pairs .* no change\.$/);
  });

  test('a run that ended on its budget goes on with a larger one, and ends for good when it is precise', async () => {
    const path = folder.file('more');
    const profile = {
      name: 'quick',
      blocks: { min: 1, max: 5 },
      precision: 1e-9,
      budgetSeconds: 0.1,
      warmup: { max: 0, drift: 1 },
    } as const;
    const run = (seconds: number | undefined): ReturnType<typeof runTiny> => {
      const { profile: given } = withBudget({ profile, parts: [] }, seconds);
      return runTiny(path, { experiment: tiny([sweep()], given) });
    };
    const ended = (): string[] =>
      [...openRun(path).history.done.values()].map((d) => `${d.reason} ${d.samples / 2}`);
    await run(undefined);
    expect(new Set(ended())).toEqual(new Set(['budget 1']));
    expect(await run(undefined)).toMatchObject({ measured: 0, complete: true });
    await run(0.3);
    expect(ended().every((end) => end.startsWith('budget'))).toBe(true);
    expect(ended()).not.toContain('budget 1');
    await run(60);
    expect(new Set(ended())).toEqual(new Set(['blocks 5']));
    expect(await run(120)).toMatchObject({ measured: 0, complete: true });
  });

  test('a void trial is measured again and not counted', async () => {
    const path = folder.file('void');
    const { runTrial } = fakeTrials();
    let count = 0;
    await runTiny(path, {
      runTrial: async (...args) => {
        const result = await runTrial(...args);
        return ++count % 5 === 0
          ? { ...result, records: result.records.map((r) => ({ ...r, void: true })) }
          : result;
      },
    });
    const { history } = openRun(path);
    expect(history.voids).toBeGreaterThan(5);
    for (const samples of history.samples.values())
      expect(samples.every((s) => !s.void)).toBe(true);
    expect([...history.samples.values()].every((s) => s.length >= 6)).toBe(true);
  });

  test('a point that fails twice is given up, the others are measured', async () => {
    const path = folder.file('failing');
    const { runTrial } = fakeTrials();
    await runTiny(path, {
      runTrial: (job, spec, timeout) =>
        spec.policy === 'burst'
          ? Promise.resolve({
              records: [],
              wallMs: 1,
              error: { code: 'check-failed', message: 'no', exitCode: 1 },
            })
          : runTrial(job, spec, timeout),
    });
    const { history } = openRun(path);
    expect([...history.done.values()].filter((d) => d.reason === 'failed').length).toBe(2);
    expect([...history.samples.keys()].length).toBe(6);
    expect(summarize(tiny(), history).warnings.map((w) => w.name)).toContain('failed-trials');
  });

  test('a search whose probes are all void is given up, the other searches go on', async () => {
    const path = folder.file('search');
    const part: Part = {
      ...sweep(),
      axes: [...sweep().axes, rateSearch],
      spec: ({ contender = '', offeredGbps = 0 }) => ({ policy: contender, rate: offeredGbps }),
      headline: 'zeroLossGbps',
      metrics: ['zeroLossGbps'],
    };
    const runTrial: RunTrial = (_job, spec) =>
      Promise.resolve({
        records: [
          {
            throughputBps: Number(spec.rate) * 1e9,
            void: spec.policy === 'burst' && Number(spec.rate) < 90,
          },
        ],
        wallMs: 1,
      });
    await runTiny(path, { experiment: tiny([part]), runTrial });
    const { history } = openRun(path);
    const given = [...history.done]
      .filter(([, d]) => d.reason === 'failed')
      .map(([id]) => history.points.get(id)?.params);
    expect(given.length).toBe(2);
    expect(
      given.every((params) => params?.contender === 'burst' && params.offeredGbps === undefined),
    ).toBe(true);
    expect([...history.done.values()].filter((d) => d.reason === 'found').length).toBe(4);
  });

  test('an optional part that this machine cannot run is left out once, the others are measured', async () => {
    const path = folder.file('optional');
    const { runTrial } = fakeTrials();
    let refused = 0;
    await runTiny(path, {
      experiment: tiny([sweep(), { ...sweep(), name: 'live', job: 'live', optional: true }]),
      runTrial: (job, spec, timeout) =>
        job === 'live'
          ? Promise.resolve({
              records: [],
              wallMs: (refused += 1),
              error: { code: 'not-supported', message: 'no namespaces', exitCode: 3 },
            })
          : runTrial(job, spec, timeout),
    });
    const { history } = openRun(path);
    expect(refused).toBe(1);
    expect(
      [...history.done]
        .filter(([, d]) => d.reason === 'failed')
        .map(([id]) => history.points.get(id)?.part),
    ).toEqual(Array.from({ length: 8 }, () => 'live'));
    expect([...history.samples.keys()].length).toBe(8);
    // Left out is not failed.
    const experiment = tiny([sweep(), { ...sweep(), name: 'live', job: 'live', optional: true }]);
    const { warnings } = summarize(experiment, history);
    const names = warnings.map(({ name }) => name);
    expect(names).not.toContain('failed-trials');
    expect(names).not.toContain('no-samples');
    expect(warnings.find(({ name }) => name === 'left-out')?.seen).toBe(
      '8 points cannot be measured here: no namespaces',
    );
  });

  test('the time left counts first blocks, seeds of deterministic parts and probes of searches, whatever the budget', async () => {
    const profile = {
      name: 'quick',
      blocks: { min: 3, max: 4 },
      precision: 0.02,
      budgetSeconds: 0.01,
      limitSeconds: 0.01,
      warmup: { max: 2, drift: 0.1 },
    } as const;
    const watched = async (
      name: string,
      part: Part,
      runTrial = fakeTrials().runTrial,
    ): Promise<number[]> => {
      const left: number[] = [];
      const status = {
        ...silent,
        update: ({ secondsLeft }: { secondsLeft: number }) => void left.push(secondsLeft),
      };
      await runTiny(folder.file(name), { experiment: tiny([part], profile), runTrial, status });
      return left;
    };
    // 6 points of 10 seeds, 10 ms a trial; a block counts as done when all of it is.
    const seeds = await watched('left-seeds', { ...sweep(), deterministic: true, seeds: 10 });
    expect(seeds.length).toBe(60);
    seeds.forEach((left, i) => {
      expect(left).toBeGreaterThanOrEqual((59 - i) * 0.01 - 1e-9);
      expect(left).toBeLessThanOrEqual((66 - i) * 0.01);
    });
    // The limit is over after the first block, and the second setting still gets its own.
    for (const left of await watched('left-first', sweep())) expect(left).toBeGreaterThan(0);
    // 6 points of 7 probes, 1 ms each.
    const search: Part = {
      ...sweep(),
      axes: [...sweep().axes, rateSearch],
      spec: ({ offeredGbps = 0 }) => ({ rate: offeredGbps }),
      headline: 'zeroLossGbps',
      metrics: ['zeroLossGbps'],
    };
    const probes = await watched('left-probes', search, (_job, spec) =>
      Promise.resolve({ records: [{ throughputBps: Number(spec.rate) * 1e9 }], wallMs: 1 }),
    );
    expect(probes.length).toBe(42);
    probes.forEach((left, i) => expect(left).toBeGreaterThanOrEqual((41 - i) * 0.001 - 1e-9));
  });

  test('what is not supported ends the run with its code', async () => {
    const runTrial = () =>
      Promise.resolve({
        records: [],
        wallMs: 1,
        error: { code: 'not-supported', message: 'no engine', exitCode: 3 },
      });
    await expect(runTiny(folder.file('unsupported'), { runTrial })).rejects.toMatchObject({
      code: 'not-supported',
      exitCode: 3,
    });
  });
});
