// What is left of a run after a kill at any byte, and how it goes on.
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { readHistory } from '../../experiments/core/history.js';
import { Journal, readJournal } from '../../experiments/core/journal.js';
import { stateOf } from '../../experiments/core/run-state.js';
import { openRun } from '../../experiments/core/runs.js';
import { summarize, type Summary } from '../../experiments/core/summary.js';
import { temporaryFolder } from '../helpers/cli.js';
import { fakeTrials, runTiny, sweep, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const journalOf = (path: string): string => join(path, 'journal.jsonl');

describe('resuming', () => {
  const whole = folder.file('whole');

  test('a finished run measures nothing again', async () => {
    await runTiny(whole);
    const { runTrial, log } = fakeTrials();
    expect(await runTiny(whole, { runTrial })).toMatchObject({
      complete: true,
      reused: 8,
      measured: 0,
    });
    expect(log).toEqual([]);
  });

  test('one more value measures that value, beside its baseline', async () => {
    const path = folder.file('grown');
    mkdirSync(path);
    copyFileSync(journalOf(whole), journalOf(path));
    const { runTrial, log } = fakeTrials();
    expect(
      await runTiny(path, {
        experiment: tiny([sweep(['off', 'burst', 'fixed', 'adaptive'])]),
        runTrial,
      }),
    ).toMatchObject({ complete: true, reused: 8, measured: 2 });
    expect(new Set(log.map((t) => t.spec.policy))).toEqual(new Set(['off', 'adaptive']));
    const added = summarize(
      tiny([sweep(['off', 'burst', 'fixed', 'adaptive'])]),
      openRun(path).history,
    ).points.filter((p) => p.params.contender === 'adaptive');
    expect(added.map((p) => p.ratios.throughputGbps?.verdict)).toEqual(['better', 'better']);
  });

  test('of a specification that changed, what was measured last is meant: by tables, baselines and claims', async () => {
    const path = folder.file('changed');
    const other = tiny([{ ...sweep(), spec: (p) => ({ ...sweep().spec(p), queues: 4 }) }]);
    const told = (experiment = other): Summary & { paper: Record<string, number | undefined> } => {
      const summary = summarize(experiment, openRun(path).history);
      const paper = summary.points.filter((p) => p.params.chain === 'paper' && !p.control);
      return {
        ...summary,
        paper: Object.fromEntries(
          paper.map((p) => [String(p.params.contender), p.metrics.throughputGbps?.value]),
        ),
      };
    };
    await runTiny(path);
    // Three times as fast; and stopped on the way, so that of two runs half is there.
    const fast = fakeTrials(2, 3);
    await runTiny(path, {
      experiment: other,
      runTrial: fast.runTrial,
      stop: () => fast.log.length >= 20,
    });
    expect(told().complete).toBe(false);
    expect(
      await runTiny(path, { experiment: other, runTrial: fakeTrials(3, 3).runTrial }),
    ).toMatchObject({ complete: true, measured: 8 });
    const { points, paper, claims, warnings, ...summary } = told();
    expect(summary).toMatchObject({ complete: true, pointsPlanned: 8, pointsMeasured: 8 });
    expect(points).toHaveLength(8);
    expect(paper.off).toBeCloseTo(75, -1);
    expect(paper.fixed).toBeCloseTo(150, -1);
    for (const { params, control, ratios } of points)
      if (control || params.contender !== 'off')
        expect(ratios.throughputGbps?.pairs).toBeGreaterThanOrEqual(6);
    expect(claims[0]).toMatchObject({ id: 'double', verdict: 'reproduced' });
    expect(warnings.map(({ name }) => name)).toContain('replaced-points');
    expect(stateOf(path, openRun(path).history)).toMatchObject({ done: 8, planned: 8 });
    // Changed back: nothing is measured again, and the first ones are meant.
    expect(await runTiny(path)).toMatchObject({ complete: true, reused: 8, measured: 0 });
    expect(told(tiny())).toMatchObject({ complete: true, pointsPlanned: 8 });
    expect(told(tiny()).paper.off).toBeCloseTo(25, -1);
  });

  test('stopped after any number of trials, the rest is measured and the outcome is whole', async () => {
    for (const stopAfter of [0, 1, 5, 13, 30, 47]) {
      const path = folder.file(`stopped-${stopAfter}`);
      const first = fakeTrials(1);
      const outcome = await runTiny(path, {
        runTrial: first.runTrial,
        stop: () => first.log.length >= stopAfter,
      });
      expect(outcome.complete).toBe(false);
      const kept = openRun(path).history;
      const second = fakeTrials(2);
      expect((await runTiny(path, { runTrial: second.runTrial })).complete).toBe(true);
      const { history } = openRun(path);
      expect(history.done.size).toBe(8);
      // Whole blocks of the first session still count.
      for (const [id, samples] of kept.samples)
        expect(history.samples.get(id)?.slice(0, samples.length)).toEqual(samples);
      expect(history.setAside).toBe(kept.setAside);
      for (const samples of history.samples.values())
        expect(samples.length).toBeGreaterThanOrEqual(6);
    }
  });

  test('cut at every byte of the last lines, the journal opens and the run goes on', async () => {
    const bytes = readFileSync(journalOf(whole));
    // The last two lines and a bit: sample, done, noise and end records are all met further up.
    const ends = [...bytes.entries()].filter(([, b]) => b === 10).map(([i]) => i + 1);
    const from = ends.at(-4) ?? 0;
    const cut = folder.file('cut');
    mkdirSync(cut);
    for (let length = from; length <= bytes.length; length++) {
      writeFileSync(journalOf(cut), bytes.subarray(0, length));
      const journal = Journal.open(journalOf(cut));
      expect(journal.repaired).toBe(!ends.includes(length));
      expect(journal.records.length).toBe(ends.filter((e) => e <= length).length);
      journal.append({ type: 'warning', name: 'x', seen: 'y', remedy: 'z' });
      journal.close();
      expect(readJournal(journalOf(cut)).torn).toBe(false);
    }
  });

  test('killed between and inside lines all along, it always ends complete', async () => {
    const bytes = readFileSync(journalOf(whole));
    // The first line is the run itself; a run cut inside it has nothing to resume.
    const start = bytes.indexOf(10) + 1;
    for (let i = 0; i < 25; i++) {
      const path = folder.file(`killed-${i}`);
      mkdirSync(path);
      copyFileSync(journalOf(whole), journalOf(path));
      truncateSync(journalOf(path), start + Math.floor(((bytes.length - start) * (i + 0.37)) / 25));
      const before = readHistory(readJournal(journalOf(path)).records);
      const { runTrial, log } = fakeTrials(3);
      expect((await runTiny(path, { runTrial })).complete).toBe(true);
      const { history } = openRun(path);
      expect(history.done.size).toBe(8);
      expect(log.length).toBeLessThan(100);
      for (const [id, done] of before.done) expect(history.done.get(id)).toEqual(done);
    }
  });

  test('damage in the middle is an error that names the line', () => {
    const path = folder.file('damaged.jsonl');
    const lines = readFileSync(journalOf(whole), 'utf8').split('\n');
    writeFileSync(path, [...lines.slice(0, 3), '{"type":"sample"', ...lines.slice(3)].join('\n'));
    expect(() => readJournal(path)).toThrow(/line 4/);
  });
});
