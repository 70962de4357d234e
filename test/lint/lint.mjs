// npm run lint [-- --fix]: ESLint and Prettier for TypeScript and scripts, clang-format and clang-tidy for C++.
//
// ESLint and Prettier have a package.json of their own: typed rules work through the JavaScript interface of
// the TypeScript compiler, which the version that builds the package does not have.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
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
const fix = args.includes('--fix');

function run(command, commandArgs, cwd = root) {
  const { status, error } = spawnSync(command, commandArgs, {
    cwd,
    stdio: ['ignore', 'inherit', 2],
  });
  if (error !== undefined) say(`${command} does not start: ${error.message}`);
  return status === 0;
}

const output = (command, ...commandArgs) =>
  spawnSync(command, commandArgs, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 }).stdout ?? '';

/** Tools break lines and name checks by version: another one would complain of a tree that is clean. */
const version = 14;
function found(tool) {
  for (const name of [`${tool}-${version}`, tool])
    if (new RegExp(`version ${version}\\.`).test(output(name, '--version'))) return name;
  say(`${tool} ${version} is not installed (Debian: ${tool}-${version}): not run`);
  return undefined;
}

function formats() {
  const tool = found('clang-format');
  if (tool === undefined) return true;
  const files = output('git', 'ls-files', 'native')
    .split('\n')
    .filter((file) => /\.(c|cpp|h|hpp)$/.test(file) && existsSync(join(root, file)));
  return run(tool, [...(fix ? ['-i'] : ['--dry-run', '--Werror']), ...files]);
}

// Clang does not know all of gcc's options, and warns of what headers of DPDK do.
const gccOnly = [
  '-Wno-unknown-warning-option',
  '-Wno-deprecated-volatile',
  '-Wno-inline-namespace-reopened-noninline',
].map((option) => `--extra-arg=${option}`);
/** Libraries and box; the laboratory would take as long again. */
const product = [
  'api',
  'packet',
  'reframer',
  'rsspp',
  'conntrack',
  'capture',
  'nf',
  'datapath',
  'devices',
  'dpdk',
].map((room) => `native/src/${room}`);

/** One file a process, as many at a time as there are processors; what is clean says nothing. */
async function tidies() {
  const tool = found('clang-tidy');
  if (tool === undefined) return true;
  const build = join('native', 'build');
  if (!existsSync(join(root, build, 'compile_commands.json'))) {
    say(`${build} is not there (npm run setup builds it): clang-tidy not run`);
    return true;
  }
  const files = output('git', 'ls-files', ...product)
    .split('\n')
    .filter((file) => file.endsWith('.cpp'));
  let clean = true;
  const worker = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      const child = spawn(tool, ['--quiet', '-p', build, ...gccOnly, file], { cwd: root });
      let text = '';
      child.stdout.on('data', (chunk) => (text += chunk));
      child.stderr.resume();
      const status = await new Promise((resolve) => child.on('close', resolve));
      if (status !== 0) {
        clean = false;
        process.stdout.write(text === '' ? `${file}: clang-tidy exits with ${status}\n` : text);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return clean;
}

const bin = (name) => join(folder, 'node_modules', '.bin', name);
const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
if (!existsSync(bin('prettier')) && !run('npm', install, folder)) process.exit(1);

const steps = [
  [
    'ESLint',
    () => run(bin('eslint'), ['--config', join('test', 'lint', 'eslint.config.mjs'), ...args, '.']),
  ],
  [
    'Prettier',
    () =>
      run(bin('prettier'), [
        fix ? '--write' : '--check',
        '--log-level',
        'warn',
        '**/*.{ts,mts,mjs,js}',
      ]),
  ],
  ['clang-format', formats],
  ['clang-tidy', tidies],
];
const failed = [];
for (const [name, step] of steps) if (!(await step())) failed.push(name);
if (failed.length > 0) {
  say(`not clean: ${failed.join(', ')} (npm run lint -- --fix mends what it can)`);
  process.exit(1);
}
say('clean');
