// Our own feeder: a process of reframer-dpdk on any DPDK port; stamps in the payload.
import { HarnessError } from '../core/errors.js';
import type { JsonObject } from '../core/types.js';
import { ealOf, type TesterRole } from './bed.js';
import type { Place } from './probe.js';
import { ask, openSession } from './session.js';
import type { Figures, LatencyNs, Tester } from './tester.js';

interface Result extends JsonObject {
  seconds: number;
  sent: number;
  received: number;
  lost: number;
  outOfOrder: number;
  offeredBps: number;
  receivedBps: number;
  reachedShare: number;
  latencyNs: LatencyNs & JsonObject;
  all: { sent: number; received: number };
}

/** Of silence after the last packet was sent. */
const graceMs = 200;

export async function openFeeder(
  place: Place,
  role: TesterRole,
  source: JsonObject,
  seed: number,
  signal?: AbortSignal,
): Promise<Tester> {
  const session = await openSession(
    place,
    'tester',
    {
      eal: ealOf(role),
      tx: role.tx,
      rx: role.rx,
      queues: role.queues,
      cores: role.cores,
      source,
      seed,
      ...role.port,
    },
    signal,
  );
  return {
    about: session.ready,
    start: async ({ bps, warmupMs, windowMs }) => {
      await ask(session, {
        do: 'start',
        ...(bps > 0 ? { bps } : {}),
        warmupMs,
        windowMs,
        graceMs,
      });
    },
    stop: async (): Promise<Figures> => {
      const { result } = await ask<{ result?: Result }>(session, { do: 'stop' });
      if (result === undefined)
        throw new HarnessError('tester', 'the tester ended without a result');
      return {
        seconds: result.seconds,
        sent: result.sent,
        received: result.received,
        lost: result.lost,
        outOfOrder: result.outOfOrder,
        latencyNs: result.latencyNs,
        offeredBps: result.offeredBps,
        receivedBps: result.receivedBps,
        reachedShare: result.reachedShare,
        all: { sent: result.all.sent, received: result.all.received },
        details: {
          duplicates: result.duplicates ?? 0,
          foreign: result.foreign ?? 0,
          lateNs: result.lateNs ?? 0,
          stragglersNs: result.stragglersNs ?? 0,
        },
      };
    },
    close: () => session.close(),
  };
}
