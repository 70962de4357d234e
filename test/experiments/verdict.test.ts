// Each branch of the verdicts, on made-up values.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';

import '../helpers/seed.js';
import { poolShifts, tailOf } from '../../experiments/core/pooled.js';
import { experiments } from '../../experiments/core/registry.js';
import { ownTarget } from '../../experiments/core/types.js';
import {
  aimBounds,
  countVerdicts,
  isAim,
  judgeAim,
  judgePublished,
  judgeShape,
  publishedBounds,
} from '../../experiments/core/verdict.js';
import { changeOf } from '../../experiments/report/compare.js';

const at = (value: number, low: number, high: number, n = 6) => ({ value, low, high, n });

describe('a published value', () => {
  const bounds = publishedBounds({ published: 60, tolerance: 0.1 });

  test('bounds are two-sided, also of a negative value', () => {
    expect(bounds).toEqual({ low: 54, high: 66 });
    expect(publishedBounds({ published: -20, tolerance: 0.5 })).toEqual({ low: -30, high: -10 });
  });
  test.each([
    ['inside, median and interval', at(60, 55, 65), 'reproduced'],
    ['much more', at(146, 140, 154), 'exceeds'],
    ['less', at(40, 30, 50), 'falls short'],
    ['an interval that only touches the bounds', at(80, 60, 90), 'undecided'],
    ['a median inside, an interval that leaves', at(60, 50, 65), 'undecided'],
    ['five values', at(60, 59, 61, 5), 'undecided'],
    ['no interval', at(60, Number.NaN, Number.NaN), 'undecided'],
  ] as const)('%s', (_, ours, word) => expect(judgePublished(ours, bounds, 'higher')).toBe(word));
  test('what costs exceeds where it is lower', () => {
    expect(judgePublished(at(40, 30, 50), bounds, 'lower')).toBe('exceeds');
    expect(judgePublished(at(146, 140, 154), bounds, 'lower')).toBe('falls short');
    expect(judgePublished(at(146, 140, 154), bounds, 'neutral')).toBe('exceeds');
  });
  test('only what lies inside on both sides is reproduced', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -100, max: 100, noNaN: true }),
        fc.double({ min: 0, max: 50, noNaN: true }),
        fc.integer({ min: 0, max: 12 }),
        (value, half, n) => {
          const word = judgePublished(
            at(value, value - half, value + half, n),
            { low: -10, high: 10 },
            'higher',
          );
          expect(word === 'reproduced').toBe(n >= 6 && value - half >= -10 && value + half <= 10);
          if (n < 6) expect(word).toBe('undecided');
        },
      ),
    );
  });
});

describe('an aim of this project', () => {
  const least = aimBounds({ published: 14, tolerance: 0, kind: 'at-least' });
  test.each([
    ['above', at(20, 15, 30), 'reached'],
    ['below', at(8, 7, 9), 'missed'],
    ['across', at(15, 13, 17), 'undecided'],
    ['too few', at(100, 100, 100, 3), 'undecided'],
  ] as const)('%s', (_, ours, word) => expect(judgeAim(ours, least)).toBe(word));
  test('at most, exactly', () => {
    expect(judgeAim(at(1, 0, 2), aimBounds({ published: 2, tolerance: 0, kind: 'at-most' }))).toBe(
      'reached',
    );
    expect(judgeAim(at(0, 0, 0), aimBounds({ published: 0, tolerance: 0, kind: 'near' }))).toBe(
      'reached',
    );
    expect(judgeAim(at(1, 1, 1), aimBounds({ published: 0, tolerance: 0, kind: 'near' }))).toBe(
      'missed',
    );
  });
});

test('a curve: every value inside, or the word of what is outside', () => {
  expect(judgeShape(['reproduced', 'reproduced'])).toBe('reproduced');
  expect(judgeShape(['reproduced', 'undecided'])).toBe('undecided');
  expect(judgeShape(['undecided', 'exceeds'])).toBe('exceeds');
  expect(judgeShape(['exceeds', 'falls short'])).toBe('falls short');
});

test('published values and aims are counted apart', () => {
  const counts = countVerdicts([
    { source: 'a paper', verdict: 'reproduced' },
    { source: 'a paper', verdict: 'exceeds' },
    { source: ownTarget, verdict: 'reached' },
    { source: ownTarget, verdict: 'missed' },
    { source: ownTarget, verdict: 'undecided' },
  ]);
  expect(counts.published).toMatchObject({ reproduced: 1, exceeds: 1, undecided: 0 });
  expect(counts.aims).toMatchObject({ reached: 1, missed: 1, undecided: 1 });
});

describe('the experiments', () => {
  const claims = experiments.flatMap((e) =>
    e.claims.map((claim) => [`${e.name} ${claim.id}`, claim] as const),
  );
  test.each(claims)('%s: two-sided with a tolerance, or an aim without', (_, claim) => {
    if (isAim(claim)) expect(claim.tolerance).toBe(0);
    else expect([claim.kind, claim.tolerance > 0]).toEqual(['near', true]);
  });
  const shapes = experiments.flatMap((e) =>
    (e.shapes ?? []).map((shape) => [`${e.name} ${shape.id}`, shape] as const),
  );
  test.each(shapes)('%s: every step has a published value', (_, { from, steps, tolerance }) => {
    for (const { published } of [from, ...steps]) expect(published).toBeGreaterThan(0);
    expect(steps.length).toBeGreaterThan(1);
    expect(tolerance).toBeGreaterThan(0);
  });
});

describe('between runs', () => {
  const higher = { direction: 'higher' } as const;
  test.each([
    ['inside the margin', { value: 1, low: 0.97, high: 1.04 }, 6, 'no change'],
    ['wide, though its median is 1', { value: 0.998, low: 0.51, high: 1.034 }, 12, 'undecided'],
    [
      'apart, but across the margin with a small median',
      { value: 1.03, low: 1.01, high: 1.2 },
      12,
      'undecided',
    ],
    ['apart and large', { value: 0.8, low: 0.7, high: 0.9 }, 12, 'worse'],
    ['apart and large, upwards', { value: 1.3, low: 1.2, high: 1.4 }, 12, 'better'],
    ['five values', { value: 0.5, low: 0.5, high: 0.5 }, 5, 'too few'],
    ['no interval', { value: Number.NaN, low: Number.NaN, high: Number.NaN }, 12, 'undecided'],
  ] as const)('%s', (_, ratio, n, word) =>
    expect(changeOf(ratio, higher, { threshold: 0.05, margin: 0.05 }, n)).toBe(word),
  );
  test('noisy runs: no alarm below their noise, and no "no change" either', () => {
    const noisy = { threshold: 0.05, margin: 0.6 };
    expect(changeOf({ value: 0.998, low: 0.51, high: 1.034 }, higher, noisy, 12)).toBe('undecided');
    expect(changeOf({ value: 0.7, low: 0.6, high: 0.8 }, higher, noisy, 12)).toBe('undecided');
    expect(changeOf({ value: 0.3, low: 0.2, high: 0.4 }, higher, noisy, 12)).toBe('worse');
  });

  test('points with few values: chance and size', () => {
    const points = (count: number, factor: number, spread = 0.01) =>
      Array.from({ length: count }, (_, i) => ({
        before: [100 + i, (100 + i) * (1 + spread)],
        after: [(100 + i) * factor, (100 + i) * factor * (1 + spread)],
      }));
    expect(poolShifts(points(20, 2), 0.05)).toMatchObject({ points: 20, up: 20, moved: 'up' });
    expect(poolShifts(points(20, 0.5), 0.05)).toMatchObject({ down: 20, moved: 'down' });
    // Improbable, but too small to count.
    expect(poolShifts(points(20, 1.03), 0.05)).toMatchObject({ up: 20, moved: 'no' });
    // Three points of two samples each happen by chance: 1 in 216.
    expect(poolShifts(points(3, 2), 0.05)).toMatchObject({ moved: 'no' });
    expect(poolShifts(points(4, 2), 0.05)).toMatchObject({ moved: 'up' });
    // One sample each: ten points in a row, 1 in 1024.
    const single = (count: number) =>
      Array.from({ length: count }, () => ({ before: [1], after: [2] }));
    expect([poolShifts(single(9), 0.05).moved, poolShifts(single(10), 0.05).moved]).toEqual([
      'no',
      'up',
    ]);
    expect(poolShifts([], 0.05)).toMatchObject({ points: 0, moved: 'no' });
  });
  test('the tail of throws with chances of their own', () => {
    expect(tailOf([0.5, 0.5, 0.5], 3)).toBeCloseTo(0.125);
    expect(tailOf([0.5, 0.25], 1)).toBeCloseTo(1 - 0.5 * 0.75);
    expect(tailOf([], 0)).toBe(1);
  });
});
