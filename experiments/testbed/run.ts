// A trial on a bed: the device under test comes up, then the tester; load, window, counts of both.

import { HarnessError } from '../core/errors.js';
import { bedJob, type RunTrial, type TrialResult } from '../core/runner.js';
import type { JsonObject } from '../core/types.js';
import type { Bed } from './bed.js';
import { openFeeder } from './feeder.js';
import { openPktgen } from './pktgen.js';
import type { Prepared } from './probe.js';
import { ask, openSession, type Session } from './session.js';
import { openTcpreplay } from './tcpreplay.js';
import { sleep, type Figures, type LatencyNs, type Load, type Tester } from './tester.js';
import { openTrex } from './trex.js';

function openTester(
  bed: Bed,
  { tester: place }: Prepared,
  source: JsonObject,
  seed: number,
): Promise<Tester> {
  const role = bed.tester;
  switch (role.kind) {
    case 'feeder':
      return openFeeder(place, role, source, seed);
    case 'trex':
      return openTrex(role);
    case 'pktgen':
      return openPktgen(role);
    case 'tcpreplay':
      return openTcpreplay(place, role);
  }
}

/** Members that every device under test is given: ports and their options. */
function dutPort(bed: Bed): JsonObject {
  const { dut } = bed;
  return {
    eal: [...dut.eal],
    in: dut.in,
    out: dut.out,
    queues: dut.queues,
    ...dut.port,
  };
}

/** What a device under test is asked, and how its last answer reads. */
interface Device {
  open: () => Promise<Session>;
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

const at = (record: JsonObject, path: string): number => {
  let value: unknown = record;
  for (const name of path.split('.'))
    value = (value as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'number' ? value : 0;
};

function liveTrial(prepared: Prepared, bed: Bed, trial: JsonObject, seed: number): Device {
  const { descriptors, ...port } = dutPort(bed);
  return {
    open: () =>
      openSession(prepared.dut, 'live-trial', {
        ...trial,
        ...(descriptors === undefined ? {} : { ringDepth: descriptors }),
        seed,
        port,
      }),
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
  flows?: { denied: number };
  balance?: JsonObject & { moves: number; activeCores: number; imbalancePercent: number };
}

/** Percent, as in the published figures and in native/src/rsspp/balancer.cpp. */
const imbalanceCap = 2000;

const sumOf = (lanes: readonly BoxLane[], value: (lane: BoxLane) => number): number =>
  lanes.reduce((sum, lane) => sum + value(lane), 0);

/** The box with RSS++: how its cores share the load in the window. */
function box(prepared: Prepared, bed: Bed, options: JsonObject): Device {
  let before: BoxSample | undefined;
  let after: BoxSample | undefined;
  let openedAt = 0;
  let seconds = 0;
  const port = dutPort(bed);
  return {
    open: () =>
      openSession(prepared.dut, 'forward', {
        ...port,
        cores: bed.dut.queues,
        user: 'root',
        reframe: false,
        ...options,
      }),
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
          refused: summary.flows?.denied ?? 0,
          sent: sumOf(summary.lanes, (lane) => lane.sent),
        },
      };
    },
  };
}

/**
 * Throughput, loss and latency are the tester's: from the wire to the wire, the queue's wait included.
 * Costs a packet, drops by reason and checks are the device's.
 */
export function combine(
  device: { record: JsonObject; counts: DeviceCounts },
  figures: Figures,
  load: Load,
): JsonObject {
  const { counts, record } = device;
  const { all } = figures;
  // Every packet that the tester sent reached the device or its ports' count of losses; every one that
  // the device sent came back.
  const onTheWay = all.sent - counts.received - counts.missed;
  const onTheWayBack = counts.sent - all.received;
  return {
    ...record,
    engine: 'testbed',
    throughputBps: figures.receivedBps,
    throughputPps: figures.seconds > 0 ? figures.received / figures.seconds : 0,
    offeredBps: figures.offeredBps,
    askedBps: load.bps,
    lossShare: all.sent > 0 ? Math.max(0, all.sent - all.received - counts.refused) / all.sent : 0,
    ...(figures.latencyNs === undefined ? {} : latencyMembers(figures.latencyNs)),
    tester: {
      seconds: figures.seconds,
      sent: figures.sent,
      received: figures.received,
      lost: figures.lost,
      ...(figures.outOfOrder === undefined ? {} : { outOfOrder: figures.outOfOrder }),
      sentInAll: all.sent,
      receivedInAll: all.received,
      ...figures.details,
    },
    bed: {
      deviceReceived: counts.received,
      deviceMissed: counts.missed,
      deviceRefused: counts.refused,
      deviceSent: counts.sent,
      onTheWay,
      onTheWayBack,
      agree: onTheWay === 0 && onTheWayBack === 0,
    },
  };
}

/** Under the names of both experiments' metrics. */
const latencyMembers = (ns: LatencyNs): JsonObject => ({
  latencyNs: { ...ns },
  latencyP50Us: ns.p50 / 1000,
  latencyP95Us: (ns.p95 ?? ns.p99) / 1000,
  latencyP99Us: ns.p99 / 1000,
});

/** A frame of nobody's is no error of the device: more than was sent came back, or it lost some itself. */
function impossible(record: JsonObject): string | undefined {
  const back = at(record, 'bed.onTheWayBack');
  if (back < 0) return `${-back} more packets came back than the device sent`;
  if (at(record, 'tester.received') > at(record, 'tester.sent'))
    return 'more packets came back than were sent';
  return undefined;
}

/** The same bed with fewer queues, on both sides. */
const narrowed = (bed: Bed, queues: number): Bed => ({
  ...bed,
  dut: { ...bed.dut, queues },
  tester: { ...bed.tester, queues: Math.min(queues, bed.tester.queues) },
});

async function trial(
  whole: Bed,
  prepared: Prepared,
  job: string,
  { load, source, trial: options, seed = 1, lack, queues }: JsonObject,
): Promise<JsonObject> {
  if (typeof lack === 'string') throw new HarnessError('not-on-this-bed', lack, 3);
  const bed = typeof queues === 'number' ? narrowed(whole, queues) : whole;
  const asked = load as unknown as Load;
  if (asked.bps > bed.linkBps)
    throw new HarnessError(
      'beyond-link',
      `${asked.bps / 1e9} Gbps are more than the bed's link carries (linkGbps ${bed.linkBps / 1e9})`,
      3,
    );
  const device =
    job === 'box'
      ? box(prepared, bed, options as JsonObject)
      : liveTrial(prepared, bed, options as JsonObject, Number(seed));
  const dut = await device.open();
  try {
    const tester = await openTester(bed, prepared, source as JsonObject, Number(seed));
    try {
      await tester.start(asked);
      await sleep(asked.warmupMs);
      await device.window(dut, true);
      await sleep(asked.windowMs);
      await device.window(dut, false);
      const figures = await tester.stop();
      const record = combine(await device.stop(dut), figures, asked);
      const wrong = impossible(record);
      if (wrong !== undefined) throw new HarnessError('check-failed', wrong);
      return record;
    } finally {
      tester.close();
    }
  } finally {
    dut.end();
  }
}

export function makeBedRunner(bed: Bed, prepared: Prepared): RunTrial {
  return async (job, spec, timeoutSeconds): Promise<TrialResult> => {
    const started = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(new HarnessError('bed-timeout', `no end of the trial after ${timeoutSeconds} s`)),
        timeoutSeconds * 1000,
      );
    });
    try {
      const record = await Promise.race([
        trial(bed, prepared, job.slice(bedJob.length), spec),
        late,
      ]);
      return { records: [record], wallMs: performance.now() - started };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { code = 'bed', exitCode = 1 } = error as Partial<HarnessError>;
      return {
        records: [],
        wallMs: performance.now() - started,
        error: { code: String(code), message: error.message, exitCode },
      };
    } finally {
      clearTimeout(timer);
    }
  };
}
