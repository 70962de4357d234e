// Any arguments at all, for every command: an exit code of the suite, no stack trace, and with --json
// one document or nothing. In-process: a process for each would take minutes.
import { mkdirSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { run } from '../../experiments/cli/main.js';
import { reframer, temporaryFolder } from '../helpers/cli.js';
import '../helpers/seed.js';

const folder = temporaryFolder();
const cwd = folder.file('cwd');
const before = process.cwd();

// Commands that would really measure, soak or take over an interface; they only ever get arguments
// that end before anything runs.
const commands = [
  'analyze',
  'balance',
  'bench',
  'compare',
  'exp',
  'flows',
  'generate',
  'list',
  'reorder',
  'report',
  'rss',
  'run',
  'soak',
  'top',
  'validate',
];

beforeAll(() => {
  mkdirSync(cwd);
  process.chdir(cwd);
  // No lab: what parses ends with exit code 3 instead of running.
  vi.stubEnv('REFRAMER_LAB', folder.file('no-lab'));
  vi.stubEnv('REFRAMER_DPDK', folder.file('no-dpdk'));
});
afterAll(() => {
  process.chdir(before);
  vi.unstubAllEnvs();
  folder.remove();
});

async function runHere(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += String(text);
      return true;
    }),
  ];
  process.exitCode = undefined;
  try {
    const code = await run(args);
    return { code, stdout, stderr };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeAllListeners(signal);
    process.stdout.removeAllListeners('error');
  }
}

const option = fc.constantFrom(
  '--json',
  '--quick',
  '--full',
  '--delay',
  '--rate',
  '--policy',
  '--key',
  '--seed',
  '--packets',
  '--profile',
  '--cores',
  '--reta',
  '--interval',
  '--threshold',
  '--in',
  '--out',
  '--eal',
  '--user',
  '--buffers',
  '--only',
  '--trace',
  '--dry-run',
  '--resume',
  '--keep-going',
  '--quiet',
  '--',
  '-',
  '--help',
  '--no-such-option',
  '-x',
);
const value = fc.oneof(
  fc.constantFrom(
    '0',
    '-1',
    '1e9',
    '1e400',
    '0x10',
    'NaN',
    '64us',
    '5',
    '1.5',
    '',
    ' ',
    'reframer',
    'rsspp',
    'conntrack',
    'fixed',
    '5tuple',
    '/nowhere/a.pcap',
    '.',
    '/',
    '../x',
    '%s%n',
    '$(x)',
  ),
  fc.string({ maxLength: 12 }),
);

describe('arguments', () => {
  test('of any kind: a known exit code, no stack trace, nothing written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...commands),
        fc.array(fc.oneof(option, value), { maxLength: 6 }),
        async (command, rest) => {
          // Where an option names a place to write, it is one of this test's.
          const args = [
            command,
            ...rest.map((arg, i) => (rest[i - 1] === '--out' ? folder.file('out') : arg)),
          ];
          const { code, stdout, stderr } = await runHere(args);
          expect([0, 1, 2, 3, 4]).toContain(code);
          expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
          if (code !== 0 && !args.includes('--json')) expect(stderr).not.toBe('');
          if (args.includes('--json') && code !== 0 && stdout !== '')
            expect(() => void JSON.parse(stdout)).not.toThrow();
          expect(readdirSync(cwd)).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    ['reorder', '2s', "--delay: '2s' is longer than 1s"],
    ['reorder', '1.5', "--delay: '1.5' is not a duration"],
    ['run', '2s', "--delay: '2s' is longer than 1s"],
  ])('%s --delay %s: refused by the name of the option', async (command, value, says) => {
    const ends = command === 'run' ? ['--in', 'a', '--out', 'b'] : ['a.pcap', 'b.pcap'];
    const { code, stderr } = await runHere([command, '--delay', value, ...ends]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });

  test('of any kind, as processes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...commands),
        fc.array(fc.oneof(option, value), { maxLength: 4 }),
        async (command, rest) => {
          const args = [
            command,
            ...rest.map((arg) => arg.replaceAll('\0', '')).filter((arg) => arg !== '--out'),
          ];
          const { code, stderr } = await reframer(args, { cwd });
          expect([0, 1, 2, 3, 4]).toContain(code);
          expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
        },
      ),
      { numRuns: 6 },
    );
  });
});
