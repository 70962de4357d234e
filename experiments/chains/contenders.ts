// Styles of chains by the names that reports use, and by those of the job.
import type { Part } from '../core/types.js';

export const ours = 'flow block';
export const fajita = 'FAJITA style';
export const rebuilt = 'cut and rebuilt';

/** Name in reports, name in the job (native/src/lab/chains/bench.cpp). */
export const styles = {
  [ours]: 'flow-block',
  'flow block, at once': 'flow-block-at-once',
  'flow block, never expires': 'flow-block-never',
  'flow block, T = 16 µs': 'flow-block-t16',
  'flow block, T = 64 µs': 'flow-block-t64',
  'flow block, adaptive': 'flow-block-adaptive',
  [fajita]: 'pooled',
  'FAJITA style, T = 16 µs': 'pooled-t16',
  'FAJITA style, T = 64 µs': 'pooled-t64',
  'services of a session': 'services',
  'one table per function': 'tables',
  [rebuilt]: 'rebuilt',
  'cut by flow': 'cut',
} as const;
export type Style = keyof typeof styles;

/** One trial measures all of them in turns: each is a point inside its record. */
export const unfoldStyles = (
  names: readonly Style[],
  functions: readonly number[] = [3],
  flows: readonly number[] = [0],
): NonNullable<Part['unfold']> =>
  names.flatMap((contender) =>
    functions.flatMap((count) =>
      flows.map((number, which) => ({
        params: {
          contender,
          ...(functions.length > 1 ? { functions: count } : {}),
          ...(flows.length > 1 ? { flows: number } : {}),
        },
        path: `at.${styles[contender]}.${count}.${which}`,
      })),
    ),
  );
