// The programs in conntrack/README.md run as written.
import { afterAll, expect, test } from 'vitest';

import { readPackageFile, runnableBlocks, userProject } from '../helpers/readme.js';

const project = userProject();
afterAll(() => project.remove());

const blocks = runnableBlocks(readPackageFile('conntrack/README.md'));
const printed: Readonly<Record<string, string>> = { 'track.mjs': '1 flow, new: 1,0, reply: 0,1\n' };

test('has the programs that are run here', () => {
  expect(blocks.map((block) => block.file)).toEqual(Object.keys(printed));
});

test.each(blocks.map((block) => [block.file ?? '', block] as const))('%s', async (name, block) => {
  const { code, stdout, stderr } = await project.run(block);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toBe(printed[name]);
});
