// A bed on one machine, see experiments/testbed/local-bed.ts, and what it needs.
import { readFileSync } from 'node:fs';

export * from '../../experiments/testbed/local-bed.js';

/** That this process may use. */
export const processors: number =
  /^Cpus_allowed_list:\s*(.+)$/m
    .exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    ?.split(',')
    .reduce((sum, part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return sum + last - first + 1;
    }, 0) ?? 1;
