// Which folder a run measures in, and what it refuses before it measures.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { execute } from '../../experiments/core/execute.js';
import { prepare, type Prepared, type Request } from '../../experiments/core/prepare.js';
import { openRun } from '../../experiments/core/runs.js';
import type { Experiment } from '../../experiments/core/types.js';
import { packageRoot } from '../../native/loader.js';
import { temporaryFolder } from '../helpers/cli.js';
import { fakeTrials, fixedTime, silent, sweep, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
beforeEach(() =>
  vi.stubEnv('REFRAMER_LAB', join(packageRoot, 'test', 'experiments', 'fake-lab.mjs')),
);
afterEach(() => vi.unstubAllEnvs());

const capture = join(packageRoot, 'test', 'experiments', 'fake-lab.mjs');
const request = (name: string, more: Partial<Request> = {}): Request => ({
  profile: 'quick',
  seed: 1,
  traceFiles: [],
  only: [],
  out: undefined,
  mode: 'auto',
  argv: ['exp', 'tiny'],
  results: folder.file(name),
  ...more,
});
const measure = async (prepared: Prepared, stop = false): Promise<void> => {
  let asked = 0;
  await execute(prepared, {
    status: silent,
    argv: [],
    now: fixedTime,
    runTrial: fakeTrials().runTrial,
    ...(stop ? { stop: () => ++asked > 3 } : {}),
  });
};

describe('the folder', () => {
  test('a finished run is left alone and a new one begins; an interrupted one goes on', async () => {
    const first = await prepare(tiny(), request('again'), fixedTime);
    expect(first).toMatchObject({ resumed: false, finished: undefined });
    await measure(first, true);
    const rest = await prepare(tiny(), request('again'), fixedTime);
    expect(rest).toMatchObject({ folder: first.folder, resumed: true, finished: undefined });
    await measure(rest);
    const second = await prepare(tiny(), request('again'), fixedTime);
    expect(second).toMatchObject({ resumed: false, finished: first.folder });
    expect(second.folder).not.toBe(first.folder);
    await expect(prepare(tiny(), request('again', { mode: 'resume' }), fixedTime)).rejects.toThrow(
      /is finished: .*leave --resume out/,
    );
  });
  test('a part more is measured beside those of the finished run', async () => {
    const two = tiny([sweep(), { ...sweep(), name: 'other' }]);
    const first = await prepare(two, request('part', { only: ['sweep'] }), fixedTime);
    await measure(first);
    expect(await prepare(two, request('part'), fixedTime)).toMatchObject({
      folder: first.folder,
      resumed: true,
    });
  });
});

test('the command is kept without folders of this machine, and is still the command', async () => {
  const argv = ['exp', 'tiny', '--trace', '/a/b.pcap', '--trace=/a/c.pcap', '--out=/x/y', '--full'];
  const { context } = await prepare(tiny(), request('argv', { argv }), fixedTime);
  expect(context.argv).toEqual([
    'exp',
    'tiny',
    '--trace',
    'b.pcap',
    '--trace=c.pcap',
    '--out=y',
    '--full',
  ]);
});

describe('a folder that is named', () => {
  const out = folder.file('named');
  const journal = join(out, 'journal.jsonl');
  test('goes on, but not with another build or machine', async () => {
    await measure(await prepare(tiny(), request('any', { out }), fixedTime), true);
    const again = () => prepare(tiny(), request('any', { out }), fixedTime);
    expect(await again()).toMatchObject({ folder: out, resumed: true });
    const text = readFileSync(journal, 'utf8');
    for (const [other, what] of [
      [text.replace(/"binarySha256":"[^"]*"/, '"binarySha256":"0"'), /with another build; give/],
      [text.replace(/"memoryGiB":\d+/, '"memoryGiB":0'), /with another machine; give/],
    ] as const) {
      expect(other).not.toBe(text);
      writeFileSync(journal, other);
      await expect(again()).rejects.toMatchObject({
        code: 'other-run',
        exitCode: 2,
        message: expect.stringMatching(what) as string,
      });
    }
    writeFileSync(journal, text);
    expect(await again()).toMatchObject({ resumed: true });
  });
  test.each([
    ['empty', ''],
    ['half a line', '{"type":"run","v":1'],
  ])('holds no run where its journal is %s', async (name, text) => {
    const path = folder.file(name.replaceAll(' ', '-'));
    mkdirSync(path);
    writeFileSync(join(path, 'journal.jsonl'), text);
    for (const mode of ['auto', 'fresh'] as const) {
      const made = await prepare(tiny(), request('any', { out: path, mode }), fixedTime);
      expect(made).toMatchObject({ folder: path, resumed: false });
    }
    await measure(await prepare(tiny(), request('any', { out: path }), fixedTime));
    expect(openRun(path).history.done.size).toBe(8);
  });
});

describe('a capture', () => {
  const withCapture = (): Experiment => {
    const plain = tiny();
    const reads = (file: string) => ({
      ...sweep(),
      name: 'captures',
      spec: () => ({ source: { file } }),
    });
    return {
      ...plain,
      plan: (options) => ({
        ...plain.plan(options),
        parts: [sweep(), ...options.traces.map(({ file }) => reads(file))],
      }),
    };
  };
  test('of the same name as another is not measured into the run of that one', async () => {
    const [first = '', second = ''] = ['monday', 'tuesday'].map((day) => {
      mkdirSync(folder.file(day));
      const file = join(folder.file(day), 'dump.pcap');
      writeFileSync(file, day);
      return file;
    });
    const of = (file: string, more: Partial<Request> = {}): Promise<Prepared> =>
      prepare(withCapture(), request('names', { traceFiles: [file], ...more }), fixedTime);
    const made = await of(first);
    await measure(made);
    expect(await of(first)).toMatchObject({ finished: made.folder });
    const other = await of(second);
    expect(other).toMatchObject({ resumed: false, finished: undefined });
    expect(other.folder).not.toBe(made.folder);
    await expect(of(second, { out: made.folder })).rejects.toMatchObject({
      code: 'other-run',
      message: expect.stringMatching(/another capture called dump\.pcap; give another/) as string,
    });
  });
  test('is refused where every part would ignore it, with those that would not', async () => {
    const wanted = request('trace', { traceFiles: [capture], only: ['sweep'] });
    await expect(prepare(withCapture(), wanted, fixedTime)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/sweep cannot use a capture; .*measure captures/) as string,
    });
    await expect(
      prepare(tiny(), request('trace', { traceFiles: [capture] }), fixedTime),
    ).rejects.toThrow(/no part of tiny takes a capture/);
    expect(
      (await prepare(withCapture(), { ...wanted, only: ['captures'] }, fixedTime)).parts.map(
        (p) => p.name,
      ),
    ).toEqual(['captures']);
  });
});
