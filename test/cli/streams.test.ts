// Captures on standard streams and other descriptors, names of any bytes, full disks, signals.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { handOver } from '../../experiments/cli/file-names.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap, readPcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const plain = folder.file('plain.pcap');
writeFileSync(
  plain,
  pcap(
    Array.from({ length: 30 }, (_, i) => ({
      bytes: frame({ source: 1 + (i % 3) }),
      timeNs: 1_000_000_000n + BigInt(i) * 1000n,
    })),
  ),
);
const program = join(packageRoot, 'experiments', 'cli', 'reframer.mjs');
const environment = { ...process.env, REFRAMER_NO_SETUP: '1' };

function shell(script: string): { code: number | null; stdout: Buffer; stderr: string } {
  const run = spawnSync('bash', ['-c', script], {
    cwd: folder.path,
    env: { ...environment, F: plain, REFRAMER: `${process.execPath} ${program}` },
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr.toString() };
}

const oneLine = (text: string): void => {
  expect(text.trim().split('\n')).toHaveLength(1);
  expect(text).not.toMatch(/\bat .*\.js:\d+/);
};

test('a name with a NUL byte is refused, as input and as output', () => {
  for (const spec of [
    { file: `${plain}\0.gz` },
    { files: [plain, `${plain}\0`] },
    { out: folder.file('a\0b') },
  ])
    expect(() => handOver(spec)).toThrow(
      expect.objectContaining({
        code: 'file-name',
        message: expect.stringMatching(/u0000.*NUL/) as string,
      }),
    );
  expect(readdirSync(folder.path)).toEqual(['plain.pcap']);
});

describe('reading', () => {
  test.each([
    ['-', 'analyze --json - < $F'],
    ['a pipe', 'cat $F | $REFRAMER analyze --json -'],
    ['a compressed pipe', 'gzip -c $F | $REFRAMER analyze --json -'],
    ['/dev/stdin', 'analyze --json /dev/stdin < $F'],
    ['/dev/fd/0', 'cat $F | $REFRAMER analyze --json /dev/fd/0'],
    ['another descriptor', 'analyze --json /dev/fd/7 7< $F'],
    ['a process substitution', 'analyze --json <(cat $F)'],
  ])('%s', (_, script) => {
    const { code, stdout, stderr } = shell(
      script.includes('$REFRAMER') ? script : `$REFRAMER ${script}`,
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect((JSON.parse(stdout.toString()) as { files: unknown[] }).files).toMatchObject([
      { packets: 30 },
    ]);
  });

  test('errors name the file as it was given', () => {
    const { code, stderr } = shell('head -c 1000 $F | $REFRAMER analyze -');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^reframer: -: damaged at byte \d+/);
    oneLine(stderr);
  });

  test('a descriptor that is not open', () => {
    const { code, stderr } = shell('$REFRAMER analyze /dev/fd/77');
    expect(code).toBe(1);
    expect(stderr).toContain('/dev/fd/77');
    oneLine(stderr);
  });

  test('names of any bytes', () => {
    for (const name of ['a b\'c"d', '\u00fcml\u00e4ut', 'tab\there', '-dash']) {
      writeFileSync(folder.file(name), readFileSync(plain));
      const run = spawnSync(process.execPath, [program, 'analyze', '--json', '--', name], {
        cwd: folder.path,
        env: environment,
      });
      expect(run.status).toBe(0);
      expect(JSON.parse(run.stdout.toString())).toMatchObject({
        files: [{ file: name, packets: 30 }],
      });
    }
    // Not UTF-8: JSON and Node have no word for it, but the kernel has.
    const { code, stdout, stderr } = shell(
      "cp $F $'odd\\xff\\xfename'; $REFRAMER analyze --json $'odd\\xff\\xfename'",
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect((JSON.parse(stdout.toString()) as { files: unknown[] }).files).toMatchObject([
      { packets: 30 },
    ]);
    const absent = shell("$REFRAMER analyze $'absent\\xff'");
    expect(absent.code).toBe(1);
    oneLine(absent.stderr);
    const written = shell("$REFRAMER reorder --quiet $F $'out\\xff'");
    expect(written.code).toBe(1);
    expect(written.stderr).toContain('UTF-8');
    oneLine(written.stderr);
  });
});

describe('writing', () => {
  test.each(['-', '/dev/stdout', '/dev/fd/1'])('%s', (name) => {
    const { code, stdout, stderr } = shell(`$REFRAMER reorder --quiet $F ${name} | cat`);
    expect(code).toBe(0);
    expect(readPcap(stdout).frames).toHaveLength(30);
    expect(stderr).toContain('30 packets in, 30 out');
  });

  test('a redirection, appended to what is there', () => {
    const { code } = shell(
      'echo -n before > out; $REFRAMER generate --packets 100 --quiet - >> out',
    );
    expect(code).toBe(0);
    const written = readFileSync(folder.file('out'));
    expect(written.subarray(0, 6).toString()).toBe('before');
    expect(readPcap(written.subarray(6)).frames).toHaveLength(100);
  });

  test('a reader that leaves early is nothing to complain of', () => {
    const { code, stdout, stderr } = shell(
      '$REFRAMER generate --packets 1M --quiet - | head -c 4; echo ${PIPESTATUS[0]}',
    );
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout.subarray(4).toString()).toBe('0\n');
  });

  test('one command into the other', () => {
    const { code, stdout } = shell(
      'set -o pipefail; $REFRAMER generate --packets 1000 --quiet - 2>/dev/null | $REFRAMER reorder --quiet - - 2>/dev/null | $REFRAMER analyze --json -',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ files: [{ packets: 1000 }] });
  });

  if (!existsSync('/dev/full')) skipSuite('a full device was not tested: no /dev/full');
  test.skipIf(!existsSync('/dev/full'))('a full device gives one line', () => {
    for (const script of [
      '$REFRAMER analyze $F > /dev/full',
      '$REFRAMER analyze --json $F > /dev/full',
      '$REFRAMER --help > /dev/full',
      '$REFRAMER reorder $F /dev/full',
      '$REFRAMER generate --packets 10 - > /dev/full',
    ]) {
      const { code, stderr } = shell(script);
      expect(code, script).toBe(1);
      oneLine(stderr);
    }
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s leaves nothing', async (signal) => {
    const own = folder.file(signal);
    mkdirSync(own);
    const args = [program, 'generate', '--packets', '100M', join(own, 'big.pcap')];
    const child = spawn(process.execPath, args, {
      env: environment,
      stdio: 'ignore',
      detached: true,
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await sleep(1500);
    process.kill(-(child.pid ?? 0), signal);
    await ended;
    await sleep(200);
    expect(readdirSync(own)).toEqual([]);
  });
});

test('super-frames of TSO are told of', () => {
  const large = folder.file('large.pcap');
  const frames = Array.from({ length: 20 }, (_, i) => ({
    bytes: frame({ protocol: 6, payload: i % 2 ? 30_000 : 0 }),
    timeNs: BigInt(i),
  }));
  writeFileSync(large, pcap(frames));
  const { stdout } = shell(`$REFRAMER analyze --json ${large}`);
  const [file] = (JSON.parse(stdout.toString()) as { files: { warnings: string[] }[] }).files;
  expect(file?.warnings.join('\n')).toMatch(/10 frames are longer than any MTU.*TSO/s);
  const { stdout: small } = shell('$REFRAMER analyze --json $F');
  expect(small.toString()).not.toContain('TSO');
});
