// Figures from a fixed journal. The golden files change when a figure is meant to look different;
// REFRAMER_UPDATE_GOLDEN=1 writes them anew, and the change is to be looked at.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type TopLevelSpec } from 'vega-lite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { openRun } from '../../experiments/core/runs.js';
import { summarize, type Summary } from '../../experiments/core/summary.js';
import type { Experiment } from '../../experiments/core/types.js';
import {
  chartOf,
  chartsOf,
  facetTitle,
  withLines,
  type Chart,
} from '../../experiments/figures/chart.js';
import { columnStyle, drawChart, fileStyle } from '../../experiments/figures/draw/index.js';
import { placeScale, tickText, valueScale } from '../../experiments/figures/draw/scale.js';
import { apart, cutTo, textWidth } from '../../experiments/figures/draw/svg.js';
import { colourOf, tinted } from '../../experiments/figures/palette.js';
import { toPng } from '../../experiments/figures/png.js';
import { vegaLite } from '../../experiments/figures/vega-lite.js';
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
    (id) => {
      const chart = chartsOf(experiment(), summary).find((c) => c.id === id);
      if (chart === undefined) throw new Error(`no figure ${id}`);
      const text = `${JSON.stringify(vegaLite(chart), null, 1)}\n`;
      const file = join(golden, `${id}.vl.json`);
      if (process.env.REFRAMER_UPDATE_GOLDEN === '1') {
        mkdirSync(golden, { recursive: true });
        writeFileSync(file, text);
      }
      expect(existsSync(file)).toBe(true);
      expect(text).toBe(readFileSync(file, 'utf8'));
      expect(() => compile(vegaLite(chart) as unknown as TopLevelSpec)).not.toThrow();
      const svg = drawChart(chart, fileStyle);
      expect(drawChart(chart, fileStyle) === svg).toBe(true);
      expect(svg).toContain('QUICK RUN');
      expect(svg).toContain(chart.title);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      const png = toPng(svg);
      expect(png.subarray(1, 4).toString()).toBe('PNG');
      expect(png.length).toBeGreaterThan(5000);
      expect(toPng(svg).equals(png)).toBe(true);
    },
  );

  test('a full run has no mark of a quick one', () => {
    const [figure] = chartsOf(experiment(), { ...summary, profile: 'full' }) as [Chart];
    expect(drawChart(figure, fileStyle)).not.toContain('QUICK');
  });

  test('on paper: no title, letters of seven points and more', () => {
    for (const chart of chartsOf(experiment(), summary)) {
      const svg = drawChart(chart, columnStyle);
      expect(svg).not.toContain(`>${chart.title}<`);
      for (const [, size] of svg.matchAll(/font-size="([\d.]+)"/g))
        expect(Number(size)).toBeGreaterThanOrEqual(7);
    }
  });

  test('the published value stands where its parameters are, and nowhere else', () => {
    const line = chartsOf(experiment(), summary).find((f) => f.id === 'line');
    expect(line?.published).toMatchObject([{ facet: 'paper', x: 16, value: 51, series: 'paper' }]);
  });

  test('panels of a series each look alike, for their colours would be taken for those of levels', () => {
    const line = chartsOf(experiment(), summary).find((f) => f.id === 'line');
    const looks = (level: boolean): Set<string> =>
      new Set((line?.series ?? []).filter((s) => s.level === level).map((s) => s.colour));
    expect(line?.facets.length).toBe(2);
    expect(looks(false).size).toBe(1);
    expect(looks(true)).not.toEqual(looks(false));
  });

  test('a panel of lone points is left out on paper, unless all are', () => {
    const line = chartsOf(experiment(), summary).find((f) => f.id === 'line');
    if (line === undefined) throw new Error('no line');
    expect(withLines(line)).toBe(line);
    const lone = line.rows.filter((r) => r.facet === 'paper' || r.x === 16);
    expect(withLines({ ...line, rows: lone }).facets).toEqual(['paper']);
    const none = { ...line, rows: line.rows.filter((r) => r.x === 16) };
    expect(withLines(none)).toBe(none);
  });

  test('no value of a bar stands behind a diamond on paper, where it would be taken for that one’s', () => {
    const bars = chartsOf(experiment(), summary).find((f) => f.id === 'bars');
    const facet = bars?.facets[0] ?? '';
    const rows = (bars?.rows ?? []).filter((r) => r.facet === facet);
    const [first] = rows;
    if (bars === undefined || first === undefined) throw new Error('no bars');
    const near = { ...first, value: (first.high ?? first.value) * 1.001 };
    const places = (published: Chart['published']): Set<string | undefined> => {
      const svg = drawChart({ ...bars, facets: [facet], rows, published }, columnStyle);
      return new Set([...svg.matchAll(/<text x="([\d.]+)"[^>]*>[\d.,]+</g)].map(([, x]) => x));
    };
    expect(places([]).size).toBeGreaterThan(1);
    expect(places([near]).size).toBe(1);
  });

  test('a figure without points is left out', () => {
    expect(chartsOf(experiment(), { ...summary, points: [] })).toEqual([]);
    const [first] = experiment().figures;
    expect(first && chartOf(first, experiment(), { ...summary, points: [] })).toBeUndefined();
  });
});

describe('colours', () => {
  test('a contender has the same one in every figure: ours blue, the baseline grey', () => {
    expect(colourOf('ours, 10 to 100 ms', ['ours, 10 to 100 ms'])).toBe(colourOf('64us', ['64us']));
    expect(colourOf('off', ['off', 'x'])).toBe(colourOf('static RSS', ['static RSS']));
    expect(colourOf('off', ['off'])).not.toBe(colourOf('64us', ['64us']));
  });
  test('those without a meaning take what is left', () => {
    const names = ['off', 'a', 'b', 'c'];
    expect(new Set(names.map((name) => colourOf(name, names))).size).toBe(4);
  });
  test('a tint is lighter by each step, as far as two', () => {
    const light = (colour: string): number => Number.parseInt(colour.slice(1, 3), 16);
    const steps = [0, 1, 2, 3].map((step) => light(tinted('#0072b2', step)));
    expect(steps[0]).toBe(0);
    expect(steps[1]).toBeLessThan(steps[2] ?? 0);
    expect(steps[3]).toBe(steps[2]);
  });
});

describe('axes', () => {
  test('values: from zero, or by powers', () => {
    const linear = valueScale([3, 47], 'linear', 100, 0, 4);
    expect(linear.at(0)).toBe(100);
    expect(linear.ticks[0]).toBe(0);
    expect(linear.at(47)).toBeGreaterThanOrEqual(0);
    const log = valueScale([1, 1000], 'log', 0, 100, 4);
    expect(log.ticks).toEqual([1, 10, 100, 1000]);
    expect(log.at(10) - log.at(1)).toBeCloseTo(log.at(100) - log.at(10));
    const minus = valueScale([-20, 10], 'linear', 0, 100, 4);
    expect(minus.at(-20)).toBeGreaterThanOrEqual(0);
    expect(minus.ticks).toContain(0);
  });
  test('places: zero before the smallest of a bent axis, and no ticks that touch', () => {
    const bent = placeScale([0, 8, 16, 64, 256], 'symlog', 0, 100, 5);
    expect(bent.at(0)).toBe(0);
    expect(bent.at(256)).toBe(100);
    const crowded = placeScale([0, 8, 16, 32, 64, 104, 128, 256], 'symlog', 0, 60, 15);
    crowded.ticks.slice(1).forEach((tick, i) => {
      expect(crowded.at(tick) - crowded.at(crowded.ticks[i] ?? 0)).toBeGreaterThanOrEqual(15);
    });
    expect(crowded.ticks).toContain(256);
    expect(placeScale([5], 'linear', 0, 10, 1).at(5)).toBe(5);
  });
  test('numbers of ticks', () => {
    expect([0.5, 100, 4096, 20_000, 1e6, 1.5e7].map(tickText)).toEqual([
      '0.5',
      '100',
      '4096',
      '20k',
      '1M',
      '15M',
    ]);
  });
  test('names that would touch move apart, and stay inside', () => {
    const places = apart([10, 11, 12, 90], 8, 0, 100);
    const sorted = [...places].sort((a, b) => a - b);
    sorted.slice(1).forEach((place, i) => {
      expect(place - (sorted[i] ?? 0)).toBeGreaterThan(7.8);
    });
    expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
    expect(cutTo('a very long name', textWidth('a very', 10), 10)).toMatch(/^a .*…$/);
    expect(cutTo('short', 100, 10)).toBe('short');
  });
  test('panels are named by their value, with what it counts', () => {
    const chart = { facets: ['1', '8'], facetLabel: 'cores' } as Chart;
    expect([facetTitle(chart, '1'), facetTitle(chart, '8')]).toEqual(['1 core', '8 cores']);
    expect(facetTitle({ ...chart, facetLabel: 'contender' }, '64us')).toBe('64 µs');
    expect(facetTitle({ ...chart, facets: ['8'] }, '8')).toBe('');
    expect(facetTitle({ ...chart, facetLabel: 'slf' }, '8')).toBe('slf 8');
  });
});
