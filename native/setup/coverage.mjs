// Line and branch coverage of the native engines by their native tests:
//
//   npm run coverage [-- --json] [--missing] [--report]
//
// Builds in native/build-coverage with little optimisation, runs every native test program and fuzz
// corpus there, asks gcov. --missing lists the lines that nothing reached; --report asks gcov about the
// last run. Branches that only exceptions take are left out. gcov puts the branches of a template's
// copies, up to 84 of them, one behind the other: a line with more than 16 therefore counts as one
// condition, ever taken and ever not taken; the last line says what comes out with every copy counted.
// Exit codes: 0, 1 a test failed, 2 usage, 3 gcov or doctest is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { missing } from './requirements.mjs';
import { root } from './steps.mjs';

const build = join(root, 'native', 'build-coverage');
const source = join(root, 'native', 'src');
const rooms = [
  'packet',
  'reframer',
  'rsspp',
  'conntrack',
  'traffic',
  'nf',
  'measure',
  'datapath',
  'devices',
];
// Tables of others, which are compared with and not shipped.
const leftOut = ['conntrack/contenders/'];

const say = (text) => process.stderr.write(`coverage: ${text}\n`);
const options = new Set(process.argv.slice(2));
for (const option of options) {
  if (!['--json', '--missing', '--report'].includes(option)) {
    say(`unknown option ${option} (there are --json, --missing and --report)`);
    process.exit(2);
  }
}
if (spawnSync('gcov', ['--version']).status !== 0 || missing(['test']).some((r) => !r.optional)) {
  say('gcov (of gcc) or doctest (doctest-dev) is missing');
  process.exit(3);
}

function run(command, args, quiet = false) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', quiet ? 'ignore' : 2, quiet ? 'ignore' : 2],
  });
  return status === 0;
}

function must(command, args) {
  if (run(command, args)) return;
  say(`${command} ${args.join(' ')} failed`);
  process.exit(1);
}

function* filesUnder(folder, suffix) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path, suffix);
    else if (entry.name.endsWith(suffix)) yield path;
  }
}

let failed = 0;
const started = Date.now();

function runTests() {
  if (!existsSync(join(build, 'build.ninja')))
    must('meson', [
      'setup',
      build,
      join(root, 'native'),
      '-Dtests=true',
      '-Dmarch=native',
      '-Db_coverage=true',
      '-Dbuildtype=debug',
      '-Doptimization=1',
      '-Ddpdk=disabled',
      '-Db_lto=false',
    ]);
  must('ninja', ['-C', build, '-j2']);
  for (const file of filesUnder(build, '.gcda')) rmSync(file);

  for (const program of filesUnder(join(build, 'test'), '')) {
    if (!/\/test-[a-z-]+$/.test(program)) continue;
    say(relative(build, program));
    if (!run(program, [], true)) {
      failed++;
      say(`${relative(build, program)} failed`);
    }
  }
  for (const corpus of readdirSync(join(root, 'native', 'fuzz')).filter((name) =>
    name.endsWith('_corpus'),
  )) {
    const replay = join(build, 'fuzz', `replay-${corpus.replace('_corpus', '')}`);
    if (!run(replay, [join(root, 'native', 'fuzz', corpus)], true)) {
      failed++;
      say(`${replay} failed`);
    }
  }
}
if (!options.has('--report')) runTests();

/** file -> { lines: line -> hits, branches: line -> number of branches -> their hits } */
const files = new Map();
const scratch = mkdtempSync(join(tmpdir(), 'reframer-coverage-'));
try {
  for (const notes of filesUnder(build, '.gcda')) {
    spawnSync('gcov', ['--json-format', '--branch-probabilities', notes], {
      cwd: scratch,
      stdio: 'ignore',
    });
    for (const name of readdirSync(scratch)) {
      const report = JSON.parse(gunzipSync(readFileSync(join(scratch, name))));
      rmSync(join(scratch, name));
      for (const file of report.files) {
        const path = relative(source, join(report.current_working_directory, file.file))
          .split(sep)
          .join('/');
        if (
          !rooms.some((room) => path.startsWith(`${room}/`)) ||
          leftOut.some((prefix) => path.startsWith(prefix))
        )
          continue;
        if (!files.has(path)) files.set(path, { lines: new Map(), branches: new Map() });
        const { lines, branches } = files.get(path);
        for (const line of file.lines) {
          lines.set(line.line_number, (lines.get(line.line_number) ?? 0) + line.count);
          const own = line.branches.filter((branch) => !branch.throw).map((branch) => branch.count);
          if (own.length === 0) continue;
          const forms = branches.get(line.line_number) ?? new Map();
          branches.set(line.line_number, forms);
          forms.set(
            own.length,
            own.map((count, i) => count + (forms.get(own.length)?.[i] ?? 0)),
          );
        }
      }
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const share = (hits) => [hits.filter((n) => n > 0).length, hits.length];
const total = (hits) => hits.reduce((a, b) => a + b, 0);
const mostOfALine = 16;
/** Both ways of every condition, whatever copy of a template went them. */
const merged = (hits) =>
  hits.length <= mostOfALine
    ? hits
    : [total(hits.filter((_, i) => i % 2 === 0)), total(hits.filter((_, i) => i % 2 === 1))];
/** Of a line the form that ran most, the richest where none did. */
const richest = (forms) =>
  [...forms.values()].reduce((a, b) =>
    total(b) > total(a) || (total(b) === total(a) && b.length > a.length) ? b : a,
  );
const percent = ([hit, all]) => (all === 0 ? 100 : (100 * hit) / all);
const sum = (rows) => rows.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
const table = rooms
  .map((room) => {
    const own = [...files].filter(([path]) => path.startsWith(`${room}/`)).map(([, file]) => file);
    return {
      room,
      lines: sum(own.map((f) => share([...f.lines.values()]))),
      branches: sum(
        own.map((f) => share([...f.branches.values()].flatMap((forms) => merged(richest(forms))))),
      ),
      copies: sum(own.map((f) => share([...f.branches.values()].flatMap(richest)))),
    };
  })
  .filter((row) => row.lines[1] > 0);
const whole = {
  room: 'all',
  lines: sum(table.map((r) => r.lines)),
  branches: sum(table.map((r) => r.branches)),
  copies: sum(table.map((r) => r.copies)),
};
const rows = [...table, whole].map((r) => ({
  room: r.room,
  lines: r.lines[1],
  linePercent: percent(r.lines),
  branches: r.branches[1],
  branchPercent: percent(r.branches),
  copyPercent: percent(r.copies),
}));
if (options.has('--json')) {
  process.stdout.write(`${JSON.stringify({ rooms: rows, failed })}\n`);
} else {
  for (const r of rows)
    process.stdout.write(
      `${r.room.padEnd(10)} ${String(r.lines).padStart(6)} lines ${r.linePercent.toFixed(1).padStart(6)} %   ${String(r.branches).padStart(6)} branches ${r.branchPercent.toFixed(1).padStart(6)} %\n`,
    );
  process.stdout.write(
    `every copy of a template by itself: ${rows.at(-1).copyPercent.toFixed(1)} % of branches\n`,
  );
  if (options.has('--missing')) {
    for (const [path, { lines }] of [...files].sort()) {
      const none = [...lines]
        .filter(([, hits]) => hits === 0)
        .map(([line]) => line)
        .sort((a, b) => a - b);
      if (none.length > 0) process.stdout.write(`${path}: ${none.join(' ')}\n`);
    }
  }
}
say(`${((Date.now() - started) / 1000).toFixed(0)} s`);
process.exitCode = failed > 0 ? 1 : 0;
