// What holding packets would bring on this interface, in words, by the rules of `analyze`
// (native/src/lab/captures/analyze_verdict.cpp).
import { formatCount, formatFixed, formatRate } from '../units.js';
import { delaysUs, type Locality } from './sample.js';

// Runs a fifth longer bring about 5 % throughput: less is not worth a delay.
const worthIt = 1.2;
// The least T that gives this share of what the longest gives is enough.
const nearlyAll = 0.8;

const listed = (values: readonly string[]): string =>
  `${values.slice(0, -1).join(', ')} and ${values.at(-1)}`;

export function verdictOf(locality: Locality): string[] {
  const { slf, slfHeld } = locality;
  if (slf === undefined || slfHeld === undefined) return ['No packet came: nothing can be said.'];
  const ratios = delaysUs.map((us) => slfHeld[us] / slf);
  const most = ratios.at(-1) ?? 1;
  const speed = `${formatRate(locality.bitsPerSecond)}, ${formatCount(Math.round(locality.packetsPerSecond))} packets/s`;
  const said = [
    `A packet is followed by one of its own flow in ${formatFixed(100 * (1 - 1 / slf), 0)} of 100 cases; runs of one flow are ${formatFixed(slf, 2)} packets long (SLF).`,
    `At this speed (${speed}) holding for 16, 64 or 128 µs gives an SLF of ${listed(delaysUs.map((us) => formatFixed(slfHeld[us], 2)))}.`,
  ];
  if (most < worthIt)
    return [
      ...said,
      'Hold nothing here: too few packets of a flow come that close together for it to be worth a delay.',
    ];
  const i = ratios.findIndex((ratio) => ratio - 1 >= nearlyAll * (most - 1));
  return [
    ...said,
    `T = ${delaysUs[i]} µs is enough here: runs become ${formatFixed(ratios[i], 2)} times as long.`,
  ];
}
