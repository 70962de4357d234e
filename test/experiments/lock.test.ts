// One writer a run: locks of the dead are taken over, by one process, and only theirs.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { giveBack, take } from '#held-file';
import { lockRun } from '../../experiments/core/runs.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const inFolder = (name: string): { path: string; lock: string } => {
  const path = folder.file(name);
  mkdirSync(path);
  return { path, lock: join(path, 'lock') };
};

/** Field 22 of proc(5): in ticks since the machine began. */
const beganAt = (pid: number): string =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')[19] ?? '';
const ours = `${process.pid} ${beganAt(process.pid)}`;

test('one writer; a lock of nobody, or of no process, is taken over', () => {
  const { path, lock } = inFolder('locked');
  const release = lockRun(path);
  expect(readFileSync(lock, 'utf8')).toBe(ours);
  release();
  for (const left of ['', 'nonsense', '-1', '4194305']) {
    writeFileSync(lock, left);
    lockRun(path)();
  }
  writeFileSync(lock, String(process.ppid));
  expect(() => lockRun(path)).toThrow(expect.objectContaining({ code: 'run-in-use' }));
  expect(readFileSync(lock, 'utf8')).toBe(String(process.ppid));
  expect(readdirSync(path)).toEqual(['lock']);
});

test('the number of a dead one may be that of another process by now', () => {
  const { path, lock } = inFolder('again');
  writeFileSync(lock, `${process.ppid} ${beganAt(process.ppid)}`);
  expect(() => lockRun(path)).toThrow(`is being written by process ${process.ppid};`);
  writeFileSync(lock, `${process.ppid} 1${beganAt(process.ppid)}`);
  lockRun(path)();
  expect(readdirSync(path)).toEqual([]);
});

test('what the others took over is not given back', () => {
  const { path, lock } = inFolder('taken');
  const release = lockRun(path);
  writeFileSync(lock, String(process.ppid));
  release();
  expect(readFileSync(lock, 'utf8')).toBe(String(process.ppid));
});

// Whether a lock is a dead one's is asked between looks at it: there another process does its part.
describe('two that see the lock of a dead one', () => {
  const other = '4194306';
  const dead = '4194305';

  test('the second does not remove what the first has taken by then', () => {
    const { path, lock } = inFolder('aba');
    writeFileSync(lock, dead);
    let asked = 0;
    const held = take(lock, (text) => {
      if (++asked === 1)
        expect(take(lock, (each) => each !== dead, `${other} first`)).toBeUndefined();
      return text !== dead;
    });
    expect(held).toBe(`${other} first`);
    expect(readFileSync(lock, 'utf8')).toBe(`${other} first`);
    expect(readdirSync(path)).toEqual(['lock']);
  });

  test('one removes it: the second is told who does', () => {
    const { path, lock } = inFolder('at-once');
    writeFileSync(lock, dead);
    const told: (string | undefined)[] = [];
    const held = take(lock, (text) => {
      const removing = readdirSync(path).includes('lock.stale');
      if (removing) told.push(take(lock, (each) => each !== dead, other));
      return text !== dead;
    });
    expect(held).toBeUndefined();
    expect(told).toEqual([String(process.pid)]);
    expect(readFileSync(lock, 'utf8')).toBe(String(process.pid));
    giveBack(lock);
    expect(readdirSync(path)).toEqual([]);
  });

  test('one that died while it removed it is no obstacle', () => {
    const { path, lock } = inFolder('died');
    for (const name of ['lock', 'lock.stale', 'lock.stale.stale'])
      writeFileSync(join(path, name), dead);
    lockRun(path);
    expect(readdirSync(path)).toEqual(['lock']);
    expect(readFileSync(lock, 'utf8')).toBe(ours);
  });
});
