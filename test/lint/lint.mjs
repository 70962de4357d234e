// npm run lint [-- --fix] [NAME...]: prettier, eslint, clang-format, clang-tidy.
//
// The linters have a package.json of their own: typed rules work through the JavaScript interface
// of the TypeScript compiler, which the version that builds the package does not have. What Debian
// brings (clang-format, clang-tidy) is installed by set-up with --tests; its absence fails the run.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const root = join(folder, '..', '..');
const say = (text) => process.stderr.write(`lint: ${text}\n`);

const args = process.argv.slice(2);
const fix = args.includes('--fix');
const names = args.filter((a) => a !== '--fix');
const known = ['prettier', 'eslint', 'clang-format', 'clang-tidy'];
const unknown = names.find((name) => !known.includes(name));
if (unknown !== undefined) {
  say(`unknown linter ${unknown} (there are ${known.join(', ')}, and --fix)`);
  process.exit(2);
}
const wanted = (name) => names.length === 0 || names.includes(name);

/** The version whose layout is the tree's: others break lines elsewhere. */
const clangFormatMajor = 14;
const bin = (name) => join(folder, 'node_modules', '.bin', name);

function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) say(`${command} does not start: ${error.message}`);
  return status === 0;
}

/** Files of the tree, known to git, by their endings. */
function files(...patterns) {
  const { stdout, status } = spawnSync('git', ['ls-files', '-z', '--', ...patterns], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error('git ls-files failed: the linters need a git checkout');
  return stdout.split('\0').filter((name) => name !== '' && existsSync(join(root, name)));
}

function installPackages() {
  if (existsSync(bin('eslint'))) return true;
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  });
  return status === 0;
}

function clangFormat() {
  const { stdout, error } = spawnSync('clang-format', ['--version'], { encoding: 'utf8' });
  if (error !== undefined) {
    say('clang-format is missing: node native/setup.mjs --tests, or apt-get install clang-format');
    return false;
  }
  const major = Number(/version (\d+)/.exec(stdout)?.[1]);
  if (major !== clangFormatMajor) {
    say(`clang-format ${major} lays code out otherwise than ${clangFormatMajor}: skipped`);
    return true;
  }
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  return run('clang-format', [...mode, ...files('native/*.[ch]pp', 'native/*.[ch]')]);
}

/** clang-tidy reads one file a process; as many at once as there are cores. */
async function clangTidy() {
  const database = join(root, 'native', 'build', 'compile_commands.json');
  if (!existsSync(database)) {
    say('clang-tidy needs the native build: npm run setup');
    return false;
  }
  const source = /\/native\/src\/(?!conntrack\/contenders\/)/;
  const queue = JSON.parse(readFileSync(database, 'utf8'))
    .map((entry) => join(entry.directory, entry.file))
    .filter((path, i, all) => source.test(path) && all.indexOf(path) === i);
  let good = true;
  const worker = async () => {
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      const child = spawn(
        'clang-tidy',
        ['--quiet', '-p', dirname(database), '--extra-arg=-Wno-unknown-warning-option', path],
        { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] },
      );
      let out = '';
      child.stdout.on('data', (piece) => (out += piece));
      const code = await new Promise((resolve) => {
        child.on('error', () => resolve(-1));
        child.on('close', resolve);
      });
      if (code === 0) continue;
      good = false;
      if (code === -1) {
        say('clang-tidy is missing: node native/setup.mjs --tests, or apt-get install clang-tidy');
        queue.length = 0;
      } else process.stdout.write(out);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return good;
}

const failed = [];
const step = async (name, action) => {
  if (!wanted(name)) return;
  const start = Date.now();
  const good = await action();
  say(`${name}: ${good ? 'clean' : 'FAILED'} (${((Date.now() - start) / 1000).toFixed(0)} s)`);
  if (!good) failed.push(name);
};

if ((wanted('prettier') || wanted('eslint')) && !installPackages()) process.exit(1);
const config = ['--config', join('test', 'lint', 'eslint.config.mjs')];
await step('prettier', () => run(bin('prettier'), [fix ? '--write' : '--check', '--log-level=warn', '.']));
await step('eslint', () => run(bin('eslint'), [...config, ...(fix ? ['--fix'] : []), '.']));
await step('clang-format', clangFormat);
await step('clang-tidy', clangTidy);
process.exit(failed.length === 0 ? 0 : 1);
