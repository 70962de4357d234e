// What people get wrong: one clear message on stderr, the right exit code, nothing else.
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

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
