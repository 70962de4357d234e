// Which two processors a trial gets.
import { expect, test } from 'vitest';

import { twoCores } from '../../experiments/core/context.js';

test('the second processor is no thread of the first one’s core, where there is another', () => {
  // Siblings as Linux numbers them on most machines, and side by side.
  const halves = (cpu: number): number[] => [cpu % 4, (cpu % 4) + 4];
  const pairs = (cpu: number): number[] => [cpu - (cpu % 2), cpu - (cpu % 2) + 1];
  expect(twoCores([0, 1, 2, 3, 4, 5, 6, 7], halves)).toEqual([0, 1]);
  expect(twoCores([0, 1, 2, 3, 4, 5, 6, 7], pairs)).toEqual([0, 2]);
  expect(twoCores([0, 4, 5], halves)).toEqual([0, 5]);
  expect(twoCores([2, 3], pairs)).toEqual([2, 3]);
  expect(twoCores([6], pairs)).toEqual([6]);
  expect(twoCores([], pairs)).toEqual([]);
});
