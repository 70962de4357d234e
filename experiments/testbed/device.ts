// The device under test: a trial on its ports, or the box with RSS++, and what it counted.
import type { JsonObject } from '../core/types.js';
import { ealOf, type Bed } from './bed.js';
import type { Prepared } from './probe.js';
import { ask, openSession, type Session } from './session.js';

/** Members that every device under test is given: ports and their options. */
function dutPort(bed: Bed): JsonObject {
  const { dut } = bed;
  return {
    eal: ealOf(dut),
    in: dut.in,
    out: dut.out,
    queues: dut.queues,
    ...dut.port,
  };
}

/** What a device under test is asked, and how its last answer reads. */
export interface Device {
  open: (signal: AbortSignal) => Promise<Session>;
  window: (session: Session, open: boolean) => Promise<void>;
  stop: (session: Session) => Promise<{ record: JsonObject; counts: DeviceCounts }>;
}

/** Of the whole trial, by the device. */
export interface DeviceCounts {
  received: number;
  /** Before it saw them: by its ports. */
  missed: number;
  /** What its functions refused: not lost. What it had no room for, or could not send, is. */
  refused: number;
  sent: number;
}

export const at = (record: JsonObject, path: string): number => {
  let value: unknown = record;
  for (const name of path.split('.'))
    value = (value as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'number' ? value : 0;
};

export function liveTrial(prepared: Prepared, bed: Bed, trial: JsonObject, seed: number): Device {
  const { descriptors, ...port } = dutPort(bed);
  return {
    open: (signal) =>
      openSession(
        prepared.dut,
        'live-trial',
        {
          ...trial,
          ...(descriptors === undefined ? {} : { ringDepth: descriptors }),
          seed,
          port,
        },
        signal,
      ),
    window: async (session, open) => {
      await ask(session, { do: open ? 'window' : 'close' });
    },
    stop: async (session) => {
      const { record } = await ask<{ record: JsonObject }>(session, { do: 'stop' });
      return {
        record,
        counts: {
          received: at(record, 'checks.in') - at(record, 'checks.ringDropped'),
          missed: at(record, 'checks.ringDropped'),
          refused: at(record, 'checks.nfDropped') + at(record, 'checks.thinned'),
          sent: at(record, 'checks.out'),
        },
      };
    },
  };
}

interface BoxLane extends JsonObject {
  received: number;
  sent: number;
  workUs: number;
}
interface BoxSample extends JsonObject {
  lanes: BoxLane[];
  missed: number;
  flows?: { denied: number; untranslated: number };
  balance?: JsonObject & { moves: number; activeCores: number; imbalancePercent: number };
}

/** Percent, as in the published figures and in native/src/rsspp/balancer.cpp. */
const imbalanceCap = 2000;

const sumOf = (lanes: readonly BoxLane[], value: (lane: BoxLane) => number): number =>
  lanes.reduce((sum, lane) => sum + value(lane), 0);

/** The box with RSS++: how its cores share the load in the window. */
export function box(prepared: Prepared, bed: Bed, options: JsonObject): Device {
  let before: BoxSample | undefined;
  let after: BoxSample | undefined;
  let openedAt = 0;
  let seconds = 0;
  const port = dutPort(bed);
  return {
    open: (signal) =>
      openSession(
        prepared.dut,
        'forward',
        {
          ...port,
          cores: bed.dut.queues,
          user: 'root',
          reframe: false,
          ...options,
        },
        signal,
      ),
    window: async (session, open) => {
      const sample = await ask<BoxSample>(session, { do: 'sample' });
      if (open) [before, openedAt] = [sample, performance.now()];
      else [after, seconds] = [sample, (performance.now() - openedAt) / 1000];
    },
    stop: async (session) => {
      const { summary } = await ask<{ summary: BoxSample }>(session, { do: 'stop' });
      const lanes = (after ?? summary).lanes.map((lane, i) => ({
        received: lane.received - (before?.lanes[i]?.received ?? 0),
        load: seconds > 0 ? (lane.workUs - (before?.lanes[i]?.workUs ?? 0)) / 1e6 / seconds : 0,
      }));
      const loads = lanes.map((lane) => lane.load);
      const [most, least] = [Math.max(...loads), Math.min(...loads)];
      const used = loads.filter((load) => load > 0.01).length;
      return {
        record: {
          job: 'testbed-box',
          loads,
          meanLoad: loads.reduce((sum, load) => sum + load, 0) / Math.max(1, loads.length),
          imbalancePercent:
            least > 0 ? Math.min(imbalanceCap, ((most - least) / least) * 100) : imbalanceCap,
          coresUsed: used,
          moves: (after?.balance?.moves ?? 0) - (before?.balance?.moves ?? 0),
          activeCores: (after ?? summary).balance?.activeCores ?? loads.length,
        },
        counts: {
          received: sumOf(summary.lanes, (lane) => lane.received),
          missed: summary.missed,
          refused: (summary.flows?.denied ?? 0) + (summary.flows?.untranslated ?? 0),
          sent: sumOf(summary.lanes, (lane) => lane.sent),
        },
      };
    },
  };
}
