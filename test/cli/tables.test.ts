// Tables for people, and what a list keeps.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { coloured, renderTable } from '../../experiments/cli/output.js';
import { keepState, readState, type RunState } from '../../experiments/core/run-state.js';
import { textTable } from '../../experiments/report/text-table.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const columns = [{ title: 'point', align: 'left' as const }, { title: 'before' }];
const rows = [['a point with a very long name indeed, longer than a terminal', '47.10']];

test('a table fits the terminal: words are cut, numbers are not', () => {
  const lines = renderTable(columns, rows, { room: 30 }).split('\n');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(30);
  expect(lines[1]).toMatch(/^a point.*…\s+47\.10$/);
  expect(renderTable(columns, rows, { room: 30, wide: true })).toContain('longer than a terminal');
  expect(renderTable(columns, rows)).toContain('longer than a terminal');
});

test('verdicts at the ends of lines have a colour on a terminal alone', () => {
  const table = '1.0  2.0  better\n1.0  2.0  no change\n1.0  2.0  falls short';
  expect(coloured(table, false)).toBe(table);
  expect(coloured(table, true)).toBe(
    '1.0  2.0  \x1b[32mbetter\x1b[0m\n1.0  2.0  no change\n1.0  2.0  \x1b[31mfalls short\x1b[0m',
  );
});

test('a table of fixed width leaves out the columns that have no room, and names them', () => {
  const table = {
    title: '',
    columns: ['name', 'value', 'further'],
    numeric: [false, true, true],
    rows: [['one', '1', '100000000']],
  };
  expect(textTable(table, { width: 12 })).toEqual({
    head: ['name  value'],
    lines: ['one       1'],
    left: ['further'],
  });
  expect(textTable(table, { width: 100 }).left).toEqual([]);
  const long = { ...table, columns: ['name', 'value', 'worst core above the bound'] };
  expect(textTable(long, { width: 100 }).head).toEqual([
    '             worst core',
    '              above the',
    'name  value       bound',
  ]);
});

test('what a list keeps is of this journal, or nothing', () => {
  const run = folder.file('run');
  mkdirSync(run);
  writeFileSync(join(run, 'journal.jsonl'), 'x\n');
  const state: RunState = {
    experiment: 'tiny',
    profile: 'quick',
    seed: 1,
    started: '2000-01-01',
    done: 1,
    planned: 2,
    samples: 3,
    journalBytes: 2,
  };
  expect(readState(run)).toBeUndefined();
  keepState(run, state);
  expect(readState(run)).toEqual(state);
  writeFileSync(join(run, 'journal.jsonl'), 'xy\n');
  expect(readState(run)).toBeUndefined();
  writeFileSync(join(run, 'state.json'), '{"experiment": 1}');
  expect(readState(run)).toBeUndefined();
});
