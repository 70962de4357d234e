// Every native test program, as one test each.
import { readdirSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, skipSuite } from './helpers/cli.js';

const folder = join(packageRoot, 'native', 'build', 'test');

const programs = existsSync(folder)
  ? readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((room) =>
        readdirSync(join(folder, room.name), { withFileTypes: true }).map((entry) => ({
          entry,
          path: join(folder, room.name, entry.name),
        })),
      )
      .filter(({ entry }) => entry.isFile() && entry.name.startsWith('test-'))
      .map(({ path }) => path)
  : [];

describe.skipIf(programs.length === 0)('native test programs', () => {
  test.concurrent.each(programs.map((path) => [basename(path), path] as const))(
    '%s',
    { timeout: 600_000 },
    async (_, path) => {
      const { code, stdout, stderr } = await runProgram(path, [], { cwd: packageRoot });
      const closing = /^(\d+) passed, (\d+) failed$/m.exec(stdout);
      expect(`${stderr}${stdout}`.slice(-4000)).toMatch(/\d+ passed, 0 failed/);
      expect(Number(closing?.[1])).toBeGreaterThan(0);
      expect(code).toBe(0);
    },
  );

  // Under these a key that an earlier part of its burst had inserted was once counted twice.
  const tracker = programs.find((path) => basename(path) === 'test-conntrack');
  test.skipIf(tracker === undefined).each([1, 5, 7])(
    'the burst table does what the model does, seed %i',
    async (seed) => {
      const { code, stdout } = await runProgram(
        tracker ?? '',
        ['-tc=the burst table does what the model does'],
        { env: { REFRAMER_SEED: String(seed) } },
      );
      expect(stdout).toMatch(/^1 passed, 0 failed$/m);
      expect(code).toBe(0);
    },
  );
});

if (programs.length === 0)
  skipSuite(
    'native test programs were not built (doctest-dev is missing): nothing of the core was tested',
  );
