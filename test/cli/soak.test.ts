// The property driver, short: every promise holds, and the same seed does the same.
import { expect, test } from 'vitest';

import { reframer } from '../helpers/cli.js';

test('a short soak breaks no promise and repeats by its seed', async () => {
  const run = async (): Promise<Record<string, number>> => {
    const { code, stdout } = await reframer([
      'soak',
      '--packets',
      '2M',
      '--seed',
      '7',
      '--json',
      '--quiet',
    ]);
    expect(code).toBe(0);
    const { seconds, ...counts } = JSON.parse(stdout) as Record<string, number>;
    expect(seconds).toBeGreaterThan(0);
    return counts;
  };
  const first = await run();
  expect(first).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, overHeld: 0, seed: 7 });
  expect(first['packets']).toBeGreaterThanOrEqual(2_000_000);
  expect(first['moves']).toBeGreaterThan(100);
  expect(await run()).toEqual(first);
});

test('refuses what is no number of packets', async () => {
  expect((await reframer(['soak', '--packets', 'many'])).code).toBe(2);
});
