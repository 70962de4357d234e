// A report whose PDF cannot be made: no PDF of an earlier journal may lie beside it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test, vi } from 'vitest';

import { openRun } from '../../experiments/core/runs.js';
import { writeReport } from '../../experiments/report/write.js';
import { temporaryFolder } from '../helpers/cli.js';
import { runTiny, tiny } from './helpers.js';

vi.mock('../../experiments/report/pdf.js', () => ({
  paperPdf: () => {
    throw new Error('no compiler');
  },
  supplementPdf: () => Buffer.from('of this journal'),
}));

const folder = temporaryFolder();
afterAll(() => folder.remove());

test('the paper that fails goes, the supplement is made', async () => {
  const run = folder.file('run');
  await runTiny(run);
  for (const name of ['report.pdf', 'supplement.pdf'])
    writeFileSync(folder.file(`run/${name}`), 'of an earlier one');
  const { files, notes } = writeReport(openRun(run), tiny());
  expect(existsSync(folder.file('run/report.pdf'))).toBe(false);
  expect(readFileSync(folder.file('run/supplement.pdf'), 'utf8')).toBe('of this journal');
  expect(files).toContain('supplement.pdf');
  expect(files).not.toContain('report.pdf');
  expect(notes).toContainEqual(expect.stringMatching(/^report\.pdf: no compiler -> /));
});
