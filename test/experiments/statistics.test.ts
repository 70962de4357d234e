import { describe, expect, test } from 'vitest';

import { seededRandom } from '../../experiments/core/random.js';
import {
  medianInterval,
  outliers,
  pairedRatio,
  permutationP,
  unpairedRatio,
} from '../../experiments/core/statistics.js';

const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Pairs with a common part, as a block's traffic gives them, and 2 % of noise of their own. */
function pairs(count: number, effect: number, seed: number): [number, number][] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const level = 100 * (1 + 0.2 * random());
    return [
      level * effect * Math.exp(0.02 * normal(random)),
      level * Math.exp(0.02 * normal(random)),
    ];
  });
}

describe('verdicts', () => {
  test('the same against the same is called different about as often as 5 %', () => {
    const verdicts = Array.from(
      { length: 1000 },
      (_, i) => pairedRatio(pairs(20, 1, i + 1), 'higher').verdict,
    );
    const wrong = verdicts.filter((v) => v === 'better' || v === 'worse').length;
    expect(wrong).toBeLessThanOrEqual(75);
    expect(wrong).toBeGreaterThanOrEqual(15);
  });
  test('an injected 3 % is found', () => {
    const verdicts = Array.from(
      { length: 200 },
      (_, i) => pairedRatio(pairs(20, 1.03, i + 1), 'higher').verdict,
    );
    expect(verdicts.filter((v) => v === 'better').length).toBeGreaterThan(180);
    expect(verdicts).not.toContain('worse');
  });
  test('the direction turns the word', () => {
    expect(pairedRatio(pairs(20, 1.2, 1), 'lower').verdict).toBe('worse');
    expect(pairedRatio(pairs(20, 0.8, 1), 'lower').verdict).toBe('better');
  });
  test('few pairs decide nothing; equal ones are no change', () => {
    expect(pairedRatio(pairs(5, 2, 1), 'higher')).toMatchObject({
      pairs: 5,
      verdict: 'too few',
      low: Number.NaN,
      high: Number.NaN,
    });
    expect(pairedRatio([], 'higher').verdict).toBe('too few');
    expect(
      pairedRatio(
        Array.from({ length: 8 }, () => [7, 7] as const),
        'higher',
      ).verdict,
    ).toBe('no change');
  });
});

test('two zeros are equal; one zero has no ratio, and its pair is not left out', () => {
  const six = (pair: readonly [number, number]): (readonly [number, number])[] =>
    Array.from({ length: 6 }, () => pair);
  expect(pairedRatio(six([0, 0]), 'lower').verdict).toBe('no change');
  expect(pairedRatio([...six([1, 2]), [0, 2]], 'lower')).toMatchObject({
    pairs: 7,
    verdict: 'undecided',
  });
});

describe('intervals', () => {
  test('the interval of a median covers the truth', () => {
    const covered = Array.from({ length: 500 }, (_, i) => {
      const random = seededRandom(i + 1);
      const { low, high } = medianInterval(Array.from({ length: 15 }, () => 10 + normal(random)));
      return low <= 10 && 10 <= high;
    }).filter(Boolean).length;
    expect(covered).toBeGreaterThan(455);
  });
  test('known values', () => {
    expect(medianInterval([1, 2, 3]).value).toBe(2);
    expect(medianInterval([5])).toEqual({ value: 5, low: Number.NaN, high: Number.NaN });
    expect(medianInterval([1, 2, 3, 4, 5])).toEqual({
      value: 3,
      low: Number.NaN,
      high: Number.NaN,
    });
    expect(medianInterval([1, 2, 3, 4, 5, 6]).low).toBeLessThan(3.5);
    expect(medianInterval([]).value).toBeNaN();
    expect(medianInterval([4, 4, 4, 4, 4, 4])).toEqual({ value: 4, low: 4, high: 4 });
  });
  test('the same seed gives the same interval', () => {
    const values = [3, 1, 4, 1, 5, 9, 2, 6];
    expect(medianInterval(values)).toEqual(medianInterval(values));
    expect(medianInterval(values).low).toBeLessThan(medianInterval(values).high);
  });
  test('two runs', () => {
    const ratio = unpairedRatio([11, 11.1, 10.9, 11, 11, 11], [10, 10.1, 9.9, 10, 10, 10], 1);
    expect(ratio.value).toBeCloseTo(1.1);
    expect(ratio.low).toBeGreaterThan(1.05);
    expect(unpairedRatio([11, 11, 11], [10, 10, 10], 1).low).toBeNaN();
  });
});

test('outliers are told apart, and equal values have none', () => {
  expect(outliers([10, 10.1, 9.9, 10.05, 9.95, 30])).toEqual([5]);
  expect(outliers([5, 5, 5, 5, 9])).toEqual([]);
  expect(outliers([1, 100])).toEqual([]);
});

test('permutation test', () => {
  expect(permutationP([1, 2, 3, 2, 1, 2, 3], [11, 12, 13, 12, 11, 12, 13], 1)).toBeLessThan(0.01);
  expect(permutationP([1, 2, 3, 4], [1, 2, 3, 4], 1)).toBeGreaterThan(0.9);
  // However far apart: what was seen is one of the ways to draw.
  const apart = permutationP(Array<number>(40).fill(1), Array<number>(40).fill(100), 1);
  expect(apart).toBeGreaterThan(0);
  expect(apart).toBeLessThan(0.001);
  expect(permutationP([1], [2], 1)).toBeNaN();
});
