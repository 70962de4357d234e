// Faults from outside: processes killed at any moment, trials that die, a disk that fills up. What
// must hold: what is in the journal stays there, what is half is not counted, the same command goes on.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { readJournal } from '../experiments/core/journal.js';
import type { SampleRecord } from '../experiments/core/records.js';
import { openRun } from '../experiments/core/runs.js';
import { packageRoot } from '../native/loader.js';
import {
  reframer,
  skipSuite,
  temporaryFolder,
  type Outcome,
  type RunOptions,
} from './helpers/cli.js';
import { seed } from './helpers/seed.js';
import { seededRandom } from '../experiments/core/random.js';

vi.setConfig({ testTimeout: 900_000 });

const folder = temporaryFolder();
afterAll(() => folder.remove());

const lab = join(packageRoot, 'test', 'experiments', 'fake-lab.mjs');
const exp = (
  out: string,
  env: NodeJS.ProcessEnv = {},
  options: RunOptions = {},
): Promise<Outcome> =>
  reframer(['exp', 'reframer', '--only', 'modern-throughput', '--out', out], {
    ...options,
    env: { REFRAMER_LAB: lab, ...env },
  });

// 100 for the figure in docs/RELIABILITY.md: REFRAMER_KILLS=100 npx vitest run test/faults.test.ts
const kills = Number(process.env.REFRAMER_KILLS ?? 2);

const nameOf = (s: SampleRecord): string =>
  [s.point, s.phase, s.session, s.block, s.attempt, s.slot].join('/');

function checkJournal(file: string): SampleRecord[] {
  const { records } = readJournal(file);
  const samples = records.filter((r) => r.type === 'sample');
  expect(new Set(samples.map(nameOf)).size).toBe(samples.length);
  for (const sample of samples) expect(sample.record.checks).toEqual({ passed: true }); // whole, as the trial gave it
  return samples;
}

describe('kill -9', () => {
  test(`of the harness, ${kills} times: no finished sample is lost, none counted by half`, async () => {
    const random = seededRandom(seed);
    let run = 0;
    let path = folder.file('killed-0');
    let done = 0;
    while (done < kills) {
      const journal = join(path, 'journal.jsonl');
      const log = `${path}.log`;
      const before = existsSync(journal) ? readFileSync(journal) : Buffer.alloc(0);
      const sound = before.length === 0 ? 0 : readJournal(journal).soundBytes;
      // Somewhere in the next few trials, or in the report.
      const grown = before.length + Math.floor(random() * 12_000);
      let poll: NodeJS.Timeout | undefined;
      const { code } = await exp(
        path,
        { FAKE_LAB_LOG: log, FAKE_LAB_WAIT_MS: '5' },
        {
          started: (kill) => {
            poll = setInterval(() => {
              if (existsSync(journal) && statSync(journal).size > grown) kill('SIGKILL');
            }, 1);
          },
        },
      );
      clearInterval(poll);
      const after = readFileSync(journal);
      expect(after.subarray(0, sound).equals(before.subarray(0, sound))).toBe(true);
      const samples = checkJournal(journal);
      if (code === null) {
        done++;
      } else {
        // It came to its end: every trial that ran is in the journal but those that a kill cut off.
        expect(code).toBe(0);
        const { history } = openRun(path);
        expect(history.done.size).toBe(5);
        for (const own of history.samples.values()) expect(own.length).toBeGreaterThanOrEqual(6);
        const trials = readFileSync(log, 'utf8').trim().split('\n').length;
        expect(trials - samples.length).toBeGreaterThanOrEqual(0);
        expect(trials - samples.length).toBeLessThanOrEqual(kills);
        path = folder.file(`killed-${++run}`);
      }
    }
    // What is left open ends as well.
    expect((await exp(path)).code).toBe(0);
    checkJournal(join(path, 'journal.jsonl'));
  });

  test('of trials at random: the run goes on, a dead trial is no sample', async () => {
    const path = folder.file('dying');
    const { code, stderr } = await exp(path, { FAKE_LAB_DIE: '0.08' });
    expect([0, 1]).toContain(code);
    expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
    const { records } = readJournal(join(path, 'journal.jsonl'));
    const failures = records.filter((r) => r.type === 'failure');
    for (const failure of failures) expect(failure.code).toBe('lab-died');
    checkJournal(join(path, 'journal.jsonl'));
  });
});

const mount = (...args: string[]): boolean =>
  spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
const unmount = (path: string): void => void spawnSync('umount', [path], { stdio: 'ignore' });

/** Mounts a file system of that size; false where this user may not. */
const smallDisk = (path: string, size: string): boolean =>
  mount('-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path);

/** Whether this user may mount; leaves nothing mounted, since a suite whose tests are all left out cleans nothing up. */
function mayMount(path: string): boolean {
  mkdirSync(path);
  const may = process.platform === 'linux' && smallDisk(path, '24k');
  if (may) unmount(path);
  return may;
}

describe('a full disk', () => {
  const disk = folder.file('disk');
  const possible = mayMount(disk);
  beforeAll(() => void (possible && smallDisk(disk, '24k')));
  afterAll(() => {
    if (possible) unmount(disk);
  });
  if (!possible) skipSuite('a full disk: no right to mount a small file system');

  test.skipIf(!possible)(
    'while journaling: one message that says so, nothing lost, and the same command goes on',
    async () => {
      const path = join(disk, 'run');
      const { code, stderr, stdout } = await exp(path);
      expect(code).toBe(1);
      expect(stderr).toMatch(/ENOSPC|no space left/);
      expect(`${stderr}${stdout}`).not.toMatch(/\bat .*\.js:\d+/);
      const kept = checkJournal(join(path, 'journal.jsonl'));
      mount('-o', 'remount,size=64m', disk);
      expect((await exp(path)).code).toBe(0);
      const samples = checkJournal(join(path, 'journal.jsonl'));
      expect(samples.slice(0, kept.length)).toEqual(kept);
    },
  );

  test('under an output: an error that names the file', async () => {
    const { code, stdout, stderr } = await reframer(['generate', '/dev/full', '--packets', '1000']);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('/dev/full');
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
  });
});

describe('files are written where asked, and nowhere else', () => {
  test('the working folder stays as it was, and no shell reads a name', async () => {
    const cwd = folder.file('cwd');
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'mine'), 'x');
    const name = folder.file('a $(touch pwned) `touch pwned` ; touch pwned & .pcap');
    expect((await reframer(['generate', name, '--packets', '10'], { cwd })).code).toBe(0);
    expect((await reframer(['analyze', name], { cwd })).code).toBe(0);
    expect((await exp(folder.file('run $(touch pwned)'), {}, { cwd })).code).toBe(0);
    expect(existsSync(name)).toBe(true);
    expect(readdirSync(cwd)).toEqual(['mine']);
    rmSync(cwd, { recursive: true });
  });
});
