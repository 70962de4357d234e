// Counters of the box as Prometheus takes them. Rates are Prometheus's affair: rate(..._total[1m]).
import { total, type Lane, type Sample } from './box.js';
import type { Metric, MetricSample } from './metrics.js';

type Labels = MetricSample['labels'];

const labelsOf = (lane: Lane): Labels => ({ in: lane.in, out: lane.out, queue: lane.queue });

// holds[] of a lane counts below 2^10, 2^11, ... ns.
const firstBound = 10;

function holdSamples(lane: Lane): MetricSample[] {
  const count = lane.holds.at(-1) ?? 0;
  const labels = labelsOf(lane);
  return [
    ...lane.holds.map((value, i): MetricSample => {
      const le = i === lane.holds.length - 1 ? '+Inf' : 2 ** (firstBound + i) / 1e9;
      return { labels: { ...labels, le }, value, series: 'bucket' };
    }),
    { labels, value: lane.holdSumUs / 1e6, series: 'sum' },
    { labels, value: count, series: 'count' },
  ];
}

export function metricsOf({ lanes, ports }: Sample): Metric[] {
  const lane = (
    name: string,
    type: Metric['type'],
    help: string,
    value: (lane: Lane) => number,
  ): Metric => ({
    name: `reframer_${name}`,
    type,
    help,
    samples: lanes.map((each) => ({ labels: labelsOf(each), value: value(each) })),
  });
  const both = (
    name: string,
    help: string,
    into: (lane: Lane) => number,
    out: (lane: Lane) => number,
  ): Metric => ({
    name: `reframer_${name}`,
    type: 'counter',
    help,
    samples: lanes.flatMap((each) => [
      { labels: { ...labelsOf(each), direction: 'in' }, value: into(each) },
      { labels: { ...labelsOf(each), direction: 'out' }, value: out(each) },
    ]),
  });
  const port = (
    name: string,
    help: string,
    value: (port: Sample['ports'][number]) => number,
  ): Metric => ({
    name: `reframer_${name}`,
    type: 'counter',
    help,
    samples: ports.map((each) => ({ labels: { port: each.port }, value: value(each) })),
  });
  return [
    lane(
      'packets_received_total',
      'counter',
      'Packets taken from the receive ring.',
      (l) => l.received,
    ),
    lane('packets_sent_total', 'counter', 'Packets that the transmit queue took.', (l) => l.sent),
    both(
      'bytes_total',
      'Bytes of frames, without preamble and checksum.',
      (l) => l.bytesIn,
      (l) => l.bytesOut,
    ),
    both(
      'runs_total',
      'Runs: packets of one group in a row. Packets over runs is the SLF.',
      (l) => l.runsIn,
      (l) => l.runsOut,
    ),
    {
      name: 'reframer_released_total',
      type: 'counter',
      help: 'Groups released, by reason.',
      samples: lanes.flatMap((each) =>
        Object.entries(each.released).map(([reason, value]) => ({
          labels: { ...labelsOf(each), reason },
          value,
        })),
      ),
    },
    lane('packets_thinned_total', 'counter', 'Pure ACKs taken out.', (l) => l.thinned),
    lane(
      'packets_unsent_total',
      'counter',
      'Packets given up at the end because their port sent nothing any more.',
      (l) => l.unsent,
    ),
    lane(
      'packets_oversized_total',
      'counter',
      'Frames longer than any link carries: joined by segmentation offload.',
      (l) => l.oversized,
    ),
    lane(
      'transmit_waits_total',
      'counter',
      'Times that the transmit queue was full.',
      (l) => l.txWaits,
    ),
    lane('working_polls_total', 'counter', 'Polls that took or gave packets.', (l) => l.workPolls),
    lane(
      'working_seconds_total',
      'counter',
      'Time of these polls: over all time, the load of the core.',
      (l) => l.workUs / 1e6,
    ),
    lane('packets_held', 'gauge', 'Packets held now.', (l) => l.held),
    lane('delay_seconds', 'gauge', 'T in force.', (l) => l.delayUs / 1e6),
    {
      name: 'reframer_hold_seconds',
      type: 'histogram',
      help: 'Time that packets were held; the sum is that of the middles of finer buckets.',
      samples: lanes.flatMap(holdSamples),
    },
    lane(
      'hold_longest_seconds',
      'gauge',
      'Longest time that a packet was held.',
      (l) => l.holdMaxUs / 1e6,
    ),
    port('packets_missed_total', 'Packets that the receive rings could not take.', (p) => p.missed),
    port(
      'packets_without_buffer_total',
      'Of them, packets for which the pool had no buffer.',
      (p) => p.noBuffer,
    ),
  ];
}

/** Between two looks. */
export interface Rates {
  packetsIn: number;
  packetsOut: number;
  bitsIn: number;
  bitsOut: number;
  missed: number;
}

/** A second. */
export function ratesOf(now: Sample, before: Sample | undefined, seconds: number): Rates {
  const rate = (value: (sample: Sample) => number): number =>
    before === undefined || seconds <= 0 ? 0 : Math.max(0, value(now) - value(before)) / seconds;
  return {
    packetsIn: rate(({ lanes }) => total(lanes, (l) => l.received)),
    packetsOut: rate(({ lanes }) => total(lanes, (l) => l.sent)),
    bitsIn: 8 * rate(({ lanes }) => total(lanes, (l) => l.bytesIn)),
    bitsOut: 8 * rate(({ lanes }) => total(lanes, (l) => l.bytesOut)),
    missed: rate(({ missed }) => missed),
  };
}
