// The native tests under sanitizers:
//
//   npm run test:sanitize [-- address|thread] [ROOM...]
//
// Builds the test programs in native/build-address (addresses, leaks and undefined behaviour) and
// native/build-thread (data races), runs each, says what it ran, ends with `N passed, N failed`
// (programs). `thread` runs only the rooms that have threads, and not `dpdk`: ThreadSanitizer sees
// nothing of what DPDK's own code orders, and would report its rings. Exit codes: 0, 1 a program failed or did not build, 2 usage, 3 doctest is missing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { missing } from './requirements.mjs';
import { root } from './steps.mjs';

const sanitizers = {
  address: {
    flags: 'address,undefined',
    rooms: ['packet', 'reframer', 'traffic', 'nf', 'engine', 'rsspp', 'conntrack', 'dpdk'],
    dpdk: 'auto',
    env: {
      ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
  },
  thread: {
    flags: 'thread',
    dpdk: 'disabled',
    rooms: ['engine', 'traffic', 'rsspp', 'conntrack'],
    env: { TSAN_OPTIONS: 'halt_on_error=1' },
  },
};

// DPDK keeps pointers in memory that it mapped itself, where LeakSanitizer does not look for them.
const withoutLeaks = ['dpdk'];

const say = (text) => process.stderr.write(`sanitize: ${text}\n`);
const words = process.argv.slice(2);
const chosen = words.filter((word) => word in sanitizers);
const rooms = words.filter((word) => !(word in sanitizers));
for (const room of rooms) {
  if (sanitizers.address.rooms.includes(room)) continue;
  say(
    `neither a sanitizer nor a room: ${room} (there are ${Object.keys(sanitizers).join(', ')}; ${sanitizers.address.rooms.join(', ')})`,
  );
  process.exit(2);
}
if (missing(['test']).some((r) => !r.optional)) {
  say('doctest is missing (doctest-dev)');
  process.exit(3);
}

function run(command, args, env = {}) {
  return spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
}

function must(command, args) {
  const { status, stdout, stderr } = run(command, args);
  if (status === 0) return stdout;
  say(`${command} ${args.join(' ')} failed:\n${`${stdout ?? ''}${stderr ?? ''}`.slice(-3000)}`);
  process.exit(1);
}

/** Test programs of a room, as ninja knows them. */
function programs(build, room) {
  return (
    must('ninja', ['-C', build, '-t', 'targets', 'all'])
      .split('\n')
      .map((line) => line.split(':')[0] ?? '')
      .filter((target) => new RegExp(`^test/${room}/test-[\\w-]+$`).test(target))
      // It puts counters in the allocator's place, as a sanitizer does: one of them at a time.
      .filter((target) => !target.endsWith('-allocations'))
  );
}

let passed = 0;
let failed = 0;
for (const name of chosen.length > 0 ? chosen : Object.keys(sanitizers)) {
  const { flags, env, dpdk, rooms: all } = sanitizers[name];
  const build = join(root, 'native', `build-${name}`);
  if (!existsSync(join(build, 'build.ninja')))
    must('meson', [
      'setup',
      build,
      join(root, 'native'),
      '-Dtests=true',
      '-Dmarch=native',
      `-Db_sanitize=${flags}`,
      '-Dbuildtype=debugoptimized',
      '-Db_lundef=false',
      `-Ddpdk=${dpdk}`,
    ]);
  const targets = all
    .filter((room) => rooms.length === 0 || rooms.includes(room))
    .flatMap((room) => programs(build, room));
  if (targets.length === 0) continue;
  say(`${name}: building ${targets.length} programs`);
  must('ninja', ['-C', build, '-j2', ...targets]);
  for (const target of targets) {
    const leaky = name === 'address' && withoutLeaks.includes(target.split('/')[1]);
    const { status, signal, stdout, stderr } = run(
      join(build, target),
      [],
      leaky
        ? { ...env, ASAN_OPTIONS: env.ASAN_OPTIONS.replace('detect_leaks=1', 'detect_leaks=0') }
        : env,
    );
    const closing = /^\d+ passed, \d+ failed$/m.exec(stdout ?? '')?.[0] ?? 'no closing line';
    const good = status === 0;
    process.stdout.write(
      `${name} ${target}: ${good ? closing : `FAILED (${signal ?? `exit code ${status}`}, ${closing})`}\n`,
    );
    if (good) passed += 1;
    else {
      failed += 1;
      say(`${stdout ?? ''}${stderr ?? ''}`.slice(-6000));
    }
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
