// What `npm pack` would publish: everything a consumer needs, nothing that is made at their place.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram } from './helpers/cli.js';

interface Packed {
  files: { path: string; size: number }[];
}

test('the package holds the command, the API, the headers and the native sources', async () => {
  const { stdout } = await runProgram('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']);
  const [packed] = JSON.parse(stdout) as Packed[];
  const paths = packed?.files.map((file) => file.path) ?? [];
  for (const path of [
    'experiments/cli/reframer.mjs',
    'dist/experiments/cli/main.js',
    'dist/reframer/index.js',
    'dist/reframer/index.d.ts',
    'native/setup.mjs',
    'native/setup/steps.mjs',
    'native/meson.build',
    'native/libreframer.map',
    'native/include/reframer/reframer.h',
    'native/src/lab/main.cpp',
    'README.md',
    'reframer/README.md',
  ]) {
    expect(paths).toContain(path);
  }
  const unwanted = paths.filter((path) =>
    /^(test|results|native\/(build|test|fuzz)|node_modules)|\.(pcap|pcapng|log)$|(^|\/)\.setup/.test(
      path,
    ),
  );
  expect(unwanted).toEqual([]);
});

test('while nobody gave an address or a licence, README and installation page say so', () => {
  const read = (name: string): string => readFileSync(join(packageRoot, name), 'utf8');
  const { repository, license } = JSON.parse(read('package.json')) as {
    repository?: string | { url?: string };
    license: string;
  };
  const url = typeof repository === 'string' ? repository : repository?.url;
  const says = (text: RegExp): boolean[] =>
    [read('README.md'), read('docs/INSTALL.md')].map((page) => text.test(page));
  if (repository !== undefined)
    expect(url).toMatch(/^(git\+)?(https|ssh):\/\/[^/]+\/.+|^[^/ ]+\/[^/ ]+$/);
  const missing = [repository === undefined, repository === undefined];
  expect(says(/no `repository`/)).toEqual(missing);
  expect(says(/`UNLICENSED`/)).toEqual([license === 'UNLICENSED', license === 'UNLICENSED']);
});

test('nothing runs at npm install, and the command and entry points exist', () => {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
    bin: Record<string, string>;
  };
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare', 'dependencies'])
    expect(manifest.scripts).not.toHaveProperty(name);
  expect(readFileSync(join(packageRoot, manifest.bin['reframer'] ?? ''), 'utf8')).toMatch(
    /^#!\/usr\/bin\/env node\n/,
  );
});
