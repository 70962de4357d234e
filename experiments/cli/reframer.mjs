#!/usr/bin/env node
// The command `reframer`. In a clone it first sees to it that everything is built (a few
// milliseconds when it is); installed as a dependency it asks for `reframer setup` instead of
// compiling behind the user's back. REFRAMER_NO_SETUP=1 skips the question.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { isInstalled, isSetUp, root } from '../../native/setup/steps.mjs';

const args = process.argv.slice(2);
const setup = (...options) =>
  spawnSync(process.execPath, [join(root, 'native', 'setup.mjs'), ...options], {
    stdio: ['ignore', 2, 2],
  }).status ?? 1;

// These work on journals alone: nothing native, so nothing to compile.
const native = !['list', 'report', 'compare'].includes(args[0]);
const isReady = () => process.env.REFRAMER_NO_SETUP === '1' || isInstalled || isSetUp({ native });

/** What package.json has as peers, as npm takes them; 14 for ^14.0.3: a shell may have plans for ^. */
const peers = () =>
  Object.entries(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).peerDependencies)
    .map(([name, range]) => `${name}@${/0\.\d+|\d+/.exec(range)[0]}`)
    .join(' ');

const main = join(root, 'dist', 'experiments', 'cli', 'main.js');

if (args[0] === 'setup' && !args.includes('--help')) {
  process.exitCode = setup(...args.slice(1));
} else {
  const ready = isReady() || setup(...(native ? [] : ['--typescript-only'])) === 0;
  if (!ready || !existsSync(main)) {
    process.stderr.write(
      `reframer: set-up did not finish; run \`node ${join(root, 'native', 'setup.mjs')}\`\n`,
    );
    process.exitCode = 1;
  } else {
    try {
      const { run } = await import(pathToFileURL(main).href);
      process.exitCode = await run(args);
    } catch (error) {
      // The package alone is the programming interface.
      const [, missing] = /Cannot find package '([^']+)'/.exec(error.message) ?? [];
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || missing === undefined) throw error;
      process.stderr.write(
        `reframer: the command line needs packages that the library does not (${missing} is missing); run \`npm install ${peers()}\`\n`,
      );
      process.exitCode = 3;
    }
  }
}
