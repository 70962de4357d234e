// Figures of a kept run that must not be quoted any more, and why: `superseded.json` beside its journal.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { HarnessError } from '../core/errors.js';
import { check, resultsSchema } from '../core/schema.js';

export const supersededName = 'superseded.json';

export interface Superseded {
  /** Parts, figures or claims. */
  what: string;
  why: string;
}

/** @throws HarnessError `bad-superseded`: the file is not a list of {what, why} */
export function readSuperseded(folder: string): Superseded[] {
  const file = join(folder, supersededName);
  if (!existsSync(file)) return [];
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new HarnessError('bad-superseded', `${file}: ${(error as Error).message}`);
  }
  const problems = check(resultsSchema().superseded, value, supersededName);
  if (problems.length > 0) throw new HarnessError('bad-superseded', `${file}: ${problems.join('; ')}`);
  return value as Superseded[];
}
