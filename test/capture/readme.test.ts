// The README's program runs as written.
import { afterAll, expect, test } from 'vitest';

import { readPackageFile, runnableBlocks, userProject } from '../helpers/readme.js';

const project = userProject();
afterAll(() => project.remove());

test('the program of capture/README.md', { timeout: 120_000 }, async () => {
  const [block] = runnableBlocks(readPackageFile('capture/README.md'));
  if (block === undefined) throw new Error('there is none');
  const made = await project.run({
    language: 'sh',
    file: undefined,
    text: 'npx reframer generate campus.pcap --profile campus --packets 2k --seed 1 2>&1',
  });
  expect(made.code, made.stdout).toBe(0);
  const { code, stdout, stderr } = await project.run(block);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const [, packets, flows, written] =
    /^(\d+) packets, (\d+) flows, (\d+) written\n$/.exec(stdout) ?? [];
  expect(packets).toBe('2000');
  expect(Number(flows)).toBeGreaterThan(10);
  expect(written).toBe(flows);
});
