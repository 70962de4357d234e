// What trials of the path say, by function, kernel, flows and order.
import { medianInterval } from '../../core/statistics.js';
import type { Kernel } from './kernels.js';
import type { Driver } from './box.js';
import type { LinuxFunction } from './path.js';
import type { Order, Traffic, Trial } from './send.js';

/** A box in the path, and at what pace packets pass it. */
export interface Live {
  driver: Driver;
  packetsPerSecond: number;
  cpu: number;
}

export interface Plan {
  /** Otherwise the order is formed beforehand. */
  live?: Live | undefined;
  traffic: Traffic;
  /** Campus: queues of the wire; the kernel core has one. */
  wireQueues: number;
  orders: Order[];
  flows: number[];
  /** Of the wire in front of Reframer. */
  offeredBps: number[];
  senderCpu: number;
  kernelCpu: number;
  seconds: number;
  warmSeconds: number;
  rounds: number;
  seed: number;
  /** Look for the highest rate without loss, too. */
  lossless?: boolean;
}

export interface LinuxRow {
  function: LinuxFunction;
  kernel: string;
  queues: number;
  flushUs: number;
  storedHash: boolean;
  traffic: Traffic;
  mode: 'aggregate' | 'live';
  flows: number;
  offeredGbps: number;
  delayUs: number;
  windowPackets: number;
  /** By construction; 1 where Reframer formed the order. */
  inARow: number;
  slf: number;
  /** May it merge. */
  gro: boolean;
  nsPerPacket: number;
  nsLow: number;
  nsHigh: number;
  /** Against the same without Reframer and in rows of one, round by round. */
  savedPercent: number;
  segmentsPerMerged: number;
  /** What a core that does nothing else takes at that cost. */
  maxKpps: number;
  /** The highest rate that it took without loss, by bisection; where that was asked for. */
  losslessKpps?: number;
  /** The sender could not send faster than that. */
  senderIsLimit?: boolean;
  sent: number;
  lost: number;
  outOfOrder: number;
  trials: number;
  /** Live: the box's own core, a packet, and the median hold. */
  boxNsPerPacket?: number;
  holdUs?: number;
  /** Live: from sender to sink, by stamps in the segments. */
  latencyP50Us?: number;
  latencyP99Us?: number;
}

/** Of a frame of 1,000 bytes of payload: headers, check sequence, preamble, gap. */
export const wireBits = 8 * (1000 + 66 + 24);

export function rowsOf(
  fn: LinuxFunction,
  kernel: Kernel,
  flows: number,
  plan: Plan,
  trials: readonly Trial[][],
): LinuxRow[] {
  type Numbers = Exclude<keyof Trial, 'box' | 'latency'>;
  const middle = (of: readonly Trial[], key: Numbers): number =>
    medianInterval(of.map((trial) => trial[key])).value;
  const sum = (of: readonly Trial[], key: Numbers): number =>
    of.reduce((all, trial) => all + trial[key], 0);
  // Beside the trial of the same round: the machine's speed changes from round to round.
  const alone = trials[plan.orders.findIndex((order) => 'slf' in order && order.slf === 1)] ?? [];
  const saved = (of: readonly Trial[]): number =>
    medianInterval(
      of.flatMap((trial, round) => {
        // The last round has none where it was stopped.
        const partner = alone[round];
        return partner === undefined ? [] : [1 - trial.nsPerPacket / partner.nsPerPacket];
      }),
    ).value;
  const offeredBps = (order: Order, of: readonly Trial[]): number => {
    if (plan.live !== undefined) return middle(of, 'packetsPerSecond') * wireBits;
    return 'delayNs' in order ? order.offeredBps : (plan.offeredBps[0] ?? Number.NaN);
  };
  return plan.orders.flatMap((order, i) => {
    const of = trials[i] ?? [];
    if (of.length === 0) return [];
    const ns = medianInterval(of.map((trial) => trial.nsPerPacket));
    return [
      {
        function: fn,
        kernel: kernel.name,
        queues: kernel.queues,
        flushUs: kernel.flushNs / 1e3,
        storedHash: kernel.storedHash,
        traffic: plan.traffic,
        mode: plan.live === undefined ? ('aggregate' as const) : ('live' as const),
        flows: plan.traffic === 'campus' ? middle(of, 'flows') : flows,
        offeredGbps: offeredBps(order, of) / 1e9,
        delayUs: 'delayNs' in order ? order.delayNs / 1e3 : 0,
        windowPackets: middle(of, 'windowPackets'),
        inARow: 'slf' in order ? order.slf : 1,
        slf: middle(of, 'slf'),
        gro: kernel.merges,
        nsPerPacket: ns.value,
        nsLow: ns.low,
        nsHigh: ns.high,
        savedPercent: 100 * saved(of),
        segmentsPerMerged: middle(of, 'segmentsPerMerged'),
        maxKpps: 1e6 / ns.value,
        sent: sum(of, 'sent'),
        lost: sum(of, 'lost'),
        outOfOrder: sum(of, 'outOfOrder'),
        trials: of.length,
        ...(plan.live === undefined
          ? {}
          : {
              boxNsPerPacket: medianInterval(of.map(({ box }) => box?.nsPerPacket ?? Number.NaN))
                .value,
              holdUs: medianInterval(of.map(({ box }) => box?.holdUs ?? Number.NaN)).value,
              latencyP50Us: medianInterval(of.map((t) => t.latency?.p50Us ?? Number.NaN)).value,
              latencyP99Us: medianInterval(of.map((t) => t.latency?.p99Us ?? Number.NaN)).value,
            }),
      },
    ];
  });
}
