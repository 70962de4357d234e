// Options that would change nothing for want of another one: what runs would not be what was asked for.
import type { Command } from 'commander';

import { UsageError } from './errors.js';

export interface Need {
  /** Names of options as their values are called: `flowTimeout`. */
  options: readonly string[];
  /** Whether what they need is there. */
  met: boolean;
  /** What a user is told behind the option's flag: 'goes with --track'. */
  text: string;
}

/** @throws UsageError for the first option on the command line whose need is not met */
export function refuseIgnored(command: Command, needs: readonly Need[]): void {
  for (const { options, met, text } of needs) {
    const idle = options.find((name) => !met && command.getOptionValueSource(name) === 'cli');
    if (idle === undefined) continue;
    const flag = command.options.find((option) => option.attributeName() === idle)?.long;
    throw new UsageError(`${flag ?? idle} ${text}`);
  }
}
