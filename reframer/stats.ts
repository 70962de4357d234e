import {
  histogramBuckets,
  reframerFunctions,
  type NativeStage,
  type NativeStats,
} from '../native/binding-reframer.js';

/** Why a group left. */
export type Reason = 'deadline' | 'early' | 'bypass' | 'burst' | 'capacity' | 'drain';

/** In the order of the C header. */
export const reasons: readonly Reason[] = [
  'deadline',
  'early',
  'bypass',
  'burst',
  'capacity',
  'drain',
];

/** Counters since creation or `resetStats()`; times in nanoseconds. */
export interface ReframerStats {
  packetsIn: number;
  packetsOut: number;
  /** Taken out by ACK thinning. */
  packetsThinned: number;
  bytesIn: number;
  bytesOut: number;
  runsIn: number;
  runsOut: number;
  /** Spatial locality factor: packets a run, of what came and of what left. NaN before the first. */
  slfIn: number;
  slfOut: number;
  /** Lookups that a function doing one a run is spared, compared with the order of arrival. */
  lookupsSaved: number;
  /** Groups, by reason. */
  released: Record<Reason, number>;
  /** Packets that did not wait. */
  bypassed: number;
  /** Packets moved by TCP repair. */
  repaired: number;
  /** Packets in the group of what could not be parsed. */
  unparsed: number;
  /** Times that `now` was below an earlier one. */
  clockBackwards: number;
  groupsHeld: number;
  packetsHeld: number;
  bytesHeld: number;
  packetsHeldMax: number;
  holdMaxNs: number;
  holdP50Ns: number;
  holdP99Ns: number;
  /** T now in force; moves under `adaptive`. */
  delayNs: number;
  /** Packets that were not grouped at all, because `adaptive` gains nothing by it. */
  passed: number;
}

/** Packets that were held for `lowNs` and less than the next bucket's. */
export interface HoldBucket {
  lowNs: number;
  packets: number;
}

function readHolds(stage: NativeStage): BigUint64Array {
  const packets = new BigUint64Array(histogramBuckets);
  reframerFunctions().holdHistogram(stage, packets, packets.length);
  return packets;
}

export function readHoldHistogram(stage: NativeStage): HoldBucket[] {
  const { histogramLowNs } = reframerFunctions();
  return [...readHolds(stage)].flatMap((packets, i) =>
    packets === 0n ? [] : [{ lowNs: histogramLowNs(i), packets: Number(packets) }],
  );
}

export function readStats(stage: NativeStage): ReframerStats {
  const functions = reframerFunctions();
  const native = {} as NativeStats;
  functions.getStats(stage, native);
  const holds = readHolds(stage);
  const quantile = (q: number): number => functions.holdQuantile(holds, holds.length, q);
  const released = Object.fromEntries(
    reasons.map((reason, i) => [reason, native.released[i] ?? 0]),
  );
  return {
    packetsIn: native.packets_in,
    packetsOut: native.packets_out,
    packetsThinned: native.packets_thinned,
    bytesIn: native.bytes_in,
    bytesOut: native.bytes_out,
    runsIn: native.runs_in,
    runsOut: native.runs_out,
    slfIn: native.packets_in / native.runs_in,
    slfOut: native.packets_out / native.runs_out,
    lookupsSaved: native.runs_in - native.runs_out,
    released: released as Record<Reason, number>,
    bypassed: native.bypassed,
    repaired: native.repaired,
    unparsed: native.unparsed,
    clockBackwards: native.clock_backwards,
    groupsHeld: native.groups_held,
    packetsHeld: native.packets_held,
    bytesHeld: native.bytes_held,
    packetsHeldMax: native.packets_held_max,
    holdMaxNs: native.hold_max_ns,
    holdP50Ns: quantile(0.5),
    holdP99Ns: quantile(0.99),
    delayNs: native.delay_ns,
    passed: native.passed,
  };
}
