// Fuzz corpora replayed, and what reframer-lab answers to specifications that nobody would write.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, skipSuite } from './helpers/cli.js';
import './helpers/seed.js';

const build = join(packageRoot, 'native', 'build');
const corpora = readdirSync(join(packageRoot, 'native', 'fuzz')).filter((name) =>
  name.endsWith('_corpus'),
);
const built = existsSync(join(build, 'fuzz', 'replay-packet'));

if (!built) skipSuite('fuzz corpora: the native tests were not built (doctest-dev is missing)');

describe.skipIf(!built)('fuzz corpora', () => {
  test.concurrent.each(corpora)('%s', async (corpus) => {
    const { code, stdout } = await runProgram(
      join(build, 'fuzz', `replay-${corpus.replace('_corpus', '')}`),
      [join(packageRoot, 'native', 'fuzz', corpus)],
    );
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m);
    expect(code).toBe(0);
  });

  test('every target has a corpus', () => {
    const targets = readdirSync(join(packageRoot, 'native', 'fuzz')).filter((name) =>
      name.endsWith('_fuzz.cpp'),
    );
    expect(targets.map((name) => name.replace('_fuzz.cpp', '_corpus')).sort()).toEqual(
      [...corpora].sort(),
    );
  });
});

interface Answer {
  code: number | null;
  lines: string[];
  stderr: string;
}

function ask(job: string, spec: string): Promise<Answer> {
  const child = spawn(join(build, 'reframer-lab'), [job], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(spec);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, lines: stdout.split('\n').filter((line) => line !== ''), stderr }),
    );
  });
}

/** Sound specifications of every kind of job; `checkOnly` lets none of them run. */
const sound: Readonly<Record<string, Record<string, unknown>>> = {
  analyze: { files: ['a.pcap'], keepGoing: false },
  reorder: { in: 'a.pcap', out: 'b.pcap', policy: 'fixed', delayNs: 64000, key: '5tuple' },
  trial: {
    chain: 'paper',
    policy: 'fixed',
    delayNs: 64000,
    queues: 2,
    ringDepth: 256,
    source: { profile: 'uniform', flows: 100 },
    cpus: [0],
    seed: 1,
  },
  'bench-reframer': {},
  'bench-rsspp': {
    seconds: 1,
    intervalMs: 100,
    profiles: ['campus'],
    entries: [128],
    cores: [8],
    methods: ['ours'],
  },
  'bench-conntrack': {
    quick: true,
    contenders: ['burst-table'],
    workloads: ['hits'],
    flows: [1000],
    threads: [1],
  },
  generate: { out: 'x.pcap', profile: 'uniform', packets: 10 },
  flows: { file: 'a.pcap', keepGoing: false },
  rss: { file: 'a.pcap', cores: 4, reta: 128, intervalMs: 100, methods: ['static'] },
  soak: { packets: 1000, seed: 1 },
  'rsspp-trial': { profile: 'campus', method: 'ours', cores: 4, entries: 128, load: 0.5 },
  'robustness-trial': { attack: 'none' },
  'balance-tap': { cores: 2, entries: 128 },
  'rsspp-tap': { method: 'ours', cores: 2, entries: 128 },
};

/** Each member by itself is sound, or is one of a part that is read later. */
const unsound: readonly (readonly [string, Record<string, unknown>])[] = [
  ['trial', { engine: 'threads', raw: true }],
  ['trial', { engine: 'threads', policy: 'adaptive' }],
  ['trial', { source: { profile: 'uniform', unheardOf: 1 } }],
  ['trial', { source: { profile: 'campus', flows: 100 } }],
  ['conntrack-memory', { keySize: 24 }],
  ['conntrack-load', { slots: 3000 }],
  ['conntrack-lb', { slots: 5000 }],
  ['conntrack-growth', { from: 2000, to: 1000 }],
  ['conntrack-hostile', { attack: 'nic', contender: 'chaining' }],
  ['balancer-changes', { contender: 'unheard-of' }],
  ['flows', { file: 'a.pcap', address: '10.0.0' }],
];

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    -1,
    1.5,
    1e300,
    -1e300,
    2 ** 53,
    '',
    'x',
    '\u0000',
    'ours',
    null,
    true,
    [],
    [[]],
    [0],
    ['x'],
    {},
    { a: {} },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

describe.skipIf(!built)('specifications of reframer-lab', () => {
  test('sound ones are accepted', async () => {
    for (const [job, spec] of Object.entries(sound))
      expect(await ask(job, JSON.stringify({ ...spec, checkOnly: true })), job).toMatchObject({
        code: 0,
        lines: ['{"accepted":true}'],
      });
  });

  test('what a run would refuse is not accepted', async () => {
    for (const [job, spec] of unsound) {
      const { code, lines } = await ask(job, JSON.stringify({ ...spec, checkOnly: true }));
      expect(JSON.parse(lines[0] ?? ''), job).toMatchObject({ error: { code: 'bad-spec' } });
      expect(code, job).toBe(2);
    }
  });

  test('near-valid ones: accepted, or one error that says what, and never a crash', async () => {
    const jobs = Object.keys(sound);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...jobs),
        fc.nat(),
        odd,
        fc.boolean(),
        async (job, which, value, extra) => {
          const spec: Record<string, unknown> = { ...sound[job] };
          const names = Object.keys(spec);
          const name =
            extra || names.length === 0 ? 'unheardOf' : (names[which % names.length] ?? '');
          const { code, lines, stderr } = await ask(
            job,
            JSON.stringify({ ...spec, [name]: value, checkOnly: true }),
          );
          expect(stderr).toBe('');
          expect(lines.length).toBe(1);
          const record = JSON.parse(lines[0] ?? '') as {
            accepted?: boolean;
            error?: { code: string; message: string };
          };
          if (code === 0) {
            expect(record).toEqual({ accepted: true });
            return;
          }
          expect([1, 2, 3]).toContain(code);
          expect(record.error?.code).toMatch(/^[a-z-]+$/);
          expect(record.error?.message.length).toBeGreaterThan(10);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('a name with a NUL byte is not that of the file in front of it', async () => {
    const name = `${join(packageRoot, 'package.json')}\0.pcap`;
    for (const [job, spec] of [
      ['analyze', { ...sound['analyze'], files: [name] }],
      ['reorder', { ...sound['reorder'], in: name }],
      ['flows', { ...sound['flows'], file: name }],
    ] as const) {
      const { code, lines } = await ask(job, JSON.stringify({ ...spec, checkOnly: true }));
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        error: { code: 'bad-spec', message: expect.stringContaining('NUL byte') as string },
      });
      expect(code).toBe(2);
    }
  });

  test('garbage: one error, exit code 2', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(sound)),
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          fc.constantFrom('', '[', '{"a":', '{"a":1}{"b":2}', '[1]', '3', 'null', '"x"'),
        ),
        async (job, text) => {
          const { code, lines } = await ask(job, text);
          expect(lines.length).toBe(1);
          expect(JSON.parse(lines[0] ?? '')).toMatchObject({ error: { code: 'bad-spec' } });
          expect(code).toBe(2);
        },
      ),
      { numRuns: 50 },
    );
  });
});
