// The specification of a trial that the harness starts as a command of ours: on stdin, as jobs have it.
import { text } from 'node:stream/consumers';

import { UsageError } from '../errors.js';

export async function trialSpec<Spec>(command: string): Promise<Spec> {
  const json = await text(process.stdin);
  try {
    return JSON.parse(json) as Spec;
  } catch {
    throw new UsageError(`${command}: a specification in JSON is needed on stdin`);
  }
}
