// One trial of an experiment's part about real TCP: a specification on stdin, a record on stdout.
import type { Command } from 'commander';

import { missingForTcp } from '../linux/tcp.js';
import { tcpTrial, type TcpTrialSpec } from '../linux/tcp-trial.js';
import { refuseWithout } from '../linux/spaces.js';
import { trialSpec } from '../linux/trial-spec.js';
import { benchGroup } from '../main.js';
import { printJson } from '../output.js';

export function register(program: Command): void {
  benchGroup(program)
    .command('tcp-trial', { hidden: true })
    .description('a trial of `exp reframer --only tcp`: its specification on stdin')
    .option('--json', 'print the record, or the error, as JSON')
    .action(async () => {
      const spec = await trialSpec<TcpTrialSpec>('bench tcp-trial');
      refuseWithout(missingForTcp());
      printJson(await tcpTrial(spec));
    });
}
