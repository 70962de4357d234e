// What is seen of an interface: for people, and for Prometheus.
import type { Metric } from '../metrics.js';
import { formatCount, formatFixed, formatRate } from '../units.js';
import { classes, delaysUs, type Locality, type Sample } from './sample.js';

export function lineOf(locality: Locality): string {
  const { slf, slfHeld, heaviestBucket, perSecond } = locality;
  const rate = `${formatCount(Math.round(locality.packetsPerSecond))} packets/s, ${formatRate(locality.bitsPerSecond)}`;
  if (slf === undefined || slfHeld === undefined) return rate;
  const held = delaysUs.map((us) => formatFixed(slfHeld[us], 2)).join('/');
  const flags = (['syn', 'fin', 'rst'] as const)
    .map((key) => `${key} ${formatCount(Math.round(perSecond[key]))}`)
    .join(' ');
  return `${rate}; SLF ${formatFixed(slf, 2)}, held for 16/64/128 µs ${held}; ${formatCount(locality.flows)} flows; heaviest bucket ${formatFixed(100 * (heaviestBucket ?? 0), 1)} %; ${flags}`;
}

export function metricsOf(name: string, sample: Sample, last: Locality, on?: boolean): Metric[] {
  const labels = { interface: name };
  const one = (type: Metric['type'], key: string, help: string, value: number): Metric => ({
    name: `reframer_watch_${key}`,
    type,
    help,
    samples: [{ labels, value }],
  });
  return [
    one('counter', 'packets_total', 'Packets received.', sample.packets),
    one('counter', 'bytes_total', 'Bytes of their frames.', sample.bytes),
    {
      name: 'reframer_watch_class_packets_total',
      type: 'counter',
      help: 'Packets by protocol, and those of TCP with a flag.',
      samples: classes.map((key) => ({ labels: { ...labels, class: key }, value: sample[key] })),
    },
    one(
      'counter',
      'runs_total',
      'Runs: packets of one flow in a row. Packets over runs is the SLF.',
      sample.runs,
    ),
    {
      name: 'reframer_watch_held_runs_total',
      type: 'counter',
      help: 'Runs that would be left if each flow was held for that long.',
      samples: delaysUs.map((us) => ({
        labels: { ...labels, delay_us: us },
        value: sample.heldRuns[us],
      })),
    },
    one('gauge', 'flows', 'Flows of the last interval, estimated.', last.flows),
    ...(on === undefined ? [] : [one('gauge', 'triggered', '1 while --when is on.', Number(on))]),
  ];
}
