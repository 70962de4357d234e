// The rows of `bench linux` for people: a table, the limits that bind, and what the columns mean.
import { fewestValues } from '../../core/statistics.js';
import { renderTable } from '../output.js';
import { formatFixed } from '../units.js';
import { noGuest } from './guest.js';
import { limitTexts } from './limits.js';
import type { LinuxRow, Plan } from './rows.js';

/** "> " where the path takes more than the sender sends. */
const losslessText = ({ losslessKpps = Number.NaN, senderIsLimit }: LinuxRow): string =>
  Number.isNaN(losslessKpps)
    ? '-'
    : `${senderIsLimit === true ? '> ' : ''}${formatFixed(losslessKpps, 0)}`;

export function renderRows(rows: readonly LinuxRow[], plan: Plan): string {
  const several = plan.live === undefined && plan.offeredBps.length > 1;
  const titles = [
    'function',
    'kernel',
    'flows',
    ...(several ? ['Gbps'] : []),
    'T µs',
    'SLF',
    'ns/packet',
    '95 % interval',
    'saved',
    'merged',
    'kpps',
    ...(plan.lossless === true ? ['lossless'] : []),
    'lost',
    'out of order',
    ...(plan.live === undefined ? [] : ['window', 'box ns', 'hold µs', 'latency µs', '99 %']),
  ];
  const table = renderTable(
    titles.map((title, i) => ({ title, align: i < 2 ? 'left' : 'right' })),
    rows.map((row) => [
      row.function,
      row.kernel,
      String(row.flows),
      ...(several ? [row.delayUs === 0 ? '-' : formatFixed(row.offeredGbps, 0)] : []),
      row.delayUs === 0 ? '-' : formatFixed(row.delayUs, 0),
      formatFixed(row.slf, 1),
      formatFixed(row.nsPerPacket, 0),
      Number.isFinite(row.nsLow)
        ? `${formatFixed(row.nsLow, 0)} to ${formatFixed(row.nsHigh, 0)}`
        : `n = ${row.trials}`,
      `${formatFixed(row.savedPercent, 0)} %`,
      formatFixed(row.segmentsPerMerged, 2),
      formatFixed(row.maxKpps, 0),
      ...(plan.lossless === true ? [losslessText(row)] : []),
      String(row.lost),
      String(row.outOfOrder),
      ...(row.mode === 'aggregate'
        ? []
        : [
            formatFixed(row.windowPackets, 0),
            formatFixed(row.boxNsPerPacket ?? Number.NaN, 0),
            formatFixed(row.holdUs ?? Number.NaN, 0),
            formatFixed(row.latencyP50Us ?? Number.NaN, 0),
            formatFixed(row.latencyP99Us ?? Number.NaN, 0),
          ]),
    ]),
  );
  const few =
    plan.rounds < fewestValues ? ` Fewer than ${fewestValues} rounds have no interval.` : '';
  const counted =
    "ns of the kernel's core a segment sent, the drop behind it included; merged: segments a frame that leaves; kpps: what a core that does nothing else takes at that cost";
  const { row, reason } = noGuest();
  const guest = `Not testable here: ${row}: ${reason}.`;
  const busy = rows.some((each) => each.kernel.includes('busy'))
    ? ' busy: a core that never sleeps; ns by the rate that came through while as much was sent as can be.'
    : '';
  const lossless =
    plan.lossless === true
      ? ' lossless: the highest rate in thousands a second, by bisection, of which no more than 0.1 % was lost; with > it is all that the sender sends.'
      : '';
  const orders = 'lost: segments; out of order: frames behind a later one of their flow.';
  if (plan.live !== undefined)
    return `${table}\n${counted}; here it was not always busy, so that the cost of waking up is in it. ${orders} The box, over ${plan.live.driver}, held packets as they passed, ${plan.live.packetsPerSecond / 1e3} thousand a second; without T it only forwards. window: packets that pass in T; box ns: of its own core, a packet; latency: from sender to sink, of the first segment of each frame.${few} ${guest}`;
  return `${table}\n${limitTexts(rows).join('\n')}\n${counted}; its rings were full whenever it began. ${orders} T: the real stage formed the order beforehand, at ${plan.offeredBps.map((bps) => bps / 1e9).join(', ')} Gbps by a virtual clock, as in front of many cores; its own cost is not in it (bench reframer).${busy}${lossless}${few} ${guest}`;
}
