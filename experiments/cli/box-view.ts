// The box in words: its live picture, a line an interval, the summary.
import { total, type Balance, type Flows, type Lane, type Sample } from './box.js';
import { ratesOf, type Rates } from './box-metrics.js';
import { guardLine } from './guard.js';
import { renderTable } from './output.js';
import { counted, formatCount, formatFixed } from './units.js';

function counts({ lanes, missed, noBuffer }: Sample): string {
  const starved =
    noBuffer > 0
      ? ` (${formatCount(noBuffer)} for want of a buffer: raise --buffers, or hold less)`
      : '';
  return `received ${formatCount(total(lanes, (l) => l.received))}, sent ${formatCount(total(lanes, (l) => l.sent))}, held ${formatCount(total(lanes, (l) => l.held))}, missed ${formatCount(missed)}${starved}`;
}

function speeds({ packetsIn, packetsOut, bitsIn, bitsOut, missed }: Rates): string {
  const side = (packets: number, bits: number): string =>
    `${formatFixed(packets / 1e6, 3)} Mpps ${formatFixed(bits / 1e9, 3)} Gbps`;
  return `in ${side(packetsIn, bitsIn)}, out ${side(packetsOut, bitsOut)}, ${formatCount(missed)} drops/s`;
}

const flowsLine = ({ live, began, left, packets, ...did }: Flows): string =>
  `flows: ${formatCount(live)} now, ${formatCount(began)} began, ${formatCount(left)} left; ${formatCount(packets)} packets followed, ${formatCount(did.translated)} translated, ${formatCount(did.denied)} denied, ${formatCount(did.untranslated)} without translation, ${formatCount(did.noRoom)} without room`;

const balanceLine = (b: Balance): string =>
  `buckets: ${formatCount(b.moves)} of ${b.buckets} moved in ${formatCount(b.epochs)} epochs (${b.table === 'reta' ? "the NIC's table" : 'table in software'}), ${formatCount(b.refused)} refused; ${b.activeCores} cores, imbalance ${formatFixed(b.imbalancePercent, 1)} %; ${formatCount(b.held)} packets waited for their bucket`;

const suiteLines = ({ flows, balance }: Sample): string[] => [
  ...(flows === undefined ? [] : [flowsLine(flows)]),
  ...(balance === undefined ? [] : [balanceLine(balance)]),
];

/** Not on a terminal: one line an interval. */
export const intervalLine = (sample: Sample, rates: Rates): string =>
  `${speeds(rates)}; ${counts(sample)}`;

/** On a terminal. */
export function picture(sample: Sample, before: Sample | undefined, seconds: number): string[] {
  const rate = (lane: Lane, i: number, value: (lane: Lane) => number): string => {
    const earlier = before?.lanes[i];
    return formatFixed(
      earlier === undefined || seconds <= 0 ? 0 : (value(lane) - value(earlier)) / seconds / 1e6,
      3,
    );
  };
  const columns = [
    'lane',
    'received',
    'Mpps in',
    'out',
    'Gbps in',
    'out',
    'held',
    'SLF in',
    'out',
    'T µs',
    'hold µs',
    'longest',
  ];
  const rows = sample.lanes.map((lane, i) => [
    `${lane.in} > ${lane.out} ${lane.queue}`,
    formatCount(lane.received),
    rate(lane, i, (l) => l.received),
    rate(lane, i, (l) => l.sent),
    rate(lane, i, (l) => (l.bytesIn * 8) / 1e3),
    rate(lane, i, (l) => (l.bytesOut * 8) / 1e3),
    formatCount(lane.held),
    formatFixed(lane.slfIn, 2),
    formatFixed(lane.slfOut, 2),
    formatFixed(lane.delayUs, 1),
    formatFixed(lane.holdP50Us, 1),
    formatFixed(lane.holdMaxUs, 1),
  ]);
  return [
    ...renderTable(
      columns.map((title, i) => ({ title, align: i === 0 ? 'left' : 'right' })),
      rows,
    ).split('\n'),
    ...(sample.guards ?? []).map(guardLine),
    ...suiteLines(sample),
    intervalLine(sample, ratesOf(sample, before, seconds)),
  ];
}

/** A hold is T and what a poll takes: the packet leaves with the first poll after its time. */
function holdText(lane: Lane): string {
  if (lane.delayUs === 0 && lane.holdMaxUs === 0) return 'nothing held';
  const poll =
    lane.workPolls > 0 ? `, a poll takes ${formatFixed(lane.workUs / lane.workPolls, 1)} µs` : '';
  return `held ${formatFixed(lane.holdP50Us, 1)} µs in the median, ${formatFixed(lane.holdMaxUs, 1)} µs at most (T is ${formatFixed(lane.delayUs, 1)} µs${poll})`;
}

export function summaryLines(summary: Sample): string[] {
  // Where flows are followed or balanced, the stage gets the hash that chooses their bucket, of the NIC or not.
  const steered = summary.flows !== undefined || summary.balance !== undefined;
  const given = steered ? 'the hash that chooses its bucket' : "the NIC's hash";
  return [
    counts(summary),
    ...(summary.guards ?? []).map(guardLine),
    ...suiteLines(summary),
    ...summary.lanes.map(
      (lane) =>
        `${lane.in} > ${lane.out} queue ${lane.queue}: ${formatCount(lane.received)} packets, ${formatCount(lane.bytesIn)} bytes; ` +
        `SLF ${formatFixed(lane.slfIn, 2)} in, ${formatFixed(lane.slfOut, 2)} out; ${holdText(lane)}; grouped by ${lane.nicHash ? given : 'a hash of the header'}`,
    ),
  ];
}

/** Of ports that bring what no link carries. */
export function oversizedText({ lanes }: Sample): string | undefined {
  const joined = lanes.filter((lane) => lane.oversized > 0);
  if (joined.length === 0) return undefined;
  const from = [...new Set(joined.map((lane) => lane.in))].join(', ');
  const frames = total(joined, (l) => l.oversized);
  return (
    `${counted(frames, 'frame')} from ${from} ${frames === 1 ? 'is' : 'are'} longer than 9,238 bytes, more than a link carries: a host's segmentation offload joined them (TSO, GRO). ` +
    'Packets, SLF and runs count the joined frames; ethtool -K INTERFACE tso off gso off gro off ends it, a capture off the wire has none'
  );
}
