// Figures of a kept run that must not be quoted any more, and why: `superseded.json` beside its journal.
import { join } from 'node:path';

import { cleanValue } from '../core/clean.js';
import { HarnessError } from '../core/errors.js';
import { kindOf, readOwnFile } from '../core/files.js';
import { check, resultsSchema } from '../core/schema.js';

export const supersededName = 'superseded.json';

// Bytes; a line or two for each figure is a hundredth of it.
const largest = 2 ** 20;

export interface Superseded {
  /** Parts, figures or claims. */
  what: string;
  why: string;
}

/** @throws HarnessError `bad-superseded`: the file is not a list of {what, why} */
export function readSuperseded(folder: string): Superseded[] {
  const file = join(folder, supersededName);
  if (kindOf(file) === undefined) return [];
  const text = readOwnFile(file, largest).toString('utf8');
  let value: unknown;
  try {
    value = cleanValue(JSON.parse(text));
  } catch (error) {
    throw new HarnessError('bad-superseded', `${file}: ${(error as Error).message}`);
  }
  const problems = check(resultsSchema().superseded, value, supersededName);
  if (problems.length > 0)
    throw new HarnessError('bad-superseded', `${file}: ${problems.join('; ')}`);
  return value as Superseded[];
}
