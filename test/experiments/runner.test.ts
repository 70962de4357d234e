// A trial that takes too long: it is killed with all that it started, by this process itself.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, expect, test, vi } from 'vitest';

import { makeRunner } from '../../experiments/core/runner.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
afterEach(() => vi.unstubAllEnvs());

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // One that has ended, and that nobody has waited for, does nothing any more.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

test('a trial without an end, where there is no ps', async () => {
  const [program, started] = [folder.file('trial'), folder.file('started')];
  // What it started holds its standard output open.
  writeFileSync(program, `#!/bin/sh\n/bin/sleep 600 &\necho $! > ${started}\nwait\n`);
  chmodSync(program, 0o755);
  mkdirSync(folder.file('nothing'));
  vi.stubEnv('PATH', folder.file('nothing'));
  const run = makeRunner({ program, cpus: undefined, logFile: folder.file('log') });
  const { error, records } = await run('trial', {}, 2);
  expect(records).toEqual([]);
  expect(error).toMatchObject({
    code: 'lab-died',
    message: expect.stringMatching(/SIGKILL \(timeout is 2 s\)/) as string,
  });
  if (existsSync(started))
    await expect.poll(() => isAlive(Number(readFileSync(started, 'utf8')))).toBe(false);
});
