// The committed reports are what the code makes of the committed journals. After a change to a
// definition, or to how reports are written: `npx reframer report results/reference/NAME`.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { findExperiment } from '../../experiments/core/registry.js';
import { journalIn, openRun } from '../../experiments/core/runs.js';
import { check, resultsSchema } from '../../experiments/core/schema.js';
import { aimVerdicts, isAim, publishedVerdicts } from '../../experiments/core/verdict.js';
import { drawChart, fileStyle } from '../../experiments/figures/draw/index.js';
import { reportTexts } from '../../experiments/report/write.js';

const root = join(packageRoot, 'results', 'reference');
const names = readdirSync(root).filter((name) => journalIn(join(root, name)) !== undefined);

describe.each(names)('reference %s', (name) => {
  const folder = join(root, name);
  const run = openRun(folder);
  const experiment = findExperiment(run.history.run.experiment);
  const { model, texts } = reportTexts(run, experiment);
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');

  test.each(['report.md', 'context.json'])('%s is made of its journal', (file) => {
    // Not toBe: a difference of megabytes is of no use to anyone.
    expect(
      read(file) === texts.get(file),
      `run: npx reframer report results/reference/${name}`,
    ).toBe(true);
  });

  test('figures are those of the journal', () => {
    const files = readdirSync(join(folder, 'figures')).filter((file) => file.endsWith('.svg'));
    expect(files.sort()).toEqual(model.figures.map(({ id }) => `${id}.svg`).sort());
    for (const { id, chart } of model.figures)
      expect(read(`figures/${id}.svg`) === `${drawChart(chart, fileStyle)}\n`, id).toBe(true);
  });

  test('verdicts: no word from fewer than six values, aims apart from published values', () => {
    expect(check(resultsSchema().summary, JSON.parse(texts.get('summary.json') ?? ''))).toEqual([]);
    for (const claim of model.summary.claims) {
      const words: readonly string[] = isAim(claim) ? aimVerdicts : publishedVerdicts;
      expect(words, claim.id).toContain(claim.verdict);
      if (claim.n < 6)
        expect(['undecided', 'not testable here', 'not in this run'], claim.id).toContain(
          claim.verdict,
        );
    }
    for (const point of model.summary.points) {
      for (const [key, interval] of Object.entries(point.metrics)) {
        if ((point.values[key] ?? []).length < 6)
          expect([interval.low, interval.high]).toEqual([Number.NaN, Number.NaN]);
      }
    }
  });

  test('what must not be quoted stands at the top', () => {
    const text = read('report.md');
    for (const { what } of model.superseded)
      expect(text.indexOf(what)).toBeLessThan(text.indexOf('<details>'));
  });
});
