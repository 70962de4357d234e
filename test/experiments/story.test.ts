// Sentences with holes, and what fills them.
import { describe, expect, test } from 'vitest';

import type { PointSummary } from '../../experiments/core/point-summary.js';
import type { Change, Reference } from '../../experiments/core/story.js';
import { metrics } from '../../experiments/reframer/metrics.js';
import { linuxStories } from '../../experiments/reframer/story-linux.js';
import { pairedChange } from '../../experiments/story/ask.js';
import { counted } from '../../experiments/story/counts.js';
import { changeOf, factsOf } from '../../experiments/story/facts.js';
import { bibtex, citations, numbered, referenceText } from '../../experiments/story/references.js';
import { listed, say, together, told, when, wordsOf } from '../../experiments/story/say.js';

describe('sentences', () => {
  test('a hole without data leaves the sentence out', () => {
    const none: string | undefined = undefined;
    expect(say`It carries ${'47.1 Gbps'} of ${70}.`).toBe('It carries 47.1 Gbps of 70.');
    expect(say`It carries ${none} of ${70}.`).toBeUndefined();
    expect(say`Nothing to fill.`).toBe('Nothing to fill.');
    expect(together(say`One.`, say`Not ${none}.`, say`Two.`)).toBe('One. Two.');
  });

  test('conditions', () => {
    expect(when(true, 'yes', 'no')).toBe('yes');
    expect(when(false, 'yes', 'no')).toBe('no');
    expect(when(undefined, 'yes')).toBeUndefined();
  });

  test.each([
    ['better', 'up'],
    ['worse', 'down'],
    ['no change', 'level'],
    ['undecided', 'open'],
    ['too few', 'open'],
  ] as const)('%s is told as such', (verdict, sentence) => {
    const change: Change = { verdict, ratio: 1, percent: '', size: '', times: '', span: '' };
    const outcomes = { better: 'up', worse: 'down', same: 'level', open: 'open' };
    expect(told(change, outcomes)).toBe(sentence);
    expect(told(change, {})).toBeUndefined();
    expect(told(undefined, outcomes)).toBeUndefined();
  });

  test('how many ended in which word', () => {
    const values = 'published values';
    expect(counted({ reproduced: 3, 'falls short': 1, undecided: 0 }, values)).toBe(
      'Of 4 published values, 3 are reproduced and 1 falls short.',
    );
    expect(counted({ reproduced: 0 }, values)).toBe('');
    expect(counted({ missed: 5 }, 'aims')).toBe('All 5 aims are missed.');
    expect(counted({ 'not testable here': 5 }, 'aims')).toBe(
      'None of the 5 aims is testable here.',
    );
    expect(counted({ missed: 1 }, 'aims')).toBe('Of 1 aim, 1 is missed.');
  });

  test('lists and words', () => {
    expect(listed([])).toBeUndefined();
    expect(listed(['a'])).toBe('a');
    expect(listed(['a', 'b', 'c'])).toBe('a, b and c');
    expect(wordsOf(' two  words ')).toBe(2);
  });
});

describe('facts', () => {
  const point = (contender: string, gbps: number, ratio?: number): PointSummary => ({
    id: contender,
    part: 'overload',
    setting: 's',
    params: { contender, chain: 'paper' },
    control: false,
    samples: 6,
    warmups: 0,
    stopped: 'blocks',
    metrics: { throughputGbps: { value: gbps, low: gbps, high: gbps } },
    refused: {},
    ratios:
      ratio === undefined
        ? {}
        : {
            throughputGbps: { value: ratio, low: ratio, high: ratio, pairs: 6, verdict: 'better' },
          },
    permutationP: {},
    outliers: {},
    values: {},
  });
  const run = {
    claims: [],
    verdicts: { published: {}, aims: {} } as never,
    profile: 'full',
  } as const;
  const facts = factsOf(
    {
      metrics,
      published: () => [
        { part: 'overload', params: { contender: '64us' }, metric: 'throughputGbps', value: 51.3 },
      ],
    },
    {
      ...run,
      points: [point('off', 32), point('64us', 48, 1.5), { ...point('x', 9), control: true }],
    },
  );
  const part = facts.part('overload');

  test('values in their unit, changes against the baseline', () => {
    expect(part.at({ contender: '64us' }).told('throughputGbps')).toBe('48.0 Gbps');
    expect(part.at({ contender: '64us' }).bare('throughputGbps')).toBe('48.0');
    expect(part.at({ contender: '64us' }).change('throughputGbps')).toMatchObject({
      percent: '+50 %',
      size: '50 %',
      times: '1.50 times',
    });
    expect(part.published({ contender: '64us' }, 'throughputGbps')).toBe('51.3 Gbps');
    expect(part.points({ chain: 'paper' }).length).toBe(2);
  });

  test('a change of pairs says so where the medians point the other way', () => {
    const told = (off: number, on: number, of: number): unknown =>
      pairedChange(
        factsOf({ metrics, published: () => [] }, { ...run, points: [point('off', off)] })
          .part('overload')
          .at({ contender: 'off' }),
        factsOf({ metrics, published: () => [] }, { ...run, points: [point('64us', on, of)] })
          .part('overload')
          .at({ contender: '64us' }),
        'throughputGbps',
      );
    expect(told(32, 48, 1.5)).toBe('+50 %');
    expect(told(343, 335, 1.08)).toBe(
      '+8.0 % in the median pair; the medians say otherwise, for the machine drifted between blocks',
    );
    expect(told(343, 335, 0.9)).toBe('−10 %');
  });

  test('what is not there answers nothing', () => {
    const nowhere = part.at({ contender: '7us' });
    expect([nowhere.value('p50Us'), nowhere.told('p50Us'), nowhere.change('p50Us')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(part.at({ contender: 'x' }).told('throughputGbps')).toBeUndefined();
    expect(part.at({ contender: 'off' }).change('throughputGbps')).toBeUndefined();
    expect(part.published({ contender: 'off' }, 'throughputGbps')).toBeUndefined();
    expect(facts.verdict('gain-64')).toBeUndefined();
    expect(facts.part('nowhere').points()).toEqual([]);
  });

  test('a ratio without an interval tells how many pairs there are', () => {
    const ratio = { value: 1.02, low: Number.NaN, high: Number.NaN, pairs: 3 };
    expect(changeOf({ ...ratio, verdict: 'too few' })).toMatchObject({
      size: '2.0 %',
      span: '3 pairs; an interval takes 6',
    });
    expect(changeOf({ ...ratio, value: Number.NaN, verdict: 'undecided' })).toBeUndefined();
  });
});

describe('references', () => {
  const work: Reference = {
    key: 'order',
    authors: ['A. One', 'B. Two'],
    title: 'Packet {Order} Matters',
    venue: 'NSDI',
    year: 2022,
    pages: '807–827',
  };

  test('as text, as BibTeX, in sentences', () => {
    expect(referenceText(work)).toBe(
      'A. One, B. Two. Packet {Order} Matters. NSDI 2022, pages 807–827.',
    );
    expect(bibtex([work, 'Nobody. Nothing.'])).toContain('author = {A. One and B. Two}');
    expect(bibtex([work, 'Nobody. Nothing.'])).toContain('title = {{Packet Order Matters}}');
    expect(bibtex([work, 'Nobody. Nothing.'])).toContain('@misc{work-2,');
    expect(citations('As @order found, a@b.c.', [work])).toEqual([
      'As ',
      'order',
      ' found, a@b.c.',
    ]);
    expect(numbered('As @order found, a@b.c.', [work])).toBe('As [1] found, a@b.c.');
  });
});

describe('the price of a box before Linux', () => {
  const window = (order: string, values: Readonly<Record<string, number>>): PointSummary => ({
    id: order,
    part: 'linux-window',
    setting: order,
    params: { order, window: 480 },
    control: false,
    samples: 6,
    warmups: 0,
    stopped: 'blocks',
    metrics: Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, { value, low: value, high: value }]),
    ),
    refused: {},
    ratios: {},
    permutationP: {},
    outliers: {},
    values: {},
  });
  const told = (boxNs: number, liveSaved: number, saved: number): string | undefined =>
    linuxStories['linux-window']?.found(
      factsOf(
        { metrics, published: () => [] },
        {
          points: [
            window('formed beforehand', {
              kernelNs: 800,
              kernelSaved: saved,
              segmentsPerMerged: 2.7,
            }),
            window('box in the path', {
              kernelNs: 1400,
              kernelSaved: liveSaved,
              boxNs,
              segmentsPerMerged: 2.6,
            }),
            window('timer of T', { kernelNs: 1000, segmentsPerMerged: 1.2 }),
            window('box that forwards, timer of T', { kernelNs: 1400, segmentsPerMerged: 1.3 }),
          ],
          claims: [],
          verdicts: { published: {}, aims: {} } as never,
          profile: 'full',
        },
      ),
    );

  test('it says from which saving on it pays', () => {
    // 800 ns are 20 % less than 1,000: 200 saved.
    expect(told(3000, 18, 20)).toContain('Merging saves 200 ns a kernel: it pays where 15 kernels');
    expect(told(3000, 18, 20)).toContain('it merges 1.2 of 480 where it is always behind, and 1.3');
    expect(told(3000, 18, 20)).toContain('one core carries 0.33 million a second');
    expect(told(100, 18, 20)).toContain('it pays with one kernel core behind it');
    expect(told(3000, 18, 20)).toContain('Live the kernel’s core takes 18 % less');
    expect(told(3000, -5, -1)).toContain('it does not pay');
    expect(told(3000, -5, -1)).toContain('Live the kernel’s core saves nothing');
  });
});
