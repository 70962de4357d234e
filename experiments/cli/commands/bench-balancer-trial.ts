// One trial of the balancer's parts with real connections: a specification on stdin, a record on stdout.
// The harness starts it, as it starts jobs of reframer-lab.
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';

import { runChanges, type ChangesSpec } from '../../balancer/real/changes.js';
import { missingForNetwork } from '../../balancer/real/network.js';
import { missingForQuic, runQuic, type QuicSpec } from '../../balancer/real/quic.js';
import { runLoss, runTransports, type LossSpec } from '../../balancer/real/transport.js';
import { CliError, exitCodes } from '../errors.js';
import { missingPrograms } from '../linux/spaces.js';
import { benchGroup } from '../main.js';
import { printJson } from '../output.js';
import { parseChoice } from '../units.js';

const iproute = { ss: 'iproute2', nstat: 'iproute2' };
const parts = ['changes', 'transport', 'loss', 'quic'] as const;

const jobs: Readonly<
  Record<
    (typeof parts)[number],
    { needs: () => readonly string[]; run: (spec: unknown) => Promise<object> }
  >
> = {
  changes: {
    needs: () => missingPrograms({ ...iproute, iperf3: 'iperf3', wrk: 'wrk' }),
    run: (spec) => runChanges(spec as ChangesSpec),
  },
  transport: {
    needs: () => missingPrograms({ ...iproute, iperf3: 'iperf3' }),
    run: (spec) => runTransports(spec as { seed: number }),
  },
  loss: {
    needs: () => missingPrograms(iproute),
    run: (spec) => runLoss(spec as LossSpec),
  },
  quic: {
    needs: () => [
      ...missingPrograms({ gtlsclient: 'ngtcp2-client' }),
      ...[missingForQuic()].flatMap((what) => what ?? []),
    ],
    run: (spec) => runQuic(spec as QuicSpec),
  },
};

export function register(program: Command): void {
  benchGroup(program)
    .command('balancer-trial', { hidden: true })
    .description('a trial of `exp balancer` with real connections: its specification on stdin')
    .argument('<part>', parts.join(', '))
    .option('--json', 'print the record, or the error, as JSON')
    .action(async (part: string) => {
      const { needs, run } = jobs[parseChoice(part, 'part', parts)];
      const missing = [...new Set([...missingForNetwork(), ...needs()])];
      if (missing.length > 0)
        throw new CliError(
          'not-supported',
          `this part needs ${missing.join(', ')}`,
          exitCodes.notSupported,
        );
      printJson(await run(JSON.parse(await text(process.stdin))));
    });
}
