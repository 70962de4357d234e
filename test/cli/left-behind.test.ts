// What commands leave behind when they end in the middle: no folder, no process.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';

import { tryLab } from '../../experiments/cli/lab.js';
import { run } from '../../experiments/cli/main.js';
import { temporaryFolder as ofCommands } from '../../experiments/cli/temporary.js';
import { onStopSignals } from '../../experiments/cli/until-stopped.js';
import { Action } from '../../experiments/cli/watch/action.js';
import { ealFolders, ownPrefix } from '../../experiments/testbed/eal-folder.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    if (what()) return;
    await sleep(20);
  }
  throw new Error(`not within 10 s: ${what.toString()}`);
}

/** A program in the place of reframer-lab, which says its process id in a file. */
function fakeLab(name: string, code: string): { path: string; pid: () => number } {
  const [path, pid] = [folder.file(name), folder.file(`${name}.pid`)];
  writeFileSync(
    path,
    `#!${process.execPath}\nrequire('node:fs').writeFileSync(${JSON.stringify(pid)}, String(process.pid));\n${code}\n`,
  );
  chmodSync(path, 0o755);
  vi.stubEnv('REFRAMER_LAB', path);
  return { path, pid: () => Number(readFileSync(pid, 'utf8')) };
}

test('a temporary folder goes with the process, however that ends', () => {
  const before = new Set(process.listeners('exit'));
  const { path, remove } = ofCommands('reframer-test-left-');
  const added = process.listeners('exit').filter((listener) => !before.has(listener));
  expect(existsSync(path)).toBe(true);
  for (const listener of added) listener.call(process, 0);
  expect(existsSync(path)).toBe(false);
  remove();
  expect(process.listeners('exit').filter((listener) => !before.has(listener))).toEqual([]);
});

test('what EAL leaves of a prefix goes with the process', () => {
  const before = new Set(process.listeners('exit'));
  const left = join(ealFolders(), ownPrefix('test-left'));
  const added = process.listeners('exit').filter((listener) => !before.has(listener));
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, 'dpdk_telemetry.v2'), '');
  ownPrefix('test-never-started');
  for (const listener of added) listener.call(process, 0);
  expect(existsSync(left)).toBe(false);
});

test('a signal to a program and to its group is one wish; a later one is another', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const heard: string[] = [];
  const off = onStopSignals(
    ['SIGUSR2', 'SIGWINCH'],
    (signal) => heard.push(`first ${signal}`),
    (signal) => heard.push(`again ${signal}`),
  );
  const send = (signal: NodeJS.Signals): boolean => process.emit(signal, signal);
  send('SIGUSR2');
  send('SIGUSR2');
  now.mockReturnValue(1499);
  send('SIGWINCH');
  expect(heard).toEqual(['first SIGUSR2']);
  now.mockReturnValue(1500);
  send('SIGWINCH');
  expect(heard).toEqual(['first SIGUSR2', 'again SIGWINCH']);
  off();
  send('SIGUSR2');
  expect(heard).toHaveLength(2);
});

describe('a job', () => {
  test('that writes what is no record is ended with the command', async () => {
    const lab = fakeLab('nonsense', "console.log('nonsense'); setInterval(() => undefined, 1000);");
    await expect(tryLab('any', {})).rejects.toThrow(/wrote what is not a record/);
    await until(() => !isAlive(lab.pid()));
  });

  test('that is asked what it cannot tell is told to end', async () => {
    const lab = fakeLab(
      'telemetry.cjs',
      `console.log(JSON.stringify({ program: { version: 'x', pid: 1 } }));
       let specs = 0;
       require('node:readline').createInterface({ input: process.stdin })
         .on('line', () => { if (specs++ > 0) console.log('{}'); })
         .on('close', () => process.exit(0));`,
    );
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await run(['top', '--socket', 'none', '--once'])).toBe(1);
    await until(() => !isAlive(lab.pid()));
  });
});

describe('the command of --when', () => {
  const said = (name: string): string[] =>
    existsSync(folder.file(name)) ? readFileSync(folder.file(name), 'utf8').trim().split('\n') : [];

  test('runs again where the trigger comes on before it has ended', async () => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const file = folder.file('again');
    const action = new Action(
      `echo began >> ${file}; trap 'sleep 0.3; echo ended >> ${file}; exit' TERM; while :; do sleep 0.05; done`,
    );
    action.start();
    await until(() => said('again').length === 1);
    action.start();
    action.stop();
    action.start();
    await until(() => said('again').length === 3);
    expect(said('again')).toEqual(['began', 'ended', 'began']);
    action.stop();
    action.start();
    action.stop();
    await until(() => said('again').length === 4);
    await sleep(300);
    expect(said('again')).toEqual(['began', 'ended', 'began', 'ended']);
  });
});
