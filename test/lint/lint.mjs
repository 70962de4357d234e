// npm run lint [-- --fix]: ESLint with the rules of eslint.config.mjs.
//
// ESLint has a package.json of its own: typed rules work through the JavaScript interface of the
// TypeScript compiler, which the version that builds the package does not have.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const root = join(folder, '..', '..');
const say = (text) => process.stderr.write(`lint: ${text}\n`);

const args = process.argv.slice(2);
const unknown = args.find((arg) => arg !== '--fix');
if (unknown !== undefined) {
  say(`unknown option ${unknown} (there is --fix)`);
  process.exit(2);
}

function run(command, commandArgs, cwd) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd,
    stdio: ['ignore', 'inherit', 2],
  });
  if (error !== undefined) say(`${command} does not start: ${error.message}`);
  return status === 0;
}

const eslint = join(folder, 'node_modules', '.bin', 'eslint');
const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
if (!existsSync(eslint) && !run('npm', install, folder)) process.exit(1);
if (!run(eslint, ['--config', join('test', 'lint', 'eslint.config.mjs'), ...args, '.'], root))
  process.exit(1);
say('clean');
