// Each branch of the verdicts, on made-up values.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';

import '../helpers/seed.js';
import { costRefused, ranEmpty, untold } from '../../experiments/core/backlog.js';
import { judgeClaims, type ClaimResult, type Judging } from '../../experiments/core/claims.js';
import { poolShifts, tailOf } from '../../experiments/core/pooled.js';
import { experiments } from '../../experiments/core/registry.js';
import type { PointSummary } from '../../experiments/core/point-summary.js';
import { ownTarget, type Claim, type ShapeClaim } from '../../experiments/core/types.js';
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
import { sweep, tiny } from './helpers.js';

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

describe('judging a run', () => {
  const point = (
    contender: string,
    chain: string,
    values: number[],
    more: Partial<PointSummary> = {},
  ): PointSummary => ({
    id: `${contender}${chain}`,
    part: 'sweep',
    setting: chain,
    params: { chain, contender },
    control: false,
    samples: values.length,
    warmups: 0,
    stopped: 'precise',
    metrics: {
      throughputGbps: {
        value: values[0] ?? 0,
        low: Math.min(...values),
        high: Math.max(...values),
      },
    },
    refused: {},
    ratios: {},
    permutationP: {},
    outliers: {},
    values: { throughputGbps: values },
    ...more,
  });
  const six = (value: number): number[] => Array.from({ length: 6 }, () => value);
  const ratioOf = (value: number): PointSummary['ratios'] => ({
    throughputGbps: { value, low: value, high: value, pairs: 6, verdict: 'better' },
  });
  const judging = (
    claims: Claim[],
    shapes: ShapeClaim[],
    points: PointSummary[],
    argv: string[] = [],
  ): ClaimResult[] => {
    const experiment = { ...tiny(), claims, shapes };
    const recorded = new Map(
      points.map((p) => [
        p.id,
        {
          type: 'point',
          id: p.id,
          part: p.part,
          setting: p.setting,
          params: p.params,
          control: false,
          spec: {},
        } as const,
      ]),
    );
    const history = {
      run: { profile: 'quick', seed: 1, argv },
      points: recorded,
      failures: [],
      samples: new Map(points.map((p) => [p.id, []])),
    } as unknown as Judging['history'];
    return judgeClaims({
      experiment,
      plan: {
        profile: experiment.plan({ profile: 'quick', seed: 1, traces: [] }).profile,
        parts: [sweep()],
      },
      history,
      points,
    });
  };
  const claim: Claim = {
    id: 'a',
    text: 'a',
    source: 'a paper',
    unit: '',
    published: 50,
    tolerance: 0.1,
    kind: 'near',
    measured: {
      part: 'sweep',
      metric: 'throughputGbps',
      at: { chain: 'paper', contender: 'fixed' },
    },
  };
  const curve: ShapeClaim = {
    id: 'c',
    text: 'c',
    source: 'a paper',
    tolerance: 0.1,
    part: 'sweep',
    metric: 'throughputGbps',
    from: { at: { chain: 'paper', contender: 'off' }, published: 20 },
    steps: [
      { label: 'burst', at: { chain: 'paper', contender: 'burst' }, published: 40 },
      { label: 'fixed', at: { chain: 'paper', contender: 'fixed' }, published: 60 },
    ],
  };
  const [off, burst, fixed] = [
    point('off', 'paper', six(25)),
    point('burst', 'paper', six(50), { ratios: ratioOf(2) }),
    point('fixed', 'paper', six(75), { ratios: ratioOf(3) }),
  ];

  test('a value, and why there is none', () => {
    expect(judging([claim], [], [point('fixed', 'paper', six(51))])[0]).toMatchObject({
      verdict: 'reproduced',
      n: 6,
    });
    expect(judging([claim], [], [point('fixed', 'paper', [51, 51, 51])])[0]).toMatchObject({
      verdict: 'undecided',
      reason: expect.stringMatching(/^n = 3: no verdict/) as string,
    });
    expect(judging([claim], [], [], ['exp', 'tiny', '--only', 'other'])[0]).toMatchObject({
      verdict: 'not in this run',
      reason: '--only left part sweep out',
    });
    const refused = point('fixed', 'paper', six(51), {
      metrics: {},
      values: {},
      refused: { throughputGbps: ranEmpty },
    });
    expect(judging([claim], [], [refused])[0]).toMatchObject({
      verdict: 'not testable here',
      reason: ranEmpty,
    });
    const elsewhere = {
      ...claim,
      measured: { part: 'sweep', metric: 'throughputGbps', at: { chain: 'none' } },
    };
    expect(judging([elsewhere], [], [])[0]).toMatchObject({ verdict: 'not testable here' });
  });
  test('a share of the baseline: runs that have nothing are counted, not divided by', () => {
    const share = (published: number): Claim => ({
      ...claim,
      source: ownTarget,
      unit: '%',
      published,
      tolerance: 0,
      kind: 'at-most',
      measured: {
        part: 'sweep',
        metric: 'throughputGbps',
        at: { chain: 'paper', contender: 'fixed' },
        versus: { contender: 'off' },
        as: 'percent-of',
      },
    });
    const noRatio: PointSummary['ratios'] = {
      throughputGbps: {
        value: Number.NaN,
        low: Number.NaN,
        high: Number.NaN,
        pairs: 6,
        verdict: 'undecided',
      },
    };
    const left = point('fixed', 'paper', [0, 0, 1, 0, 2, 0], { ratios: noRatio });
    const [judged] = judging([share(12.5)], [], [point('off', 'paper', six(20)), left]);
    expect(judged).toMatchObject({ verdict: 'reached', ours: { value: 0, high: 10 } });
    expect(judged?.reason).toMatch(/at most 12.5 %; none in 4 of 6 runs$/);
    expect(
      judging(
        [share(5)],
        [],
        [point('off', 'paper', six(20)), point('fixed', 'paper', six(4), { ratios: ratioOf(0.2) })],
      )[0],
    ).toMatchObject({ verdict: 'missed', ours: { value: 20 } });
    // A baseline without any has no share.
    expect(
      judging([share(5)], [], [point('off', 'paper', [0, 1, 1, 1, 1, 1]), left])[0],
    ).toMatchObject({ verdict: 'not testable here' });
  });
  test('where one of both has nothing there is no ratio, however it is told', () => {
    const against = (as?: 'times-less'): Claim => ({
      ...claim,
      unit: '%',
      measured: {
        part: 'sweep',
        metric: 'throughputGbps',
        at: { chain: 'paper', contender: 'fixed' },
        versus: { contender: 'burst' },
        ...(as === undefined ? {} : { as }),
      },
    });
    const none = (contender: string): PointSummary =>
      point(contender, 'paper', six(0), { ratios: ratioOf(1) });
    const some = (contender: string): PointSummary =>
      point(contender, 'paper', six(5), { ratios: ratioOf(1) });
    for (const [wanted, points] of [
      [against(), [some('fixed'), none('burst')]],
      [against('times-less'), [none('fixed'), some('burst')]],
    ] as const)
      expect(judging([wanted], [], [...points])[0]).toMatchObject({
        verdict: 'not testable here',
        reason: expect.stringMatching(/no ratio/) as string,
      });
  });
  test('against a contender that is not the baseline', () => {
    const less: Claim = {
      ...claim,
      source: ownTarget,
      unit: 'times',
      published: 4,
      tolerance: 0,
      kind: 'at-least',
      measured: {
        part: 'sweep',
        metric: 'throughputGbps',
        at: { chain: 'paper', contender: 'fixed' },
        versus: { contender: 'adaptive' },
        as: 'times-less',
      },
    };
    const judged = (value: number): unknown =>
      judging(
        [less],
        [],
        [
          point('off', 'paper', six(1)),
          point('fixed', 'paper', six(2), { ratios: ratioOf(2) }),
          point('adaptive', 'paper', six(value), { ratios: ratioOf(value) }),
        ],
      )[0];
    expect(judged(10)).toMatchObject({ verdict: 'reached', ours: { value: 5 }, n: 6 });
    expect(judged(6)).toMatchObject({ verdict: 'missed', ours: { value: 3 } });
  });
  test('a published value that is not two-sided is refused', () => {
    expect(() => judging([{ ...claim, kind: 'at-least' }], [], [])).toThrow(
      /claim a is of a published value/,
    );
  });
  test('a curve: ratios to its first value', () => {
    expect(judging([], [curve], [off, burst, fixed])[0]).toMatchObject({
      verdict: 'reproduced',
      published: null,
      steps: [
        { published: 2, ours: { value: 2 } },
        { published: 3, ours: { value: 3 } },
      ],
    });
    expect(
      judging(
        [],
        [curve],
        [off, burst, point('fixed', 'paper', six(25), { ratios: ratioOf(1) })],
      )[0],
    ).toMatchObject({
      verdict: 'falls short',
      reason: expect.stringContaining('fixed falls short') as string,
    });
    expect(judging([], [curve], [off, burst], ['--only', 'x'])[0]).toMatchObject({
      verdict: 'not in this run',
    });
    // Without a common baseline: the medians of both.
    const apart = [point('off', 'paper', [1, 1, 1]), burst, fixed];
    expect(
      judging(
        [],
        [
          {
            ...curve,
            steps: [{ label: 'm', at: { chain: 'modern', contender: 'off' }, published: 20 }],
          },
        ],
        [...apart, point('off', 'modern', six(1))],
      )[0],
    ).toMatchObject({ verdict: 'undecided', n: 3 });
  });
});

describe('a cost a packet', () => {
  const backlog = {
    busyShare: 'busyShare',
    dropShare: 'drops.ringShare',
    carriedBps: 'throughputBps',
  };
  const spec = { offeredBps: 400e9 };
  test.each([
    ['an idle core', { busyShare: 0.6, drops: { ringShare: 0.2 } }, ranEmpty],
    ['no drop', { busyShare: 1, drops: { ringShare: 0 } }, ranEmpty],
    ['busy and dropping', { busyShare: 1, drops: { ringShare: 0.2 } }, undefined],
    ['all carried, nothing else known', { throughputBps: 399.9e9 }, ranEmpty],
    ['half carried, nothing else known', { throughputBps: 200e9 }, undefined],
    ['nothing known', { nsPerPacket: 5 }, untold],
  ])('%s', (_, record, why) => expect(costRefused(backlog, record, spec)).toBe(why));
  test('busy alone is enough where drops are not recorded', () => {
    expect(costRefused({ busyShare: 'load' }, { load: 1 }, {})).toBeUndefined();
    expect(costRefused({ busyShare: 'load' }, { load: 0.5 }, {})).toBe(ranEmpty);
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
