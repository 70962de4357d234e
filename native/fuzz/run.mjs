// Fuzzes with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer:
//
//   npm run fuzz -- TARGET|all [--time 10m] [--plain] [--length N] [--json]
//   npm run fuzz -- --total [--json]
//
// TARGET is one of native/fuzz/*_fuzz.cpp; `all` takes them in turn, each for that time (1m by
// default). Builds in native/build-fuzz, keeps what it learns in native/build-fuzz/corpus, begins with
// the committed native/fuzz/TARGET_corpus. Findings stay in native/build-fuzz/findings.
// --plain leaves the sanitizers out (native/build-fuzz-plain, same corpus): many times as many
// executions, of which crashes, hangs and what the target itself checks are seen, and not every byte
// read too far. It is for executing much, not for learning: no comparisons are traced, all inputs are as likely. --length bounds inputs, in bytes.
// Every run adds a line to native/build-fuzz/executions.jsonl; --total sums them up.
// stdout: a line a target (a JSON document with --json). Exit codes: 0 nothing found, 1 a finding,
// 2 usage, 3 no clang with libFuzzer here.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../setup/steps.mjs';

const source = join(root, 'native', 'fuzz');
const state = join(root, 'native', 'build-fuzz');
const ledger = join(state, 'executions.jsonl');
const targets = readdirSync(source)
  .filter((f) => f.endsWith('_fuzz.cpp'))
  .map((f) => f.replace('_fuzz.cpp', ''))
  .sort();

const say = (text) => process.stderr.write(`fuzz: ${text}\n`);

function fail(code, text) {
  say(text);
  process.exit(code);
}

// Longest inputs worth their time, bytes: sequences of calls say in few what longer ones repeat.
const longest = { tracker: 160, table: 160, solver: 400, reframer: 400 };

const usage = `npm run fuzz -- TARGET|all [--time 10m] [--plain] [--length N] [--json], or --total; targets: ${targets.join(', ')}`;

function parse(args) {
  const options = { chosen: [], seconds: 60, json: false, plain: false, total: false, length: 0 };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === '--json') options.json = true;
    else if (arg === '--plain') options.plain = true;
    else if (arg === '--total') options.total = true;
    else if (arg === '--length') {
      options.length = Number(args[++i]);
      if (!Number.isInteger(options.length) || options.length < 1)
        fail(2, `--length is ${args[i] ?? 'missing'}, must be a number of bytes`);
    } else if (arg === '--time') {
      const match = /^(\d+)(s|m|h)$/.exec(args[++i] ?? '');
      if (match === null) fail(2, `--time is ${args[i] ?? 'missing'}, must be like 30s, 10m or 2h`);
      options.seconds = Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2]];
    } else if (arg === 'all') options.chosen.push(...targets);
    else if (targets.includes(arg)) options.chosen.push(arg);
    else fail(2, `${arg} is neither a target nor an option: ${usage}`);
  }
  if (options.total !== (options.chosen.length === 0) || options.seconds === 0) fail(2, usage);
  return options;
}

/** A clang that links libFuzzer: the package of the compiler alone does not bring it everywhere. */
function findClang() {
  for (const name of ['clang++', ...Array.from({ length: 12 }, (_, i) => `clang++-${24 - i}`)]) {
    const run = spawnSync(name, ['-x', 'c++', '-fsanitize=fuzzer', '-o', '/dev/null', '-'], {
      input:
        'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }',
    });
    if (run.status === 0) return { cpp: name, c: name.replace('++', '') };
  }
  return undefined;
}

function buildTargets(build, names, clang, plain) {
  const env = { ...process.env, CC: clang.c, CXX: clang.cpp };
  const run = (command, args) => {
    const { status } = spawnSync(command, args, { env, stdio: ['ignore', 2, 2] });
    if (status !== 0) fail(1, `${command} ${args[0]} failed`);
  };
  if (!existsSync(join(build, 'build.ninja')))
    run('meson', [
      'setup',
      build,
      join(root, 'native'),
      '-Dfuzz=true',
      '-Dtests=true',
      '-Dmarch=native',
      '-Ddpdk=disabled',
      '-Dwerror=false',
      '-Db_lundef=false',
      ...(plain
        ? ['-Dcpp_args=-fno-sanitize-coverage=trace-cmp,trace-div,trace-gep']
        : [
            '-Dbuildtype=debugoptimized',
            '-Db_sanitize=address,undefined',
            '-Dcpp_args=-fno-sanitize-recover=all',
          ]),
    ]);
  run('ninja', ['-C', build, '-j2', ...names.map((name) => `fuzz/fuzz-${name}`)]);
}

/** @returns {Promise<{target: string, executions: number, seconds: number, peakMiB: number, finding?: string}>} */
function fuzz(build, target, { seconds, length, plain }) {
  const corpus = join(state, 'corpus', target);
  const findings = join(state, 'findings');
  mkdirSync(corpus, { recursive: true });
  mkdirSync(findings, { recursive: true });
  say(`${target} for ${seconds} s ...`);
  const seeds = join(source, `${target}_corpus`);
  const started = Date.now();
  const child = spawn(
    join(build, 'fuzz', `fuzz-${target}`),
    [
      `-max_total_time=${seconds}`,
      '-print_final_stats=1',
      ...(plain ? ['-entropic=0', '-reload=0'] : []),
      '-timeout=20',
      '-rss_limit_mb=4096',
      ...(length > 0 || target in longest ? [`-max_len=${length || longest[target]}`] : []),
      `-artifact_prefix=${join(findings, `${target}-`)}`,
      corpus,
      ...(existsSync(seeds) ? [seeds] : []),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' },
    },
  );
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    tail = (tail + text).slice(-20_000);
  });
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, () => {
      child.kill(signal);
      process.exitCode = 1;
    });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const number = (name) => Number(new RegExp(`stat::${name}:\\s+(\\d+)`).exec(tail)?.[1] ?? 0);
      const result = {
        target,
        sanitized: !plain,
        executions: number('number_of_executed_units'),
        seconds: (Date.now() - started) / 1000,
        peakMiB: number('peak_rss_mb'),
      };
      if (code !== 0) {
        process.stderr.write(tail);
        result.finding = /Test unit written to (.*)/.exec(tail)?.[1] ?? `exit code ${code}`;
      }
      appendFileSync(
        ledger,
        `${JSON.stringify({ at: new Date().toISOString(), length, ...result })}\n`,
      );
      resolve(result);
    });
  });
}

/** Executions of all runs so far, by target and by whether sanitizers watched. */
function total() {
  const sums = new Map();
  for (const line of existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n') : []) {
    if (line === '') continue;
    const { target, sanitized, executions, seconds, finding } = JSON.parse(line);
    const key = `${target} ${sanitized ? 'sanitized' : 'plain'}`;
    const sum = sums.get(key) ?? { target, sanitized, executions: 0, seconds: 0, findings: 0 };
    sums.set(key, {
      ...sum,
      executions: sum.executions + executions,
      seconds: sum.seconds + seconds,
      findings: sum.findings + (finding === undefined ? 0 : 1),
    });
  }
  return [...sums.values()].sort((a, b) => a.target.localeCompare(b.target));
}

const options = parse(process.argv.slice(2));
if (options.total) {
  const sums = total();
  if (options.json) process.stdout.write(`${JSON.stringify({ targets: sums })}\n`);
  else
    for (const s of sums)
      process.stdout.write(
        `${s.target.padEnd(9)} ${(s.sanitized ? 'sanitized' : 'plain').padEnd(9)} ${String(s.executions).padStart(11)} executions ${s.seconds.toFixed(0).padStart(6)} s ${String(s.findings).padStart(3)} findings\n`,
      );
  process.exit(0);
}
const clang = findClang();
if (clang === undefined)
  fail(
    3,
    'no clang that links libFuzzer: on Debian, apt-get install clang libclang-rt-dev (or libclang-rt-14-dev)',
  );
const build = options.plain ? join(root, 'native', 'build-fuzz-plain') : state;
mkdirSync(state, { recursive: true });
buildTargets(build, options.chosen, clang, options.plain);
const results = [];
for (const target of options.chosen) {
  const result = await fuzz(build, target, options);
  results.push(result);
  if (!options.json)
    process.stdout.write(
      `${target.padEnd(9)} ${String(result.executions).padStart(11)} executions ${result.seconds.toFixed(0).padStart(5)} s ${String(result.peakMiB).padStart(5)} MiB  ${result.finding ?? 'no finding'}\n`,
    );
}
if (options.json) process.stdout.write(`${JSON.stringify({ targets: results })}\n`);
process.exitCode = results.some((r) => r.finding !== undefined) ? 1 : 0;
