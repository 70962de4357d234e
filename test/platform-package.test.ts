// The package in an empty project: with its platform package it runs without a compiler; without, it
// says what to do.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot, platformPackage } from '../native/loader.js';
import { runProgram, skipSuite, temporaryFolder } from './helpers/cli.js';

const project = temporaryFolder();
afterAll(() => project.remove());

const program = `
import { Reframer } from 'reframer/reframer';
const reframer = new Reframer({ delayNs: 1000 });
reframer.push([1, 2, 1].map((flow) => ({ hash: flow, data: new Uint8Array(60) })), 0);
console.log(reframer.poll(1000).runs.map((run) => run.count).join(' '));
`;

async function unpack(tarball: string, name: string): Promise<void> {
  const target = project.file(`node_modules/${name}`);
  mkdirSync(target, { recursive: true });
  const { code, stderr } = await runProgram('tar', [
    '-xzf',
    tarball,
    '--strip-components=1',
    '-C',
    target,
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
}

if (process.platform !== 'linux' || process.arch !== 'x64')
  skipSuite('the platform package was not tested: it is for Linux on x86-64');

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
  'an empty project',
  { timeout: 60_000 },
  () => {
    beforeAll(async () => {
      writeFileSync(
        project.file('package.json'),
        '{"name":"project","private":true,"type":"module"}',
      );
      writeFileSync(project.file('main.mjs'), program);
      const { stdout, code } = await runProgram('npm', [
        'pack',
        '--ignore-scripts',
        '--silent',
        '--pack-destination',
        project.path,
      ]);
      expect(code).toBe(0);
      await unpack(project.file(stdout.trim()), 'reframer');
      // As npm would put them; the suite does not ask a registry.
      for (const name of ['koffi', '@koromix'])
        symlinkSync(join(packageRoot, 'node_modules', name), project.file(`node_modules/${name}`));
    }, 60_000);

    const run = (): ReturnType<typeof runProgram> =>
      runProgram(process.execPath, ['main.mjs'], {
        cwd: project.path,
        env: { REFRAMER_LIBRARY: '' },
      });

    test('without a native part: an error with a code, every place looked at, and the next step', async () => {
      const { code, stderr } = await run();
      expect(code).toBe(1);
      expect(stderr).toContain("code: 'native-missing'");
      expect(stderr).toContain(`${platformPackage}: not installed`);
      expect(stderr).toContain('npx reframer setup');
    });

    test('with the platform package: imports and runs', async () => {
      const packed = await runProgram(process.execPath, [
        join(packageRoot, 'native/packaging/platform.mjs'),
        project.path,
        '--library',
        join(packageRoot, 'native/build/libreframer.so'),
      ]);
      expect(packed.code, packed.stderr).toBe(0);
      await unpack(packed.stdout.trim(), platformPackage);
      const { code, stdout, stderr } = await run();
      expect(stderr).toBe('');
      expect(stdout).toBe('2 1\n');
      expect(code).toBe(0);
    });
  },
);
