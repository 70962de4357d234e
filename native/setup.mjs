// Set-up: brings a clone (or an installed package) to the point where everything runs. Idempotent,
// interruptible at any moment, no dependency. What it found done it does not do again.
//
//   node native/setup.mjs [--tests] [--check] [--native-only | --typescript-only]
//
// --tests        also what only the test suites need
// --check        change nothing: print what is there and what is missing, as JSON on stdout
// --native-only  leave npm packages and TypeScript alone
// --typescript-only  leave Debian packages and the native build alone: for what works on journals
import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

import { acquire, nameChild, release } from './setup/lock.mjs';
import {
  aptCommand,
  canInstall,
  isDebian,
  isRoot,
  missing,
  probe,
  requirements,
} from './setup/requirements.mjs';
import { isCurrent, writeStamp } from './setup/stamp.mjs';
import { isConfiguredFor } from './setup/folder.mjs';
import {
  buildFolder,
  isInstalled,
  isSetUp,
  lackedFile,
  lockFile,
  logFile,
  root,
  state,
  triedFile,
} from './setup/steps.mjs';

const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--tests', '--check', '--native-only', '--typescript-only'].includes(option)) {
    process.stderr.write(
      `setup: unknown option ${option} (there are --tests, --check, --native-only, --typescript-only)\n`,
    );
    process.exit(2);
  }
}
const withTests = options.has('--tests');
const withTypescript = !isInstalled && !options.has('--native-only');
const withNative = !options.has('--typescript-only');

const say = (text) => process.stderr.write(`setup: ${text}\n`);

class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

let log;
let child;
/** The signal at which the command that runs is waited for, and nothing else begins. */
let stopping;

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** A command that still writes keeps the lock, which names it: nobody else may begin before it is gone. */
function leave(signal) {
  if (child === undefined) release(lockFile);
  say('stopped; run it again to go on where it stopped');
  process.exit(exitCodes[signal]);
}

/** Runs a command with its output in the log; the last lines are shown when it fails. */
function run(command, args, { cwd = root, env = {}, mayFail = false } = {}) {
  log ??= openSync(logFile, 'w');
  writeSync(log, `\n$ ${command} ${args.join(' ')}\n`);
  return new Promise((resolve, reject) => {
    child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log],
    });
    if (child.pid !== undefined) nameChild(lockFile, child.pid);
    child.on('error', (error) => {
      child = undefined;
      reject(new SetupError(`cannot start ${command}: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      child = undefined;
      if (stopping !== undefined) leave(stopping);
      if (code === 0 || (mayFail && signal === null)) return resolve(code === 0);
      const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
      reject(
        new SetupError(
          `${command} ${args[0] ?? ''} failed; the whole log is in ${logFile}, its end:\n${tail}`,
        ),
      );
    });
  });
}

async function timed(what, action) {
  const start = Date.now();
  say(`${what} ...`);
  const result = await action();
  say(`${what}: ${((Date.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new SetupError(
    `Node ${process.versions.node} is too old: 20.19 or newer is needed (nodejs.org, or your distribution's backports)`,
    3,
  );
}

async function installNodePackages() {
  const { value, file, current } = state('packages');
  if (current) return;
  // npm empties the folder first, through a link too: what is behind one is another clone's.
  const packages = join(root, 'node_modules');
  if (lstatSync(packages, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(packages);
  // No install scripts: the one dependency with native code brings it as a platform package.
  await timed('npm packages', () =>
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']),
  );
  writeStamp(file, value);
}

function explain(list) {
  return list
    .map((r) => `  ${r.name}: ${r.brings}${r.size === undefined ? '' : ` (${r.size})`}`)
    .join('\n');
}

/**
 * Debian starts a server as soon as it is installed, unless this file forbids it: nobody who runs
 * tests asked for a web server on port 80. One that is there already is the administrator's word.
 */
async function withoutStartingServers(install) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = '#!/bin/sh\n# of the set-up of reframer, while it installs packages\nexit 101\n';
  // One of a set-up that was killed outright would keep servers of others from starting for ever.
  if (existsSync(policy) && readFileSync(policy, 'utf8') !== ours) return install();
  const remove = () => rmSync(policy, { force: true });
  process.once('exit', remove);
  writeFileSync(policy, ours, { mode: 0o755 });
  try {
    await install();
  } finally {
    remove();
    process.off('exit', remove);
  }
}

async function installDebianPackages(list) {
  // Nothing that is there goes: where a package would push out another one it stays away.
  const apt = [...aptCommand(list).split(' '), '--no-remove'];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const names = list.map((r) => r.debian).join(' ');
  await timed(`Debian packages ${names}`, () =>
    withoutStartingServers(async () => {
      // The lists of a fresh machine or container are often absent or old: refresh on failure only.
      if (await run(apt[0], apt.slice(1), { env, mayFail: true })) return;
      await run('dpkg', ['--configure', '-a'], { env, mayFail: true });
      await run('apt-get', ['update', '-qq'], { env, mayFail: true });
      await run(apt[0], apt.slice(1), { env, mayFail: true });
    }),
  );
}

/** A machine without that archive, or without a network, should not pay for the attempt every time. */
async function tryOnceADay(name, isThere, bring) {
  let tried = {};
  try {
    tried = JSON.parse(readFileSync(triedFile, 'utf8'));
  } catch {
    // never tried anything
  }
  if (Date.now() - (tried[name] ?? 0) < 24 * 3600 * 1000) return;
  await bring();
  if (!isThere()) writeStamp(triedFile, JSON.stringify({ ...tried, [name]: Date.now() }));
}

async function installSystemPackages() {
  const needs = ['build', 'feature', 'peer', ...(withTests ? ['test'] : [])];
  let list = missing(needs);
  if (list.length > 0 && canInstall()) {
    await installDebianPackages(list.filter((r) => r.need === 'build'));
    // One at a time: what one archive lacks must not keep the others away.
    for (const r of missing(needs.filter((n) => n !== 'build')))
      await tryOnceADay(
        r.debian,
        () => probe(r).found,
        () => installDebianPackages([r]),
      );
    list = missing(needs);
  }
  if (list.length === 0) return;
  const required = list.filter((r) => r.need === 'build');
  const how = isDebian()
    ? `install with\n  ${isRoot() ? '' : 'sudo '}${aptCommand(required.length > 0 ? required : list)}`
    : `install them with your package manager (the Debian names are ${list.map((r) => r.debian).join(' ')})`;
  if (required.length > 0)
    throw new SetupError(`these are needed and missing:\n${explain(required)}\n${how}`, 3);
  say(`works without, but missing:\n${explain(list)}\n${how}\nand run set-up again`);
}

/** What the build goes without, of that which Meson looks for. */
const lacking = () => missing(['feature', 'peer', 'test']).filter((r) => r.module ?? r.header);

/** Of what the last build went without, what is there by now. */
function foundSince() {
  let lacked;
  try {
    lacked = JSON.parse(readFileSync(lackedFile, 'utf8'));
  } catch {
    return []; // lacked nothing that anybody wrote down
  }
  return requirements.filter((r) => lacked.includes(r.name) && probe(r).found).map((r) => r.name);
}

/** Meson keeps its options in a folder; one that a killed set-up left half-made is made again. */
async function configure(wanted) {
  // A folder that was copied or moved here with its clone is made again, too.
  if (!isConfiguredFor(buildFolder, join(root, 'native'))) {
    rmSync(buildFolder, { recursive: true, force: true });
    // For this CPU: what is built here is measured here. What is installed is built in its own folder.
    await run('meson', [
      'setup',
      buildFolder,
      join(root, 'native'),
      `-Dtests=${wanted}`,
      '-Dmarch=native',
      '-Din_place=true',
    ]);
    return;
  }
  // Folders from before there was the option.
  if (
    !/"name": "in_place", "value": true/.test(
      readFileSync(join(buildFolder, 'meson-info', 'intro-buildoptions.json'), 'utf8'),
    )
  ) {
    await run('meson', [
      'setup',
      '--reconfigure',
      buildFolder,
      join(root, 'native'),
      '-Din_place=true',
    ]);
  }
  const hasTests = /^build test\//m.test(readFileSync(join(buildFolder, 'build.ninja'), 'utf8'));
  if (wanted && !hasTests) await run('meson', ['configure', buildFolder, '-Dtests=true']);
}

async function buildNative() {
  const { value, file, current } = state('native');
  // Only what is built is stamped: a later set-up that finds what tests need builds them.
  const wanted = withTests && missing(['test']).every((r) => r.optional);
  const testsBuilt = !wanted || isCurrent(`${file}-tests`, value);
  const found = foundSince();
  if (current && testsBuilt && found.length === 0 && existsSync(join(buildFolder, 'reframer-lab')))
    return;
  await timed('native build', async () => {
    if (found.length > 0) {
      // Meson looks for a library once; what it did not find it would never use.
      say(`found since the last build: ${found.join(', ')}`);
      rmSync(buildFolder, { recursive: true, force: true });
    }
    await configure(wanted);
    await run('ninja', ['-C', buildFolder]);
  });
  writeStamp(lackedFile, JSON.stringify(lacking().map((r) => r.name)));
  writeStamp(file, value);
  if (wanted) writeStamp(`${file}-tests`, value);
}

/** The pages of the TypeScript interface have packages of their own, which one test needs. */
async function installDocsPackages() {
  const folder = join(root, 'docs', 'api');
  const isThere = () => existsSync(join(folder, 'node_modules', 'typedoc'));
  if (isThere()) return;
  const npm = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  await tryOnceADay('typedoc', isThere, () =>
    timed('npm packages of the pages', () => run('npm', npm, { cwd: folder, mayFail: true })),
  );
}

async function buildTypescript() {
  const { value, file, current } = state('typescript');
  if (current && existsSync(join(root, 'dist'))) return;
  await timed('TypeScript build', () =>
    run(process.execPath, [
      join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
      '-p',
      join(root, 'tsconfig.json'),
    ]),
  );
  writeStamp(file, value);
}

function check() {
  const rows = requirements.map((r) => {
    const result = probe(r, true);
    const get = isDebian()
      ? `${isRoot() ? '' : 'sudo '}${aptCommand([r])}`
      : `package like Debian's ${r.debian}`;
    return { name: r.name, need: r.need, ...result, brings: r.brings, get };
  });
  process.stdout.write(`${JSON.stringify({ requirements: rows, setUp: isSetUp() })}\n`);
}

async function locked(action) {
  try {
    await acquire(lockFile, say);
  } catch (error) {
    throw new SetupError(`cannot write in ${root}: ${error.message}`);
  }
  for (const signal of Object.keys(exitCodes)) {
    process.on(signal, () => {
      // npm and ninja tidy up when they are told, and write meanwhile; the second signal waits for nothing.
      if (child === undefined || stopping !== undefined) leave(signal);
      stopping = signal;
      child.kill(signal);
    });
  }
  try {
    await action();
  } finally {
    release(lockFile);
  }
}

async function main() {
  checkNode();
  if (options.has('--check')) return check();
  // Done, and perhaps in a folder that this user may only read.
  if (
    !withTests &&
    withTypescript === !isInstalled &&
    isSetUp({ native: withNative }) &&
    (!withNative || foundSince().length === 0)
  )
    return;
  await locked(async () => {
    const start = Date.now();
    if (withTypescript) await installNodePackages();
    if (withNative) {
      if (withTests || !state('native').current) await installSystemPackages();
      await buildNative();
    }
    if (withTypescript && withTests) await installDocsPackages();
    if (withTypescript) await buildTypescript();
    if (Date.now() - start > 2000) say('ready');
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}
