// One trial of an experiment's part about Linux: a specification on stdin, a record on stdout. The harness
// starts it, as it starts jobs of reframer-lab.
import type { Command } from 'commander';

import { CliError } from '../errors.js';
import { linuxTrial, type TrialSpec } from '../linux/trial-job.js';
import { trialSpec } from '../linux/trial-spec.js';
import { benchGroup } from '../main.js';
import { printJson } from '../output.js';

export function register(program: Command): void {
  benchGroup(program)
    .command('linux-trial', { hidden: true })
    .description('a trial of `exp reframer --only linux`: its specification on stdin')
    .option('--json', 'print the record, or the error, as JSON')
    .action(async () => {
      const record = await linuxTrial(await trialSpec<TrialSpec>('bench linux-trial'));
      const late = Object.entries(record.at).filter(([, { outOfOrder }]) => outOfOrder > 0);
      if (late.length > 0)
        throw new CliError('linux-order', `out of order: ${late.map(([name]) => name).join(', ')}`);
      printJson(record);
    });
}
