// READMEs are short; their figures, and those of docs/RELIABILITY.md, are those of the reference runs.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { filled, readmes, readmeText, withFigures } from '../experiments/report/readme.js';

const linesOf = (file: string): number => readmeText(file).trimEnd().split('\n').length;

describe.each(withFigures)('%s', (file) => {
  test('figures between markers are those of results/reference', () => {
    const text = readmeText(file);
    expect(filled(text, file) === text, 'run: npm run docs:figures').toBe(true);
  });
  test('links lead somewhere', () => {
    for (const [, link = ''] of readmeText(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      expect(existsSync(join(packageRoot, dirname(file), link)), link).toBe(true);
  });
});

test.each(readmes)('%s is short', (file) => {
  expect(linesOf(file)).toBeLessThanOrEqual(file === 'README.md' ? 130 : 150);
});

test('the root README has three figures of reference runs', () => {
  expect([...readmeText('README.md').matchAll(/<!-- results: /g)].length).toBeGreaterThanOrEqual(3);
});

test('a figure that was changed by hand is found', () => {
  const text = readmeText('README.md');
  const changed = text.replace(/(<!-- results: [^]*?)\d+/, '$10');
  expect(filled(changed, 'README.md')).toBe(text);
  const wrong = '<!-- results: reframer/nowhere -->\nx\n<!-- /results -->';
  expect(() => filled(wrong, 'README.md')).toThrow(/no part nowhere/);
});

describe('the table of attacks', () => {
  const file = 'docs/RELIABILITY.md';
  const text = readmeText(file);

  test('has intervals, and the word of the aim', () => {
    const line = text.split('\n').find((each) => each.startsWith('| SYN flood |')) ?? '';
    const cells = line.split('|').map((cell) => cell.trim());
    const value = /^\d[\d.,]* \([\d.,]+ to [\d.,]+\)$/;
    const word = /^(reached|missed|undecided)$/;
    expect(cells.slice(2, 8)).toEqual(
      [value, value, word, value, value, word].map((form) => expect.stringMatching(form) as string),
    );
  });

  test('a word that was changed by hand is found', () => {
    const changed = text.replace(
      /(\| SYN flood \|[^\n]*?\| )(reached|missed|undecided) \|/,
      (_, before: string, word: string) => `${before}${word === 'missed' ? 'reached' : 'missed'} |`,
    );
    expect(changed).not.toBe(text);
    expect(filled(changed, file)).toBe(text);
  });
});

test('notes are dated, with one subject a file', () => {
  const folder = join(packageRoot, 'docs', 'notes');
  for (const name of readdirSync(folder)) {
    expect(name).toMatch(/^\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md$/);
    const heads = readFileSync(join(folder, name), 'utf8').match(/^# /gm) ?? [];
    expect(heads.length, name).toBe(1);
  }
});
