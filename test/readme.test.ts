// The README's commands and programs run as written.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { readPackageFile, runnableBlocks, userProject } from './helpers/readme.js';

const readme = readPackageFile('README.md');
const blocks = runnableBlocks(readme);

const project = userProject();
afterAll(() => project.remove());

describe('README', () => {
  test('has commands and a JavaScript program', () => {
    expect(blocks.map((block) => block.language).sort()).toEqual(['js', 'sh']);
  });

  test.each(blocks.map((block) => [block.file ?? `${block.language} commands`, block] as const))(
    '%s',
    { timeout: 120_000 },
    async (_, block) => {
      const { code, stdout, stderr } = await project.run(block);
      // npm may have words of its own about the user's configuration.
      expect(stderr.replace(/^npm warn .*\n/gm, '')).toBe('');
      expect(code).toBe(0);
      expect(stdout).not.toBe('');
      if (block.language === 'js') expect(stdout).toBe('flow 1: 2 packets\nflow 2: 2 packets\n');
    },
  );

  test('names only files and commands that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => !link.includes(':'));
    for (const link of links)
      expect(() => readFileSync(join(packageRoot, link)), link).not.toThrow();
    const scripts = (
      JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
        scripts: Record<string, string>;
      }
    ).scripts;
    for (const [, name = ''] of readme.matchAll(/npm run ([\w:]+)/g))
      expect(scripts).toHaveProperty([name]);
  });
});
