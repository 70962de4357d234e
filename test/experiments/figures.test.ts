// Figures from a fixed journal. The golden files change when a figure is meant to look different;
// REFRAMER_UPDATE_GOLDEN=1 writes them anew, and the change is to be looked at.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { openRun } from '../../experiments/core/runs.js';
import { summarize, type Summary } from '../../experiments/core/summary.js';
import type { Experiment } from '../../experiments/core/types.js';
import { figuresOf } from '../../experiments/figures/index.js';
import { makePalette } from '../../experiments/figures/palette.js';
import { toPng, toSvg } from '../../experiments/figures/render.js';
import { temporaryFolder } from '../helpers/cli.js';
import { runTiny, sweep, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const golden = join(packageRoot, 'test', 'experiments', 'golden');

/** The tiny experiment with a line figure: one number to go along. */
function experiment(): Experiment {
  const part = sweep();
  const base = tiny([
    {
      ...part,
      axes: [
        { kind: 'list', name: 'chain', values: ['paper', 'modern'] },
        {
          kind: 'zip',
          names: ['contender', 'delayUs'],
          rows: [
            ['off', 0],
            ['burst', 0],
            ['fixed', 16],
            ['adaptive', 64],
          ],
        },
      ],
    },
  ]);
  return {
    ...base,
    figures: [
      ...base.figures,
      {
        id: 'line',
        title: 'By delay',
        part: 'sweep',
        kind: 'line',
        x: { param: 'delayUs', label: 'T (µs)', scale: 'symlog' },
        metric: 'throughputGbps',
        series: 'chain',
        facet: 'chain',
        levels: ['burst'],
      },
    ],
  };
}

let summary: Summary;
beforeAll(async () => {
  await runTiny(folder.file('run'), { experiment: experiment() });
  summary = summarize(experiment(), openRun(folder.file('run')).history);
});

describe('figures', () => {
  test.each(['bars', 'spread', 'map', 'boxes', 'line'])(
    '%s: golden specification, SVG twice the same, PNG',
    async (id) => {
      const figure = figuresOf(experiment(), summary).find((f) => f.id === id);
      if (figure === undefined) throw new Error(`no figure ${id}`);
      const text = `${JSON.stringify(figure.spec, null, 1)}\n`;
      const file = join(golden, `${id}.vl.json`);
      if (process.env.REFRAMER_UPDATE_GOLDEN === '1') {
        mkdirSync(golden, { recursive: true });
        writeFileSync(file, text);
      }
      expect(existsSync(file)).toBe(true);
      expect(text).toBe(readFileSync(file, 'utf8'));
      const svg = await toSvg(figure.spec);
      expect((await toSvg(figure.spec)) === svg).toBe(true);
      expect(svg).toContain('QUICK RUN');
      expect(svg).toContain(figure.title);
      const png = toPng(svg);
      expect(png.subarray(1, 4).toString()).toBe('PNG');
      expect(png.length).toBeGreaterThan(5000);
      expect(toPng(svg).equals(png)).toBe(true);
    },
  );

  test('a full run has no mark of a quick one', async () => {
    const [figure] = figuresOf(experiment(), { ...summary, profile: 'full' });
    expect(await toSvg(figure?.spec ?? {})).not.toContain('QUICK');
  });

  test('the published value stands where its parameters are, and nowhere else', () => {
    const line = figuresOf(experiment(), summary).find((f) => f.id === 'line');
    const { rows } = line?.spec.datasets as {
      rows: { series: string; facet: string; x: number; value: number }[];
    };
    expect(rows.filter((r) => r.series === 'published')).toMatchObject([
      { facet: 'paper', x: 16, value: 51 },
    ]);
  });

  test('a figure without points is left out', () => {
    expect(figuresOf(experiment(), { ...summary, points: [] })).toEqual([]);
  });
});

test('a series keeps its colour whichever others are shown, and no two share one', () => {
  const palette = makePalette(['off', '8us', '16us', '64us', 'adaptive']);
  const all = palette(['off', '8us', '16us', '64us', 'adaptive']);
  expect(new Set(all.colours).size).toBe(5);
  const some = palette(['64us', 'off']);
  for (const [i, name] of some.domain.entries())
    expect(some.colours[i]).toBe(all.colours[all.domain.indexOf(name)]);
});

test('eleven series of an experiment of its own have ten colours, and no two look alike', () => {
  const names = Array.from({ length: 11 }, (_, i) => `table ${i}`);
  const { colours, shapes } = makePalette(names)(names);
  expect(new Set(colours).size).toBe(10);
  expect(new Set(colours.map((colour, i) => `${colour} ${shapes[i]}`)).size).toBe(11);
});
