// The rows of `bench tcp`, and what they say.
import { fewestValues, medianInterval } from '../../core/statistics.js';
import { renderTable } from '../output.js';
import { formatFixed } from '../units.js';
import type { Senders, TcpOptions, TcpTrial, Waits } from './tcp.js';

/** Of a web server behind Reframer, on a testbed (NSDI'22). */
export const publishedTcp = { completionPercent: -11, throughputPercent: 20 } as const;

export interface TcpRow {
  senders: Senders;
  contender: string;
  waits: Waits;
  delayUs: number;
  windowPackets: number;
  slfIn: number;
  slfOut: number;
  framesPerMerged: number;
  goodputMbps: number;
  /** Against the box that only forwards, same senders, round by round. */
  goodputPercent: number;
  completion: { bytes: number; medianUs: number; p99Us: number; medianPercent: number }[];
  receiverNs: number;
  receiverNsLow: number;
  receiverNsHigh: number;
  receiverSavedPercent: number;
  receiverPercent: number;
  boxNs: number;
  framesPerSecond: number;
  retransmitted: number;
  boxMissed: number;
  socketErrors: number;
  trials: number;
}

type Value = (trial: TcpTrial) => number;
const middle = (of: readonly TcpTrial[], value: Value): number =>
  medianInterval(of.map(value)).value;

/** Median over the rounds that have both, in percent: trials of a round stand close together in time. */
function change(of: readonly TcpTrial[], off: readonly TcpTrial[], value: Value): number {
  const ratios = of.flatMap((trial, i) => {
    const partner = off[i];
    return partner === undefined ? [] : [value(trial) / value(partner)];
  });
  return 100 * (medianInterval(ratios).value - 1);
}

export function tcpRows(trials: readonly TcpTrial[]): TcpRow[] {
  const groups = new Map<string, TcpTrial[]>();
  for (const trial of trials) {
    const key = `${trial.senders} ${trial.contender}`;
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  // The order of the first round, which goes forth.
  return [...groups.values()].map((of) => {
    const [first] = of as [TcpTrial, ...TcpTrial[]];
    const off = groups.get(`${first.senders} off`) ?? [];
    const receiver = medianInterval(of.map((t) => t.receiverNs));
    const sum = (value: Value): number => of.reduce((all, trial) => all + value(trial), 0);
    return {
      senders: first.senders,
      contender: first.contender,
      waits: first.waits,
      delayUs: first.delayNs / 1e3,
      windowPackets: middle(of, (t) => t.windowPackets),
      slfIn: middle(of, (t) => t.slfIn ?? Number.NaN),
      slfOut: middle(of, (t) => t.slfOut ?? Number.NaN),
      framesPerMerged: middle(of, (t) => t.framesPerMerged),
      goodputMbps: middle(of, (t) => t.goodputMbps),
      goodputPercent: change(of, off, (t) => t.goodputMbps),
      completion: first.completion.map(({ bytes }, i) => {
        const median: Value = (t) => t.completion[i]?.medianUs ?? Number.NaN;
        return {
          bytes,
          medianUs: middle(of, median),
          p99Us: middle(of, (t) => t.completion[i]?.p99Us ?? Number.NaN),
          medianPercent: change(of, off, median),
        };
      }),
      receiverNs: receiver.value,
      receiverNsLow: receiver.low,
      receiverNsHigh: receiver.high,
      receiverSavedPercent: -change(of, off, (t) => t.receiverNs),
      receiverPercent: middle(of, (t) => t.receiverPercent),
      boxNs: middle(of, (t) => t.boxNs),
      framesPerSecond: middle(of, (t) => t.framesPerSecond),
      retransmitted: sum((t) => t.retransmitted),
      boxMissed: sum((t) => t.boxMissed),
      socketErrors: sum((t) => t.socketErrors),
      trials: of.length,
    };
  });
}

const bytesText = (bytes: number): string =>
  bytes >= 1e6 ? `${bytes / 1e6} MB` : bytes >= 1e3 ? `${bytes / 1e3} kB` : `${bytes} B`;

export function renderTcp(rows: readonly TcpRow[], options: TcpOptions): string {
  const titles = [
    'senders',
    'box',
    'window',
    'SLF in',
    'out',
    'merged',
    'Mbps',
    'receiver ns',
    'saved',
    'core',
    ...options.files.map((bytes) => `${bytesText(bytes)} µs`),
    ...options.files.map((bytes) => `99 % ${bytesText(bytes)}`),
    'box ns',
    'resent',
    'missed',
  ];
  const table = renderTable(
    titles.map((title, i) => ({ title, align: i < 2 ? 'left' : 'right' })),
    rows.map((row) => [
      row.senders,
      row.contender,
      formatFixed(row.windowPackets, 0),
      Number.isNaN(row.slfIn) ? '-' : formatFixed(row.slfIn, 1),
      Number.isNaN(row.slfOut) ? '-' : formatFixed(row.slfOut, 1),
      formatFixed(row.framesPerMerged, 2),
      formatFixed(row.goodputMbps, 0),
      formatFixed(row.receiverNs, 0),
      `${formatFixed(row.receiverSavedPercent, 0)} %`,
      `${formatFixed(row.receiverPercent, 0)} %`,
      ...row.completion.map(({ medianUs }) => formatFixed(medianUs, 0)),
      ...row.completion.map(({ p99Us }) => formatFixed(p99Us, 0)),
      formatFixed(row.boxNs, 0),
      String(row.retransmitted),
      String(row.boxMissed),
    ]),
  );
  return [table, ...tcpTexts(rows, options)].join('\n');
}

/** What the columns mean, what was gained, and where nothing can be. */
export function tcpTexts(rows: readonly TcpRow[], options: TcpOptions): string[] {
  const texts = [
    `window: frames that come to the receiver during T; merged: frames a packet of its IP layer; receiver ns: of its NAPI thread and its programs, a frame; core: their share of a processor; saved: against the box that only forwards (off), round by round. many: ${options.connections} connections, each at its share of the offered rate, a segment at a time; windows: the same, unpaced. timer T: the receiver's GRO waits for T more (gro_flush_timeout), and the box holds nothing. ${options.queues > 1 ? `Every packet has a hash stored, as from a NIC, over ${options.queues} queues.` : 'No packet has a hash stored: all share one of the buckets of GRO.'} The box passes PSH and FIN at once.`,
  ];
  const most = Math.max(0, ...rows.map((row) => row.trials));
  if (most < fewestValues)
    texts.push(`Fewer than ${fewestValues} rounds: a direction, no interval.`);
  const many = rows.filter((row) => row.senders === 'many');
  const best = bestOf(many.filter((row) => row.waits === 'box' || row.waits === 'adaptive'));
  const timer = many.find((row) => row.waits === 'kernel' && row.delayUs === best?.delayUs);
  if (best !== undefined)
    texts.push(
      `Many senders: ${
        best.receiverSavedPercent > 0
          ? `of the box's settings ${best.contender} saves most of the receiver's time a frame, ${formatFixed(best.receiverSavedPercent, 0)} %`
          : `no setting of the box saves the receiver's time; ${best.contender} adds least, ${formatFixed(-best.receiverSavedPercent, 0)} %`
      }${timer === undefined ? '' : `, where the kernel's own timer of as long changes it by ${signed(-timer.receiverSavedPercent)} %`}; goodput ${signed(best.goodputPercent)} %, completion of ${best.completion.map((c) => `${bytesText(c.bytes)} ${signed(c.medianPercent)} %`).join(', ')}. Published, on a testbed: completion ${publishedTcp.completionPercent} %, throughput +${publishedTcp.throughputPercent} %.`,
    );
  const whole = rows.find((row) => row.senders === 'windows' && row.slfIn > 0);
  const plain = rows.find((row) => row.senders === 'windows' && row.contender === 'off');
  if (whole !== undefined && plain !== undefined)
    texts.push(
      `Whole windows: ${formatFixed(whole.slfIn, 1)} packets of a connection come in a row to the box as they are, and GRO merges ${formatFixed(plain.framesPerMerged, 1)} without it: holding has little to add.`,
    );
  return texts;
}

function bestOf(rows: readonly TcpRow[]): TcpRow | undefined {
  return rows.reduce<TcpRow | undefined>(
    (a, b) => (a === undefined || b.receiverSavedPercent > a.receiverSavedPercent ? b : a),
    undefined,
  );
}

const signed = (percent: number): string =>
  `${percent < 0 ? '-' : '+'}${formatFixed(Math.abs(percent), 0)}`;
