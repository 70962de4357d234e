// Journals that somebody, or something, has been at: they are read and summed up, or refused with one
// message that names the place; nothing else may happen.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { HarnessError } from '../../experiments/core/errors.js';
import { openRun } from '../../experiments/core/runs.js';
import { summarize } from '../../experiments/core/summary.js';
import { temporaryFolder } from '../helpers/cli.js';
import '../helpers/seed.js';
import { fakeTrials, runTiny, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

let lines: string[] = [];
beforeAll(async () => {
  const { runTrial } = fakeTrials();
  await runTiny(folder.file('sound'), { runTrial });
  lines = readFileSync(join(folder.file('sound'), 'journal.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
});

const odd = fc.oneof(
  fc.constantFrom<unknown>(0, -1, 1e300, 2 ** 53, '', 'sample', '__proto__', null, true, [], {}, [
    [],
  ]),
  fc.jsonValue({ maxDepth: 1 }),
);
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom('{', '{}', '[]', 'null', '{"type":"sample"}', '{"type":"unheard"}', '\u0000'),
);

/** A line as JSON has it; what an earlier damage left need not be an object, nor JSON at all. */
const parsed = (line = '{}') => JSON.parse(line) as unknown;

/** Gives one member of `target` another value, where `target` has members. */
function setSome(target: unknown, which: number, value: unknown) {
  if (typeof target !== 'object' || target === null) return;
  const names = Object.keys(target);
  (target as Record<string, unknown>)[names[which % names.length] ?? 'x'] = value;
}

type Damage = (lines: string[], at: number) => void;

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.constant<Damage>((all, at) => void all.splice(at, 1)),
  fc.constant<Damage>((all, at) => void all.splice(at, 0, all[(at * 7) % all.length] ?? '')),
  fc.constant<Damage>(
    (all, at) => void all.splice(0, all.length, ...all.slice(at), ...all.slice(0, at)),
  ),
  text.map((garbage): Damage => (all, at) => {
    all[at] = garbage;
  }),
  fc.tuple(fc.nat(), odd).map(([which, value]): Damage => (all, at) => {
    const line = parsed(all[at]);
    setSome(line, which, value);
    all[at] = JSON.stringify(line);
  }),
  fc.tuple(fc.nat(), odd).map(([which, value]): Damage => (all, at) => {
    const line = parsed(all[at]) as { record?: unknown } | null;
    setSome(line?.record, which, value);
    all[at] = JSON.stringify(line);
  }),
);

describe('a damaged journal', () => {
  test('is summed up, or refused with one message', () => {
    let run = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(damage, fc.nat()), { minLength: 1, maxLength: 3 }),
        (damages) => {
          const all = [...lines];
          for (const [change, at] of damages) {
            try {
              if (all.length > 0) change(all, at % all.length);
            } catch (error) {
              expect(error).toBeInstanceOf(SyntaxError); // garbage of the change before
            }
          }
          const path = folder.file(`damaged-${run++ % 4}`);
          mkdirSync(path, { recursive: true });
          writeFileSync(join(path, 'journal.jsonl'), `${all.join('\n')}\n`);
          try {
            summarize(tiny(), openRun(path).history);
          } catch (error) {
            expect(error).toBeInstanceOf(HarnessError);
            expect((error as HarnessError).message).not.toContain('\n');
            expect((error as HarnessError).message.length).toBeGreaterThan(20);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
