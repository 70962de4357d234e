// Claims against what a made-up run measured, and costs that it must not quote.
import { describe, expect, test } from 'vitest';

import { costRefused, ranEmpty, untold } from '../../experiments/core/backlog.js';
import { judgeClaims, type ClaimResult, type Judging } from '../../experiments/core/claims.js';
import type { PointSummary } from '../../experiments/core/point-summary.js';
import { ownTarget, type Claim, type ShapeClaim } from '../../experiments/core/types.js';
import type { ReportModel } from '../../experiments/report/model.js';
import { claimTable } from '../../experiments/report/paper-tables.js';
import { sweep, tiny } from './helpers.js';

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
  test('against a contender that the run lacks, nothing is said: not what is so against the baseline', () => {
    const against: Claim = {
      ...claim,
      measured: {
        part: 'sweep',
        metric: 'throughputGbps',
        at: { chain: 'paper', contender: 'fixed' },
        versus: { contender: 'burst' },
      },
    };
    const none = point('burst', 'paper', [], { metrics: {}, values: {} });
    for (const points of [
      [off, fixed],
      [off, fixed, none],
    ])
      expect(judging([against], [], points)[0]).toMatchObject({
        verdict: 'not in this run',
        ours: null,
        reason: 'the run has no sample of that point that counts',
      });
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

  test('of a curve the printed table has the place that decides', () => {
    const rowOf = (points: PointSummary[]): readonly string[] => {
      const model = { summary: { claims: judging([], [curve], points) } };
      return claimTable(model as unknown as ReportModel, false)?.rows[0] ?? [];
    };
    const low = point('burst', 'paper', six(25), { ratios: ratioOf(1) });
    const few = point('burst', 'paper', [50, 50, 50], {
      ratios: { throughputGbps: { value: 2, low: 2, high: 2, pairs: 3, verdict: 'too few' } },
    });
    expect(rowOf([off, burst, fixed])[1]).toBe('3x at fixed');
    expect(rowOf([off, low, fixed]).slice(1, 5)).toEqual([
      '2x at burst',
      '1',
      '0.5',
      'falls short',
    ]);
    expect(rowOf([off, few, fixed]).slice(1, 5)).toEqual(['2x at burst', '2', '1', 'undecided']);
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
