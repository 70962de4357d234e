// The printed reports of the reference runs, page by page as a reader sees them.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { openRun } from '../../experiments/core/runs.js';
import { skipSuite } from '../helpers/cli.js';
import {
  fontSizes,
  fullness,
  mostPages,
  overlaps,
  placesOf,
  smallestLetter,
  wordsOf,
  type Word,
} from '../helpers/pages.js';

const root = join(packageRoot, 'results', 'reference');
const names = readdirSync(root).filter((name) => existsSync(join(root, name, 'report.pdf')));

const installed = spawnSync('pdftotext', ['-v']).error === undefined;
if (!installed) skipSuite('pages of reports were not looked at: poppler-utils is missing');

describe.skipIf(!installed).each(names)('pages of %s', (name) => {
  const file = join(root, name, 'report.pdf');
  const words = installed ? (wordsOf(file) ?? []) : [];
  const pages = Math.max(0, ...words.map((w) => w.page));

  test('no more pages than anyone reads', () => {
    const { experiment, profile } = openRun(join(root, name)).history.run;
    expect(pages).toBeGreaterThan(0);
    expect(pages).toBeLessThanOrEqual(mostPages(experiment, profile));
  });

  test('nothing lies over anything', () => {
    expect(overlaps(words)).toEqual([]);
  });

  test(`no letter under ${smallestLetter} points`, () => {
    const sizes = fontSizes(file);
    expect(sizes.size).toBeGreaterThan(0);
    expect([...sizes].filter(([size]) => size < smallestLetter)).toEqual([]);
  });

  test('no page less than half full, but the last', () => {
    const shares = fullness(file);
    expect(shares.length).toBe(pages);
    for (const share of shares.slice(0, -1)) expect(share).toBeGreaterThan(0.5);
  });

  test('a figure stands at most a page from where it is named', () => {
    const places = placesOf(words);
    expect(places.length).toBeGreaterThan(2);
    for (const { figure, named, stands } of places)
      expect(Math.abs(stands - named), `figure ${figure}`).toBeLessThanOrEqual(1);
  });

  test('the parts of a paper', () => {
    const text = words.map((w) => w.text).join(' ');
    for (const part of [
      'Abstract.',
      'Method',
      'Results',
      'Claims',
      'Limits',
      'How to rerun it',
      'References',
    ])
      expect(text).toContain(part);
    expect(readFileSync(file).subarray(0, 5).toString()).toBe('%PDF-');
  });
});

test('what is to be found is found', () => {
  const word = (text: string, left: number, top: number): Word => ({
    page: 1,
    text,
    left,
    right: left + 20,
    top,
    bottom: top + 10,
  });
  expect(overlaps([word('a', 0, 0), word('b', 5, 3), word('c', 50, 0)])).toEqual([
    "page 1: 'a' over 'b'",
  ]);
  const named = ['(Figure', '2)', 'Figure', '2:'].map((text, i) => ({
    ...word(text, 0, 0),
    page: i < 2 ? 1 : 4,
  }));
  expect(placesOf(named)).toEqual([{ figure: '2', named: 1, stands: 4 }]);
});
