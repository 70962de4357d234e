// A clone that was copied with its build folder builds itself, not the clone it came from.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';

import { isConfiguredFor } from '../native/setup/folder.mjs';
import { temporaryFolder } from './helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

test('a build folder is of the sources that Meson was given', () => {
  const [first, copy, build] = ['first', 'copy', 'build'].map((name) => folder.file(name)) as [
    string,
    string,
    string,
  ];
  for (const path of [first, copy, `${build}/meson-private`, `${build}/meson-info`])
    mkdirSync(path, { recursive: true });
  expect(isConfiguredFor(build, first)).toBe(false);
  writeFileSync(`${build}/build.ninja`, '');
  writeFileSync(`${build}/meson-private/coredata.dat`, '');
  expect(isConfiguredFor(build, first)).toBe(false);
  writeFileSync(
    `${build}/meson-info/meson-info.json`,
    JSON.stringify({ directories: { source: first } }),
  );
  expect(isConfiguredFor(build, first)).toBe(true);
  expect(isConfiguredFor(build, copy)).toBe(false);
  renameSync(first, `${first}-moved`);
  expect(isConfiguredFor(build, `${first}-moved`)).toBe(false);
});
