// Trials of every path that was chosen, in rounds: each round in an order drawn anew, so that drift
// meets all alike.
import { seededRandom, shuffled } from '../../core/random.js';
import type { Kernel } from './kernels.js';
import { sendLive } from './live.js';
import { highestLossless } from './lossless.js';
import { LinuxPath, missingForLinux, type LinuxFunction } from './path.js';
import { rowsOf, type LinuxRow, type Plan } from './rows.js';
import { send, type Sending, type Trial } from './send.js';
import { refuseWithout } from './spaces.js';

export interface Chosen {
  functions: readonly LinuxFunction[];
  kernels: readonly Kernel[];
}

/** @throws CliError where something is missing */
export async function measureLinux(
  plan: Plan,
  { functions, kernels }: Chosen,
  stopping: { stopped: () => boolean },
  told: (done: number, total: number) => void,
): Promise<LinuxRow[]> {
  refuseWithout(missingForLinux());
  const paths = functions.flatMap((fn) => kernels.map((kernel) => ({ fn, kernel })));
  const total = paths.length * plan.flows.length * plan.orders.length * plan.rounds;
  const rows: LinuxRow[] = [];
  let done = 0;
  for (const { fn, kernel } of paths) {
    if (stopping.stopped()) break;
    const path = await LinuxPath.open({
      ...kernel,
      function: fn,
      cpu: plan.kernelCpu,
      box: plan.live?.driver,
    });
    try {
      for (const flows of plan.flows) {
        const trials = await measurePath(path, kernel, flows, plan, stopping, () =>
          told(++done, total),
        );
        const measured = rowsOf(fn, kernel, flows, plan, trials);
        if (plan.lossless === true)
          await addLossless(measured, path, kernel, flows, plan, stopping);
        rows.push(...measured);
      }
    } finally {
      path.close();
    }
  }
  return rows;
}

/** More than any sender sends. */
const asFastAsItCan = 2e7;

/** Rows of a plan are in the order of its orders. */
async function addLossless(
  rows: LinuxRow[],
  path: LinuxPath,
  kernel: Kernel,
  flows: number,
  plan: Plan,
  stopping: { stopped: () => boolean },
): Promise<void> {
  if (rows.length !== plan.orders.length) return; // it was stopped
  for (const [i, order] of plan.orders.entries()) {
    const row = rows[i];
    if (row === undefined || stopping.stopped()) return;
    const { kpps, senderIsLimit } = await highestLossless(row.maxKpps * 1e3, (packetsPerSecond) =>
      send(path, order, { ...sendingOf(plan, kernel, flows, 0), packetsPerSecond }),
    );
    row.losslessKpps = kpps;
    row.senderIsLimit = senderIsLimit;
  }
}

const sendingOf = (plan: Plan, kernel: Kernel, flows: number, round: number): Sending => ({
  traffic: plan.traffic,
  flows,
  wireQueues: plan.wireQueues,
  offeredBps: plan.offeredBps[0] ?? Number.NaN,
  storedHash: kernel.storedHash,
  checkedByNic: kernel.checkedByNic,
  cpu: plan.senderCpu,
  seconds: plan.seconds,
  warmSeconds: plan.warmSeconds,
  seed: plan.seed + round,
  // Nobody can keep a program that never sleeps waiting until the rings are full.
  ...(kernel.busyPoll ? { packetsPerSecond: asFastAsItCan } : {}),
});

async function measurePath(
  path: LinuxPath,
  kernel: Kernel,
  flows: number,
  plan: Plan,
  stopping: { stopped: () => boolean },
  told: () => void,
): Promise<Trial[][]> {
  const trials: Trial[][] = plan.orders.map(() => []);
  const random = seededRandom(plan.seed);
  for (let round = 0; round < plan.rounds; round++) {
    for (const [i, order] of shuffled([...plan.orders.entries()], random)) {
      if (stopping.stopped()) return trials;
      const { live } = plan;
      const sending = sendingOf(plan, kernel, flows, round);
      const trial = await (live === undefined
        ? send(path, order, sending)
        : sendLive(path, order, { ...sending, packetsPerSecond: live.packetsPerSecond }, live.cpu));
      trials[i]?.push(trial);
      told();
    }
  }
  return trials;
}
