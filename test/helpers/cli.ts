// Runs the command line as a user does: a process, its output, its exit code.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Called with the process id once it runs. */
  started?: (kill: (signal: NodeJS.Signals) => void) => void;
}

export function runProgram(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const child = spawn(command, args, {
    cwd: options.cwd ?? packageRoot,
    // `pretest` has built everything; the suites run in parallel and must not build again.
    env: { ...process.env, REFRAMER_NO_SETUP: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  options.started?.((signal) => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export const reframer = (args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
  runProgram(
    process.execPath,
    [join(packageRoot, 'experiments/cli/reframer.mjs'), ...args],
    options,
  );

/** Runs with --json and parses what must be exactly one document. */
export async function reframerJson<T>(
  args: readonly string[],
  options: RunOptions = {},
): Promise<T> {
  const { code, stdout, stderr } = await reframer([...args, '--json'], options);
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

export function temporaryFolder(): {
  path: string;
  file: (name: string) => string;
  remove: () => void;
} {
  const path = mkdtempSync(join(tmpdir(), 'reframer-test-'));
  return {
    path,
    file: (name) => join(path, name),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Captures that are too large, or not ours, to be in the repository lie beside the clone. */
export const sharedFolder: string | undefined = [join(packageRoot, '..', 'shared')].find((path) =>
  existsSync(join(path, 'traces')),
);

declare module 'vitest' {
  interface TaskMeta {
    /** The name is why others of the file were skipped. */
    reason?: boolean;
  }
}

/** A suite that cannot run here says so where everybody reads it, and counts as skipped. */
export function skipSuite(reason: string): void {
  test(reason, { skip: true, meta: { reason: true } }, () => undefined);
  process.stderr.write(`skipped: ${reason}\n`);
}

/** One message of one line, no trace of a stack. */
export function oneLine(
  { stderr, code }: { stderr: string; code: number | null },
  words: RegExp,
): void {
  expect(stderr).toMatch(words);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
  expect([1, 2]).toContain(code);
}
