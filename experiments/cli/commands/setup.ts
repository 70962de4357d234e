// `reframer setup`: brings this folder to the point where everything runs. reframer.mjs starts it
// directly while nothing is built; this entry is for `--help` and for what is built already.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';

import { packageRoot } from '../../../native/loader.js';

export function register(program: Command): void {
  program
    .command('setup')
    .description(
      'install what is missing and build what is not built; quick when there is nothing to do',
    )
    .option('--tests', 'also what only the test suites need')
    .action((options: { tests?: boolean }) => {
      const args = [
        join(packageRoot, 'native', 'setup.mjs'),
        ...(options.tests === true ? ['--tests'] : []),
      ];
      process.exitCode = spawnSync(process.execPath, args, { stdio: ['ignore', 2, 2] }).status ?? 1;
    });
}
