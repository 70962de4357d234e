// The commands as a user types them, over a fake lab: interrupt, resume, one figure, compare.
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { openRun } from '../../experiments/core/runs.js';
import { reframer, temporaryFolder, type Outcome } from '../helpers/cli.js';

// Hundreds of short processes: seconds on an idle machine, minutes on a busy one.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const folder = temporaryFolder();
afterAll(() => folder.remove());

const lab = join(packageRoot, 'test', 'experiments', 'fake-lab.mjs');
const exp = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  started?: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Outcome> =>
  reframer(['exp', 'reframer', ...args], {
    env: { REFRAMER_LAB: lab, ...env },
    ...(started === undefined ? {} : { started }),
  });

const whole = folder.file('whole');
// The bar figure of one part: the fewest trials that a real plan has.
const small = ['--only', 'modern-throughput'];
let first: Outcome;
beforeAll(async () => {
  first = await exp([...small, '--out', whole]);
});

describe('exp', () => {
  test('measures, prints verdicts and paths, writes the report', () => {
    expect(first.stderr).toContain('report:');
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/QUICK RUN/);
    expect(first.stdout).toMatch(/the modern chain gains: \S+\sGbps with T = 64\sµs/);
    expect(first.stdout).toMatch(/Of 22 published values, .*not in this run/);
    expect(first.stdout.split('\n').length).toBeLessThan(30);
    expect(readFileSync(join(whole, 'report.md'), 'utf8')).toMatch(/off \(again\)/);
    for (const file of [
      'journal.jsonl',
      'summary.json',
      'report.html',
      'report.pdf',
      'report.md',
      'figures/modern-throughput.svg',
    ])
      expect(existsSync(join(whole, file)), file).toBe(true);
  });

  test('again: everything is reused', async () => {
    const log = folder.file('again.log');
    const { code, stdout, stderr } = await exp([...small, '--out', whole, '--json'], {
      FAKE_LAB_LOG: log,
    });
    expect(code).toBe(0);
    expect(stderr).toMatch(/4 of 4 points are finished and reused/);
    expect(JSON.parse(stdout)).toMatchObject({
      reused: 4,
      measured: 0,
      summary: { experiment: 'reframer', complete: true },
    });
    expect(existsSync(log)).toBe(false);
  });

  test('what --only left out is not in this run, and no option is advised for it', () => {
    const { claims } = JSON.parse(readFileSync(join(whole, 'summary.json'), 'utf8')) as {
      claims: { id: string; verdict: string; reason: string }[];
    };
    const of = (id: string): object | undefined => claims.find((claim) => claim.id === id);
    expect(of('gain-64')).toMatchObject({
      verdict: 'not in this run',
      reason: '--only left part overload out',
    });
    expect(of('scaling')).toMatchObject({ verdict: 'not in this run' });
    expect(of('web')).toMatchObject({ verdict: 'not testable here' });
    expect(
      claims.filter(
        ({ verdict, reason }) =>
          verdict === 'not in this run' &&
          /--full/.test(reason) &&
          !/quick run has no such point/.test(reason),
      ),
    ).toEqual([]);
  });

  test.each(['SIGINT', 'SIGHUP', 'SIGKILL'] as const)(
    '%s in the middle, then the same command: the rest is measured',
    async (signal) => {
      const path = folder.file(`stop-${signal}`);
      const { stderr, code } = await exp(
        [...small, '--out', path],
        { FAKE_LAB_WAIT_MS: '60' },
        (kill) => {
          const poll = setInterval(() => {
            if (
              !existsSync(join(path, 'journal.jsonl')) ||
              readFileSync(join(path, 'journal.jsonl'), 'utf8').split('\n').length < 25
            )
              return;
            clearInterval(poll);
            kill(signal);
          }, 20);
        },
      );
      expect(code).not.toBe(0);
      if (signal !== 'SIGKILL') expect(stderr).toMatch(/resume with: npx reframer exp reframer/);
      const kept = openRun(path).history.measured;
      expect(kept).toBeGreaterThan(0);
      const again = await exp([...small, '--out', path, '--json']);
      expect(again.code).toBe(0);
      expect(JSON.parse(again.stdout)).toMatchObject({ summary: { complete: true } });
      expect(openRun(path).history.measured).toBeGreaterThan(kept);
    },
  );

  test('a dry run shows points, order and estimate, and measures nothing', async () => {
    const log = folder.file('dry.log');
    const { code, stdout } = await exp(['--dry-run', '--json', '--out', folder.file('dry')], {
      FAKE_LAB_LOG: log,
    });
    expect(code).toBe(0);
    const plan = JSON.parse(stdout) as {
      points: number;
      settings: { points: unknown[]; firstBlock: string[] }[];
    };
    expect(plan.settings.reduce((sum, s) => sum + s.points.length, 0)).toBe(plan.points);
    for (const { firstBlock } of plan.settings)
      expect(firstBlock).toEqual([...firstBlock].reverse());
    expect(existsSync(log) || existsSync(folder.file('dry'))).toBe(false);
  });

  test('a capture is analysed and sent through the chains; the journal names it, not its path', async () => {
    const trace = folder.file('mine.pcap');
    writeFileSync(trace, 'not looked at by the fake lab');
    const path = folder.file('trace');
    const { code } = await exp([
      '--trace',
      trace,
      '--only',
      'capture-locality, capture-throughput',
      '--out',
      path,
    ]);
    expect(code).toBe(0);
    expect(readFileSync(join(path, 'report.md'), 'utf8')).toContain('mine.pcap');
    expect(existsSync(join(path, 'figures', 'capture-locality.svg'))).toBe(true);
    expect(existsSync(join(path, 'figures', 'capture-gain.svg'))).toBe(true);
    expect(readFileSync(join(path, 'journal.jsonl'), 'utf8')).not.toContain(folder.path);
  });

  test('a file that is no capture is refused before anything is measured', async () => {
    const file = folder.file('rubbish.pcap');
    writeFileSync(file, 'this is no capture at all, whatever its name says');
    const out = folder.file('never');
    const { code, stderr } = await reframer(['exp', 'reframer', '--trace', file, '--out', out]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/--trace .*rubbish\.pcap: not a capture at byte 0/);
    expect(existsSync(out)).toBe(false);
  });

  test('what it says on the way has no reader any more: the run goes on', async () => {
    const path = folder.file('unread');
    const child = spawn(
      process.execPath,
      [
        join(packageRoot, 'experiments/cli/reframer.mjs'),
        'exp',
        'reframer',
        ...small,
        '--out',
        path,
      ],
      {
        env: { ...process.env, REFRAMER_NO_SETUP: '1', REFRAMER_LAB: lab },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    child.stderr.destroy();
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(openRun(path).history.done.size).toBe(4);
    expect(existsSync(join(path, 'report.md'))).toBe(true);
  });

  test('a part that may be left out is no failure; where it is all, there is no answer here', async () => {
    const lacks = { REFRAMER_LAB: lab, FAKE_LAB_LACKS: 'rsspp-tap' };
    const measured = (parts: string, out: string): Promise<Outcome> =>
      reframer(['exp', 'rsspp', '--only', parts, '--out', folder.file(out)], { env: lacks });
    const beside = await measured('table-writes,tap', 'beside');
    expect(beside.stderr).toMatch(/tap is left out: no such interface/);
    expect(beside.stderr).not.toMatch(/trials failed/);
    expect(beside.code).toBe(0);
    expect((await measured('tap', 'alone')).code).toBe(3);
  });

  test('a point that fails gives exit code 1 and its name', async () => {
    const { code, stderr } = await exp([...small, '--out', folder.file('failing')], {
      FAKE_LAB_FAIL: 'burst',
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/packets were lost/);
  });

  test.each<[string, string[], RegExp]>([
    ['an unknown experiment', ['exp', 'refarmer'], /there are: reframer/],
    [
      'an unknown figure',
      ['exp', 'reframer', '--only', 'nothing'],
      /--only nothing: there are the parts .*overload/,
    ],
    [
      'an unknown figure beside a known one',
      ['exp', 'reframer', '--only', 'modern-throughput,nothing'],
      /--only nothing: there are/,
    ],
    ['a figure that needs more', ['exp', 'reframer', '--only', 'capture-locality'], /needs --full/],
    ['both profiles', ['exp', 'reframer', '--quick', '--full'], /--quick/],
    ['resume and fresh', ['exp', 'reframer', '--resume', '--fresh'], /--fresh/],
    [
      'a capture that no part of the run can use',
      ['exp', 'reframer', '--trace', lab, '--only', 'overload-modern'],
      /overload-modern cannot use a capture; .*measure captures, capture-chain/,
    ],
    [
      'a capture for an experiment without a part for it',
      ['exp', 'rsspp', '--trace', lab],
      /no part of rsspp takes a capture/,
    ],
    [
      'a capture that is not there',
      ['exp', 'reframer', '--trace', '/nowhere.pcap'],
      /no such file/,
    ],
    ['a seed that is none', ['exp', 'reframer', '--seed', 'x'], /--seed/],
    ['a run that is not there', ['report', 'nothing'], /no run is called/],
    ['a threshold that is none', ['compare', whole, whole, '--threshold', 'much'], /--threshold/],
  ])('%s: exit code 2', async (_, args, message) => {
    const { code, stdout, stderr } = await reframer(args, { env: { REFRAMER_LAB: lab } });
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

describe('without the native part', () => {
  const without = {
    env: { REFRAMER_LAB: '/nowhere/reframer-lab', REFRAMER_LIBRARY: '/nowhere/libreframer.so' },
  };

  test('exp says what is missing, exit code 3', async () => {
    const { code, stderr } = await reframer(
      ['exp', 'reframer', '--out', folder.file('none')],
      without,
    );
    expect(stderr).toContain('/nowhere/reframer-lab');
    expect(code).toBe(3);
  });
  test('list, report and compare work', async () => {
    const list = await reframer(['list', '--json'], without);
    const { experiments } = JSON.parse(list.stdout) as { experiments: { name: string }[] };
    expect(experiments.map(({ name }) => name)).toContain('reframer');
    const report = await reframer(['report', whole, '--json'], without);
    expect(report.code).toBe(0);
    expect(JSON.parse(report.stdout)).toMatchObject({ complete: true, notes: [] });
    const same = await reframer(['compare', whole, whole], without);
    expect(same.stdout).toMatch(/no change/);
    expect(same.code).toBe(0);
  });
});

describe('compare', () => {
  test('exit code 4 when the second run is worse', async () => {
    const slow = folder.file('slow');
    await exp([...small, '--out', slow], { FAKE_LAB_SHIFT: '0.8' });
    const worse = await reframer(['compare', whole, slow, '--json']);
    expect(worse.code).toBe(4);
    expect((JSON.parse(worse.stdout) as { regressions: number }).regressions).toBeGreaterThan(0);
    expect((await reframer(['compare', slow, whole])).code).toBe(0);
    expect((await reframer(['compare', whole, slow, '--threshold', '50%'])).code).toBe(0);
    // However much of it was read.
    const unread = spawnSync(
      'bash',
      ['-c', '"$0" "$@" | true; exit ${PIPESTATUS[0]}', process.execPath].concat(
        join(packageRoot, 'experiments/cli/reframer.mjs'),
        ['compare', whole, slow, '--json'],
      ),
      { env: { ...process.env, REFRAMER_NO_SETUP: '1' } },
    );
    expect(unread.status).toBe(4);
  });
  test('exit code 3 when it cannot be told; 4 when many points with few values all moved', async () => {
    const cut = (from: string, to: string, factor: number): string => {
      // Four samples a point: what two blocks have.
      const lines = readFileSync(join(from, 'journal.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map(
          (line) =>
            JSON.parse(line) as { type: string; block?: number; record: { throughputBps: number } },
        );
      const kept = lines.filter((line) => line.block === undefined || line.block <= 1);
      for (const line of kept) if (line.type === 'sample') line.record.throughputBps *= factor;
      mkdirSync(folder.file(to));
      writeFileSync(
        join(folder.file(to), 'journal.jsonl'),
        kept.map((line) => `${JSON.stringify(line)}\n`).join(''),
      );
      return folder.file(to);
    };
    const [few, same, half] = [
      cut(whole, 'few', 1),
      cut(whole, 'few-same', 1),
      cut(whole, 'few-half', 0.5),
    ];
    const open = await reframer(['compare', few, same, '--all']);
    expect(open.stdout).toMatch(/n = 4: no verdict/);
    expect(open.stdout).toMatch(/too few to tell/);
    expect(open.stderr).toMatch(/not decided: whether \d+ points are worse/);
    expect(open.code).toBe(3);
    const worse = await reframer(['compare', few, half]);
    expect(worse.stdout).toMatch(
      /overload-modern, throughput, 3 points .* 3 fell in all their samples, the median point by −5\d\.\d % \(p < 0\.001\): worse/,
    );
    expect(worse.code).toBe(4);
    expect((await reframer(['compare', half, few])).code).toBe(3);
  });
  test('a damaged journal is one clear error', async () => {
    const damaged = folder.file('damaged');
    cpSync(whole, damaged, { recursive: true });
    appendFileSync(join(damaged, 'journal.jsonl'), 'rubbish\n');
    const { code, stderr } = await reframer(['compare', damaged, whole]);
    expect(stderr).toMatch(/journal\.jsonl: line \d+/);
    expect(code).toBe(1);
  });
});
