// Would the tests notice? Puts one plausible bug after the other into a copy of the native sources
// (mutations.json), builds the test that should see it, and expects that test to fail:
//
//   npm run mutate [-- --only TEXT] [--slice K/N] [--json]
//
// --slice takes the K-th of N parts of the list, for machines where a long run is cut short.
// The copy and its build live in native/build-mutations. A bug that does not compile counts as an
// error of the list, a test that hangs as failed. Exit codes: 0 all caught, 1 some were not, 2 usage,
// 3 doctest is missing.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { missing } from '../setup/requirements.mjs';
import { root } from '../setup/steps.mjs';
import { planted } from './place.mjs';

const folder = join(root, 'native', 'build-mutations');
const copy = join(folder, 'native');
// As far from the sources as an ordinary build is: a compiler cache then knows most of it.
const build = join(copy, 'build');
// The longest test takes a fifth of it on a busy machine.
const limitMs = 100_000;

const say = (text) => process.stderr.write(`mutate: ${text}\n`);
const args = process.argv.slice(2);
let only;
let json = false;
let slice = [1, 1];
for (let i = 0; i < args.length; i++) {
  if (args[i] === '--json') json = true;
  else if (args[i] === '--only' && args[i + 1] !== undefined) only = args[++i];
  else if (args[i] === '--slice' && /^[1-9]\d*\/[1-9]\d*$/.test(args[i + 1] ?? ''))
    slice = args[++i].split('/').map(Number);
  else {
    say(`${args[i]} is not known here (there are --only TEXT, --slice K/N and --json)`);
    process.exit(2);
  }
}
if (missing(['test']).some((r) => !r.optional)) {
  say('doctest is missing (doctest-dev)');
  process.exit(3);
}

const mutations = JSON.parse(readFileSync(join(root, 'native', 'test', 'mutations.json'), 'utf8'))
  .filter((m) => only === undefined || m.file.includes(only) || m.what.includes(only))
  .filter((_, i, all) => Math.floor((i * slice[1]) / all.length) === slice[0] - 1);

// Files that had a bug in them: their objects may hold it still, and be newer than the sound source.
const marker = join(folder, 'mutated');

rmSync(join(copy, 'src'), { recursive: true, force: true });
mkdirSync(copy, { recursive: true });
// Meson reads the version from package.json one level up.
cpSync(join(root, 'package.json'), join(folder, 'package.json'));
for (const entry of readdirSync(join(root, 'native'))) {
  if (/^(build|setup\.log|\.setup)/.test(entry)) continue;
  cpSync(join(root, 'native', entry), join(copy, entry), {
    recursive: true,
    preserveTimestamps: true,
  });
}
for (const path of existsSync(marker) ? readFileSync(marker, 'utf8').split('\n') : [])
  if (existsSync(path)) utimesSync(path, new Date(), new Date());

const ninja = (target) => spawnSync('ninja', ['-C', build, '-j2', target], { encoding: 'utf8' });
if (!existsSync(join(build, 'build.ninja'))) {
  const { status } = spawnSync('meson', ['setup', build, copy, '-Dtests=true', '-Dmarch=native'], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(1);
}

/** 'passed', 'failed' or what went wrong before it could run. */
function tryTest(test, filter) {
  const built = ninja(test);
  if (built.status !== 0) return `does not build:\n${built.stdout.slice(-1500)}`;
  const { status, signal } = spawnSync(
    join(build, test),
    ['--abort-after=1', ...(filter === undefined ? [] : [`--test-case=${filter}`])],
    { stdio: 'ignore', timeout: limitMs, killSignal: 'SIGKILL' },
  );
  return status === 0 && signal === null ? 'passed' : 'failed';
}

for (const { test, filter } of mutations.filter(
  (m, i) => mutations.findIndex((o) => o.test === m.test && o.filter === m.filter) === i,
)) {
  const outcome = tryTest(test, filter);
  if (outcome === 'passed') continue;
  say(`without any bug ${test} ${outcome}: nothing can be told`);
  process.exit(1);
}

const results = [];
for (const { file, what, from, to, test, filter } of mutations) {
  const path = join(folder, file);
  const sound = readFileSync(path, 'utf8');
  let outcome;
  const bug = planted(sound, from, to);
  if (bug === undefined) {
    outcome = 'the place is not there, or not once';
  } else {
    appendFileSync(marker, `${path}\n`);
    writeFileSync(path, bug);
    outcome = tryTest(test, filter);
    writeFileSync(path, sound);
  }
  results.push({
    file,
    what,
    test,
    outcome: outcome === 'failed' ? 'caught' : outcome === 'passed' ? 'NOT CAUGHT' : outcome,
  });
  if (!json)
    process.stdout.write(
      `${results.at(-1).outcome.padEnd(11)} ${file.replace('native/src/', '')}: ${what}\n`,
    );
}
const caught = results.filter((r) => r.outcome === 'caught').length;
if (json) process.stdout.write(`${JSON.stringify({ caught, all: results.length, results })}\n`);
else process.stdout.write(`${caught} of ${results.length} caught\n`);
process.exitCode = caught === results.length && results.length > 0 ? 0 : 1;
