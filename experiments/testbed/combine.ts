// A trial's record: what the tester saw and what the device counted, in one.
import type { JsonObject } from '../core/types.js';
import { at, type DeviceCounts } from './device.js';
import { leastReached, type Figures, type LatencyNs, type Load } from './tester.js';

/**
 * Throughput, loss and latency are the tester's: from the wire to the wire, the queue's wait included.
 * Costs a packet, drops by reason and checks are the device's.
 */
export function combine(
  device: { record: JsonObject; counts: DeviceCounts },
  figures: Figures,
  load: Load,
): JsonObject {
  const { counts } = device;
  // Its latency begins at the poll: never in the place of one from the wire.
  const { latencyNs: deviceLatencyNs, ...record } = device.record;
  const { all, reachedShare } = figures;
  // Every packet that the tester sent reached the device or its ports' count of losses; every one that
  // the device sent came back.
  const onTheWay = all.sent - counts.received - counts.missed;
  const onTheWayBack = counts.sent - all.received;
  const lossShare =
    all.sent > 0 ? Math.max(0, all.sent - all.received - counts.refused) / all.sent : 0;
  const reached = reachedShare >= leastReached;
  return {
    ...record,
    ...(deviceLatencyNs === undefined ? {} : { deviceLatencyNs }),
    engine: 'testbed',
    throughputBps: figures.receivedBps,
    throughputPps: figures.seconds > 0 ? figures.received / figures.seconds : 0,
    offeredBps: figures.offeredBps,
    askedBps: load.bps,
    lossShare,
    // A rate that the tester did not offer was not carried, whatever came back.
    notCarriedShare: reached ? lossShare : Math.max(lossShare, 1 - reachedShare),
    ...(figures.latencyNs === undefined ? {} : latencyMembers(figures.latencyNs)),
    tester: {
      seconds: figures.seconds,
      reached,
      reachedShare,
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
export function impossible(record: JsonObject): string | undefined {
  const back = at(record, 'bed.onTheWayBack');
  if (back < 0) return `${-back} more packets came back than the device sent`;
  if (at(record, 'tester.received') > at(record, 'tester.sent'))
    return 'more packets came back than were sent';
  return undefined;
}
