// The program in balancer/README.md runs as written.
import { afterAll, expect, test } from 'vitest';

import { readPackageFile, runnableBlocks, userProject } from '../helpers/readme.js';

const project = userProject();
afterAll(() => project.remove());

test('the program of balancer/README.md', async () => {
  const [block] = runnableBlocks(readPackageFile('balancer/README.md'));
  if (block === undefined) throw new Error('there is none');
  const { code, stdout, stderr } = await project.run(block);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/active: 2/);
});
