// What job `watch` counts on an interface (native/src/lab/linux/watch.cpp), and what it means between
// two looks.
import type { ErrorRecord } from '../errors.js';

export const delaysUs = ['16', '64', '128'] as const;
export const reuseDistances = ['4', '16', '64'] as const;
export const classes = [
  'tcp',
  'udp',
  'icmp',
  'other',
  'notIp',
  'syn',
  'synAck',
  'fin',
  'rst',
] as const;

export type Sample = Record<(typeof classes)[number], number> & {
  packets: number;
  bytes: number;
  /** Packets of a flow in a row, on one queue. */
  runs: number;
  reused: Record<(typeof reuseDistances)[number], number>;
  /** What would be left of `runs` if each flow was held for that many µs. */
  heldRuns: Record<(typeof delaysUs)[number], number>;
  buckets: number[];
  /** Estimates: since the beginning, and since the last look. */
  flows: number;
  flowsSince: number;
  runNs: number;
  runCount: number;
};

export interface WatchReply extends Partial<Sample> {
  ready?: { queues: number; inDriver: boolean };
  error?: ErrorRecord;
  failed?: string;
}

/** Of the time between two looks, or of all of it. */
export interface Locality {
  seconds: number;
  packets: number;
  bytes: number;
  packetsPerSecond: number;
  bitsPerSecond: number;
  flows: number;
  /** Undefined without packets. */
  slf?: number;
  slfHeld?: Record<(typeof delaysUs)[number], number>;
  /** Share of the packets. */
  reuse?: Record<(typeof reuseDistances)[number], number>;
  /** Share of the packets in the heaviest of the buckets. */
  heaviestBucket?: number;
  perSecond: Record<(typeof classes)[number], number>;
}

const each = <K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> =>
  Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;

/** @param before nothing: since the beginning */
export function localityOf(now: Sample, before: Sample | undefined, seconds: number): Locality {
  const since = (count: (sample: Sample) => number): number =>
    count(now) - (before === undefined ? 0 : count(before));
  const packets = since((sample) => sample.packets);
  const bytes = since((sample) => sample.bytes);
  const rate = (count: number): number => (seconds > 0 ? count / seconds : 0);
  const locality = {
    seconds,
    packets,
    bytes,
    packetsPerSecond: rate(packets),
    bitsPerSecond: rate(8 * bytes),
    flows: Math.round(before === undefined ? now.flows : now.flowsSince),
    perSecond: each(classes, (key) => rate(since((sample) => sample[key]))),
  };
  if (packets === 0) return locality;
  const perRun = (runs: number): number => packets / Math.max(1, runs);
  return {
    ...locality,
    slf: perRun(since((sample) => sample.runs)),
    slfHeld: each(delaysUs, (us) => perRun(since((sample) => sample.heldRuns[us]))),
    reuse: each(reuseDistances, (key) => since((sample) => sample.reused[key]) / packets),
    heaviestBucket:
      Math.max(...now.buckets.map((count, i) => count - (before?.buckets[i] ?? 0))) / packets,
  };
}
