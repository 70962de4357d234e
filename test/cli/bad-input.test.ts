// What people get wrong: one clear message on stderr, the right exit code, nothing else.
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { makeFolder } from '../../experiments/core/files.js';
import { reframer, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const text = folder.file('notes.txt');
writeFileSync(text, 'this is not a capture\n'.repeat(10));
const empty = folder.file('empty.pcap');
writeFileSync(empty, '');
const good = folder.file('good.pcap');
writeFileSync(good, pcap([{ bytes: frame(), timeNs: 1_000_000_000n }]));
mkdirSync(folder.file('folder'));

describe('captures', () => {
  test.each([
    ['a missing file', folder.file('absent.pcap')],
    ['a text file', text],
    ['an empty file', empty],
    ['a folder', folder.file('folder')],
  ])('%s', async (_, path) => {
    for (const args of [
      ['analyze', path],
      ['reorder', path, folder.file('x.pcap')],
    ]) {
      const { code, stdout, stderr } = await reframer(args);
      expect(stdout).toBe('');
      expect(stderr).toContain(path);
      expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2);
      expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
      expect(code).toBe(1);
    }
    const { code, stdout } = await reframer(['analyze', path, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ files: [], errors: [{ file: path }] });
  });

  test.each([
    ['a folder that is not there', folder.file('absent/out.pcap')],
    ['a folder', folder.file('folder')],
  ])('an output in %s', async (_, path) => {
    for (const args of [
      ['reorder', good, path],
      ['generate', path, '--packets', '10'],
    ]) {
      const { code, stdout, stderr } = await reframer(args);
      expect(stdout).toBe('');
      expect(stderr).toContain(path);
      expect(code).toBe(1);
    }
  });
});

test('a folder without captures is said to be one', async () => {
  const { code, stderr } = await reframer(['analyze', folder.file('folder')]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/folder: a folder without captures; their names end in \.pcap/);
  expect((await reframer(['flows', folder.file('folder')])).stderr).toContain('is a directory');
});

describe('a damaged capture', () => {
  const cut = folder.file('cut.pcap');
  writeFileSync(
    cut,
    pcap([1, 2, 3].map((at) => ({ bytes: frame(), timeNs: BigInt(at) }))).subarray(0, -7),
  );
  const advice = 'or read what comes before the damage with --keep-going';
  test.each([
    ['analyze', [cut]],
    ['flows', [cut]],
    ['rss', [cut]],
    ['reorder', [cut, folder.file('cut-out.pcap')]],
  ])(
    '%s: --keep-going is advised where it is not given; exit code 1 either way',
    async (name, files) => {
      const without = await reframer([name, ...files]);
      expect(without.stderr).toContain(advice);
      expect(without.code).toBe(1);
      const kept = await reframer([name, ...files, '--keep-going']);
      expect(kept.stdout).not.toBe('');
      expect(kept.stderr).toContain('damaged at byte');
      expect(kept.stderr).not.toContain('--keep-going');
      expect(kept.code).toBe(1);
    },
  );
});

describe('what the system refuses is said in words, with the next step', () => {
  test.each<[string, string[], RegExp, number]>([
    [
      'a file for a folder',
      ['exp', 'reframer', '--out', good],
      /--out .*good\.pcap: not a folder/,
      2,
    ],
    ['a file for a run', ['report', good], /good\.pcap is a file; name the folder of a run/, 2],
    [
      'a bed file that is not there',
      ['exp', 'reframer', '--testbed', 'absent.json'],
      /--testbed absent\.json: no such file or directory; check the name/,
      2,
    ],
    [
      'a bed file that is a folder',
      ['exp', 'reframer', '--testbed', folder.file('folder')],
      /folder: illegal operation on a directory/,
      2,
    ],
    [
      'rules that are not there',
      [
        'run',
        '--in',
        'net_null0',
        '--out',
        'net_null1',
        '--chain',
        'firewall',
        '--rules',
        'absent',
      ],
      /--rules absent: no such file or directory; check the name/,
      2,
    ],
  ])('%s', async (_, args, message, code) => {
    const outcome = await reframer(args, { cwd: folder.path });
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\b(ENOENT|ENOTDIR|EISDIR|lstat|open ')/);
    expect(outcome.code).toBe(code);
  });

  test('links that lead back to each other', async () => {
    symlinkSync('loop', folder.file('loop'));
    const { code, stderr } = await reframer(['analyze', folder.file('loop')]);
    expect(stderr).toMatch(/loop: too many symbolic links encountered; its links lead back/);
    expect(code).toBe(1);
  });

  test('a place where no run can be made: nothing was kept there, and nothing can be resumed', async () => {
    const { code, stderr } = await reframer(['exp', 'reframer', '--out', '/proc/reframer-test/x']);
    expect(stderr).toMatch(/reframer: \/proc\/reframer-test: no such file or directory; check/);
    expect(stderr).not.toContain('resume with');
    expect(code).toBe(1);
  });

  // Node's own recursive mkdir never comes back from it.
  test('a folder in a file system that makes none', () => {
    expect(() => makeFolder('/proc/reframer-test/run')).toThrow(/ENOENT/);
    const path = folder.file('a/b/c');
    makeFolder(path);
    makeFolder(path);
    expect(statSync(path).isDirectory()).toBe(true);
    symlinkSync('nowhere', folder.file('dangling'));
    expect(() => makeFolder(folder.file('dangling'))).toThrow(/leads nowhere/);
    expect(() => makeFolder(good)).toThrow(/not a folder/);
    expect(() => makeFolder(join(good, 'x'))).toThrow();
  });
});

describe('what a job refuses', () => {
  test.each<[string[], string]>([
    [['rss', good, '--cores', '257'], '--cores is 257, must be from 1 to 256'],
    [['rss', good, '--reta', '3'], '--reta must be a power of two'],
    [['rss', good, '--interval', '2min'], '--interval, in ms, is 120000, must be from 1 to 60000'],
    [
      ['generate', 'x', '--profile', 'uniform', '--frame-length', '1'],
      '--frame-length is 1, must be from 60 to 9014',
    ],
    [['generate', 'x', '--interleave', '4'], '--interleave is for profile clients only'],
    [['generate', 'x', '--rate', '1bps'], '--rate, in bps, is 1, must be from 100000 to'],
    [['flows', good, '--port', '70000'], '--port is 70000, must be from 0 to 65535'],
    [['bench', 'conntrack', '--depths', '999'], '--depths is 999, must be from 1 to 256'],
    [
      ['bench', 'conntrack', '--contenders', 'mine'],
      '--contenders does not know "mine", only burst-table, ',
    ],
  ])('%j is said by the option', async (args, message) => {
    const { code, stdout, stderr } = await reframer(args, { cwd: folder.path });
    expect(stderr).toContain(`reframer: ${message}`);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

describe('usage', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['analyse', good], /analyse|analyze/],
    ['an unknown option', ['analyze', good, '--fast'], /--fast/],
    ['no file', ['analyze'], /file/],
    ['a delay without a unit', ['reorder', good, 'x', '--delay', '64'], /--delay.*64us/],
    ['a negative delay', ['reorder', good, 'x', '--delay', '-5us'], /--delay/],
    ['a rate that is none', ['reorder', good, 'x', '--rate', 'fast'], /--rate.*40Gbps/],
    [
      'an unknown policy',
      ['reorder', good, 'x', '--policy', 'none'],
      /--policy.*fixed, adaptive, burst/,
    ],
    ['an unknown key', ['reorder', good, 'x', '--key', '4tuple'], /--key.*5tuple/],
    ['the same file twice', ['reorder', good, good], /same file/],
    ['half a packet', ['generate', 'x', '--packets', '1.5'], /--packets/],
    [
      'a number beyond all',
      ['generate', 'x', '--packets', '1e30'],
      /--packets: '1e30' is too large/,
    ],
    ['a rate beyond all', ['reorder', good, 'x', '--rate', '1e9Gbps'], /--rate.*1kbps to 1000Gbps/],
    [
      'an unknown profile',
      ['generate', 'x', '--profile', 'lan'],
      /--profile.*campus, clients, uniform/,
    ],
    ['a bench that is not there', ['bench', 'nothing'], /nothing/],
    ...[
      ['top'],
      ['watch', '--interface', 'lo'],
      ['run', '--in', 'net_null0', '--out', 'net_null1'],
    ].map((command): [string, string[], RegExp] => [
      `${command.join(' ')}: looks closer together than they can be`,
      [...command, '--interval', '5ms'],
      /^reframer: --interval: '5ms' is shorter than 10ms\n$/,
    ]),
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await reframer(args, { cwd: folder.path });
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('with --json the error is a document too', async () => {
    const { code, stdout } = await reframer(['reorder', good, 'x', '--delay', 'soon', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage' } });
  });

  test('no native build: what was looked for and the next step, exit code 3', async () => {
    const { code, stderr } = await reframer(['analyze', good], {
      env: { REFRAMER_LAB: folder.file('nowhere') },
    });
    expect(code).toBe(3);
    expect(stderr).toContain(folder.file('nowhere'));
    expect(stderr).toContain('REFRAMER_LAB');
  });
});
