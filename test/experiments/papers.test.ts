// What every experiment would print, whatever came out: each sentence in each of its branches, and
// each paper within its pages.
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { experiments } from '../../experiments/core/registry.js';
import type { Experiment } from '../../experiments/core/types.js';
import { htmlReport } from '../../experiments/report/html.js';
import { reportModel, type ReportModel } from '../../experiments/report/model.js';
import { paperPdf } from '../../experiments/report/pdf.js';
import { storyTable } from '../../experiments/report/paper-tables.js';
import { wordsOf as countWords } from '../../experiments/story/say.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';
import {
  fontSizes,
  fullness,
  mostPages,
  overlaps,
  placesOf,
  poppler,
  smallestLetter,
  wordsOf,
  type Word,
} from '../helpers/pages.js';
import { outcomes, synthetic, type Outcome } from './synthetic.js';

const profiles = ['quick', 'full'] as const;
const runs = experiments.flatMap((experiment) =>
  profiles.flatMap((profile) => outcomes.map((outcome) => [experiment, profile, outcome] as const)),
);
const modelOf = (
  experiment: Experiment,
  profile: 'quick' | 'full',
  outcome: Outcome,
  every = false,
): ReportModel => {
  const { summary, history } = synthetic(experiment, profile, outcome, every);
  return reportModel(experiment, summary, history);
};

/** A sentence with a hole, a doubled blank, a number that is none. */
const broken = /undefined|NaN|Infinity|\[object|\bnull\b| {2}|\$\{| [,.;:)]|\( |\.\./;

describe.each(
  runs.map(([experiment, profile, outcome]) => ({
    name: experiment.name,
    experiment,
    profile,
    outcome,
  })),
)('$name, $profile, $outcome', ({ experiment, profile, outcome }) => {
  let model: ReportModel;
  let found: string[][];
  beforeAll(() => {
    model = modelOf(experiment, profile, outcome, true);
    found = model.parts.map(({ part }) => [part.name, part.story?.found(model.facts) ?? '']);
  });

  test('an abstract of at most 150 words, in whole sentences', () => {
    expect(countWords(model.abstract)).toBeLessThanOrEqual(150);
    expect(countWords(model.abstract)).toBeGreaterThan(40);
    expect(model.abstract).not.toMatch(broken);
    expect(model.abstract).toMatch(/^[A-Z].*\.$/s);
  });

  test('sentences are whole', () => {
    for (const [part, text] of found) expect(text, part).not.toMatch(broken);
    for (const [part, text] of found)
      if (text !== '') expect(text, part).toMatch(/^[A-Z0-9].*\.$/s);
  });

  test('every part has its sentences, but where its costs are refused', () => {
    if (outcome === 'no values') return;
    expect(found.filter(([, text]) => text === '').map(([part]) => part)).toEqual([]);
  });

  test('captions are one or two sentences', () => {
    for (const { id, caption } of model.figures) {
      expect(caption, id).not.toMatch(broken);
      expect(caption, id).toMatch(/^[A-Z0-9p].*\.$/s);
      expect(caption.split(/\. (?=[A-Z])/).length, id).toBeLessThanOrEqual(2);
    }
  });

  test('tables of at most twelve rows', () => {
    for (const { part } of model.parts) {
      const table = storyTable(model, part);
      expect(table?.rows.length ?? 0, part.name).toBeLessThanOrEqual(12);
      for (const row of table?.rows ?? []) expect(row.join(' ')).not.toMatch(/undefined|NaN/);
    }
  });
});

// A page that a browser draws in a second.
const mostBytes = 1_000_000;

test.each(experiments)('page of $name: less than a megabyte', (experiment) => {
  const page = htmlReport(modelOf(experiment, 'full', 'mixed'));
  expect(Buffer.byteLength(page)).toBeLessThan(mostBytes);
});

// Half a column of the page holds about as many.
const mostWordsOfLimits = 290;

test.each(experiments)('limits of $name: half a column', ({ limitations }) => {
  expect(countWords(limitations.join(' '))).toBeLessThanOrEqual(mostWordsOfLimits);
});

const installed = poppler('pdftotext', '-v') !== undefined;
if (!installed) skipSuite('pages of made-up runs were not looked at: poppler-utils is missing');
const folder = temporaryFolder();
afterAll(() => folder.remove());

describe
  .skipIf(!installed)
  .each(
    experiments.flatMap((experiment) =>
      profiles.map((profile) => ({ name: experiment.name, experiment, profile })),
    ),
  )('pages of $name, $profile', ({ experiment, profile }) => {
  const file = folder.file(`${experiment.name}-${profile}.pdf`);
  let words: Word[];
  beforeAll(() => {
    writeFileSync(file, paperPdf(modelOf(experiment, profile, 'mixed')));
    words = wordsOf(file) ?? [];
  });

  test('no more pages than anyone reads', () => {
    const pages = Math.max(0, ...words.map((w) => w.page));
    expect(pages).toBeGreaterThan(0);
    expect(pages).toBeLessThanOrEqual(mostPages(experiment.name, profile));
  });

  test('nothing lies over anything, no letter is too small, no page half white', () => {
    expect(overlaps(words)).toEqual([]);
    expect([...fontSizes(file)].filter(([size]) => size < smallestLetter)).toEqual([]);
    for (const share of fullness(file).slice(0, -1)) expect(share).toBeGreaterThan(0.5);
  });

  test('a figure stands at most a page from where it is named', () => {
    for (const { figure, named, stands } of placesOf(words))
      expect(Math.abs(stands - named), `figure ${figure}`).toBeLessThanOrEqual(1);
  });
});
