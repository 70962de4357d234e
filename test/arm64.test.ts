// The embedded engine for arm64: cross-compiled as a user would, its programs run under qemu-user. What
// comes out must be what comes out here, where the vector loops run.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, skipSuite, temporaryFolder } from './helpers/cli.js';

const missing = ['aarch64-linux-gnu-g++', 'qemu-aarch64', 'meson'].filter((program) => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return true;
  }
});
if (missing.length > 0)
  skipSuite(
    `${missing.join(' and ')} missing (Debian: g++-aarch64-linux-gnu, qemu-user): the engine was not built for arm64`,
  );

const folder = temporaryFolder();
afterAll(() => folder.remove());
// Kept between runs, as the libraries of install.test.ts are.
const build = join(packageRoot, 'native/build-arm64');
const include = join(packageRoot, 'native/include');

describe.skipIf(missing.length > 0)('arm64', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    const run = async (...command: [string, ...string[]]): Promise<void> => {
      const { code, stdout, stderr } = await runProgram(command[0], command.slice(1));
      expect(code, stdout + stderr).toBe(0);
    };
    if (!existsSync(join(build, 'build.ninja')))
      await run(
        'meson',
        'setup',
        build,
        join(packageRoot, 'native'),
        '--cross-file',
        join(packageRoot, 'native/cross/aarch64.ini'),
        '-Dtests=false',
        '-Dlab=false',
        '-Ddpdk=disabled',
        '-Dcapture=disabled',
      );
    await run('ninja', '-C', build);
  }, 600_000);

  /** What a program prints that was built with the archive, under qemu. */
  async function there(
    source: string,
    compiler: 'gcc' | 'g++',
    ...words: string[]
  ): Promise<string> {
    const program = folder.file('there');
    const options = compiler === 'gcc' ? ['-std=gnu11'] : ['-std=c++20'];
    const built = await runProgram(`aarch64-linux-gnu-${compiler}`, [
      ...options,
      '-O2',
      '-Wall',
      '-Wextra',
      `-I${include}`,
      source,
      join(build, 'libreframer.a'),
      '-lstdc++',
      '-lm',
      '-pthread',
      '-o',
      program,
    ]);
    expect([built.stderr, built.code]).toEqual(['', 0]);
    const { stdout, stderr, code } = await runProgram('qemu-aarch64', [
      '-L',
      '/usr/aarch64-linux-gnu',
      program,
      ...words,
    ]);
    expect([stderr, code]).toEqual(['', 0]);
    return stdout;
  }

  test('packets leave in the order, and tables answer, as on this processor', async () => {
    const source = join(packageRoot, 'test/helpers/same-everywhere.c');
    const program = folder.file('here');
    const built = await runProgram('cc', [
      '-std=gnu11',
      `-I${include}`,
      source,
      '-o',
      program,
      `-L${join(packageRoot, 'native/build')}`,
      '-lreframer',
    ]);
    expect([built.stderr, built.code]).toEqual(['', 0]);
    const { stdout } = await runProgram(program, [], {
      env: { LD_LIBRARY_PATH: join(packageRoot, 'native/build') },
    });
    expect(stdout.trimEnd().split('\n')).toHaveLength(6);
    expect(await there(source, 'gcc')).toBe(stdout);
  });

  test('the program inline.c and the hand-over between two cores', async () => {
    const inline = join(packageRoot, 'native/examples/inline.c');
    expect(await there(inline, 'gcc')).toBe('run of 2: a1 ...\nrun of 2: b1 ...\n');
    const handOver = join(packageRoot, 'native/examples/hand_over.c');
    expect(await there(handOver, 'gcc', '50000')).toMatch(
      /^50000 packets, \d+ moves .* 0 packets out/,
    );
  });
});
