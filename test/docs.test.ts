// The pages of the TypeScript interface: complete, and without a warning where TypeDoc is installed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, skipSuite, temporaryFolder } from './helpers/cli.js';
import { readPackageFile } from './helpers/readme.js';

const output = temporaryFolder();
afterAll(() => output.remove());

test('every entry point of the package has pages', () => {
  const { exports } = JSON.parse(readPackageFile('package.json')) as {
    exports: Record<string, unknown>;
  };
  const { entryPoints } = JSON.parse(readPackageFile('docs/api/typedoc.json')) as {
    entryPoints: string[];
  };
  const wanted = Object.keys(exports)
    // The whole is its parts once more.
    .filter((name) => !['./package.json', './cli', '.'].includes(name))
    .map((name) => `../../${name.slice(2)}/index.ts`);
  expect(entryPoints.sort()).toEqual(wanted.sort());
});

if (!existsSync(join(packageRoot, 'docs/api/node_modules/typedoc'))) {
  skipSuite('TypeDoc is not installed (`npm run docs` does it): the pages were not built');
} else {
  test('TypeDoc builds them without a warning', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await runProgram(process.execPath, [
      join(packageRoot, 'docs/api/build.mjs'),
      '--out',
      output.path,
      '--logLevel',
      'Warn',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    const pages = readdirSync(output.path, { recursive: true, encoding: 'utf8' });
    for (const name of ['Reframer', 'Balancer', 'FlowTracker'])
      expect(pages.filter((page) => page.endsWith(`.${name}.html`))).toHaveLength(1);
    expect(readFileSync(output.file('index.html'), 'utf8')).toContain('reframer');
  });
}
