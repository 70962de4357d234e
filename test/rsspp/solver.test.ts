// The solver through the TypeScript API, against its model.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { methods, RssppError, solve, type Problem } from '../../rsspp/index.js';
import { smallestWorst, violations } from '../../rsspp/model.js';
import '../helpers/seed.js';

const problems = (maxBuckets: number, maxCores: number): fc.Arbitrary<Problem> =>
  fc.integer({ min: 1, max: maxCores }).chain((cores) =>
    fc.integer({ min: 1, max: maxBuckets }).chain((buckets) =>
      fc.record(
        {
          cores: fc.constant(cores),
          loads: fc.array(fc.float({ min: 0, max: 1, noNaN: true }), {
            minLength: buckets,
            maxLength: buckets,
          }),
          owners: fc.array(fc.integer({ min: 0, max: cores - 1 }), {
            minLength: buckets,
            maxLength: buckets,
          }),
          pinned: fc.array(fc.boolean(), { minLength: buckets, maxLength: buckets }),
          active: fc
            .array(fc.boolean(), { minLength: cores, maxLength: cores })
            .map((active) => active.map((a, i) => a || i === 0)),
        },
        { requiredKeys: ['cores', 'loads', 'owners'] },
      ),
    ),
  );

describe('solve', () => {
  test('keeps every rule of the problem and reports what it did', () => {
    fc.assert(
      fc.property(
        problems(60, 9),
        fc.constantFrom(...methods.filter((m) => m !== 'exact')),
        (problem, method) => {
          expect(violations(problem, solve(problem, method))).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('exact finds the smallest worst core; ours is never below it', () => {
    fc.assert(
      fc.property(problems(6, 3), ({ cores, loads, owners }) => {
        const best = smallestWorst({ cores, loads, owners });
        expect(solve({ cores, loads, owners }, 'exact').worstAfter).toBeCloseTo(best, 4);
        expect(solve({ cores, loads, owners }).worstAfter).toBeGreaterThanOrEqual(best - 1e-4);
      }),
      { numRuns: 200 },
    );
  });

  test('refuses what is malformed, naming it', () => {
    const code = (problem: Problem, method?: 'exact'): string => {
      try {
        solve(problem, method);
      } catch (error) {
        if (error instanceof RssppError) return `${error.code}: ${error.message}`;
        throw error;
      }
      return 'accepted';
    };
    expect(code({ loads: [], owners: [], cores: 1 })).toMatch(/^bad-problem: there are 0 buckets/);
    expect(code({ loads: [1], owners: [1], cores: 1 })).toMatch(/bucket 0 is owned by core 1/);
    expect(code({ loads: [Number.NaN], owners: [0], cores: 1 })).toMatch(/load NaN/);
    expect(code({ loads: [1], owners: [0, 0], cores: 1 })).toMatch(/owners 2/);
    expect(code({ loads: [1], owners: [0], cores: 1, active: [false] })).toMatch(
      /no core is active/,
    );
    const loads = Array.from({ length: 64 }, (_, i) => 1 + (i % 7) / 7);
    expect(code({ loads, owners: loads.map(() => 0), cores: 8 }, 'exact')).toMatch(/^too-large/);
  });
});
