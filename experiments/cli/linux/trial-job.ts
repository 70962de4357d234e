// A trial of an experiment's part `linux`: several orders and kernels in turn, one record. What each
// saves is against segments in turn before the kernel as it comes, in the same trial.
import { parseKernel } from './kernels.js';
import { measureLinux } from './measure.js';
import type { LinuxFunction } from './path.js';
import { twoProcessors } from './processors.js';
import { wireBits, type Live, type LinuxRow, type Plan } from './rows.js';
import type { Order, Traffic } from './send.js';

export interface TrialSpec {
  function: LinuxFunction;
  traffic?: Traffic;
  /** Campus: queues of the wire. */
  wireQueues?: number;
  flows: number;
  /** Of the wire in front of Reframer. */
  offeredBps: number;
  seconds: number;
  warmSeconds: number;
  seed: number;
  /** A box in the path instead of an order formed beforehand. */
  live?: Omit<Live, 'cpu'>;
  /** Kernel before which segments in turn are what all others are compared with. */
  baseline: string;
  /** By the name that the point has: kernel, and either packets in a row or packets that pass during T. */
  settings: Readonly<Record<string, { kernel: string; inARow?: number; windowPackets?: number }>>;
}

type Inner = Pick<
  LinuxRow,
  | 'nsPerPacket'
  | 'savedPercent'
  | 'slf'
  | 'segmentsPerMerged'
  | 'windowPackets'
  | 'delayUs'
  | 'maxKpps'
  | 'lost'
  | 'outOfOrder'
> & { lostPercent: number; boxNsPerPacket?: number; holdUs?: number; overBestPercent?: number };

export interface TrialRecord {
  /** Of segments in turn, before the kernel as it comes. */
  nsPerPacket: number;
  at: Record<string, Inner>;
}

/** On the processors that the harness gave this process. @throws CliError */
export async function linuxTrial(spec: TrialSpec): Promise<TrialRecord> {
  const [senderCpu, kernelCpu] = twoProcessors(undefined);
  const packetsPerSecond = spec.live?.packetsPerSecond ?? spec.offeredBps / wireBits;
  const delayOf = (windowPackets: number): number =>
    Math.round((windowPackets * 1e9) / packetsPerSecond);
  const names = Object.entries(spec.settings);
  const kernels = [...new Set([spec.baseline, ...names.map(([, { kernel }]) => kernel)])];
  const rows = new Map<string, LinuxRow>();
  let plain: LinuxRow | undefined;
  for (const kernel of kernels) {
    const wanted = names.filter(([, setting]) => setting.kernel === kernel);
    const orders: Order[] = [
      { slf: 1 },
      ...wanted.flatMap(([, { inARow, windowPackets }]): Order[] => {
        if (windowPackets !== undefined)
          return [{ delayNs: delayOf(windowPackets), offeredBps: spec.offeredBps }];
        return (inARow ?? 1) === 1 ? [] : [{ slf: inARow ?? 1 }];
      }),
    ];
    const plan: Plan = {
      live: spec.live === undefined ? undefined : { ...spec.live, cpu: kernelCpu },
      traffic: spec.traffic ?? 'interleaved',
      wireQueues: spec.wireQueues ?? 1,
      orders,
      flows: [spec.flows],
      offeredBps: [spec.offeredBps],
      senderCpu,
      kernelCpu,
      seconds: spec.seconds,
      warmSeconds: spec.warmSeconds,
      rounds: 1,
      seed: spec.seed,
    };
    const chosen = { functions: [spec.function], kernels: [parseKernel(kernel)] };
    const measured = await measureLinux(plan, chosen, { stopped: () => false }, () => undefined);
    // The baseline comes first.
    plain ??= measured[0];
    for (const [name, { inARow = 1, windowPackets }] of wanted) {
      const row =
        windowPackets === undefined
          ? measured.find((each) => each.delayUs === 0 && each.inARow === inARow)
          : measured.find((each) => each.delayUs === delayOf(windowPackets) / 1e3);
      if (row !== undefined) rows.set(name, row);
    }
  }
  return record(plain, rows);
}

/** What the kernel does by itself: neither Reframer's order nor rows by construction. */
const isOwn = (row: LinuxRow): boolean => row.delayUs === 0 && row.inARow === 1;

function record(plain: LinuxRow | undefined, rows: ReadonlyMap<string, LinuxRow>): TrialRecord {
  const own = [...rows.values()].filter(isOwn);
  const best = Math.min(...own.map((row) => row.nsPerPacket));
  const at: Record<string, Inner> = {};
  for (const [name, row] of rows) {
    at[name] = {
      nsPerPacket: row.nsPerPacket,
      savedPercent: 100 * (1 - row.nsPerPacket / (plain?.nsPerPacket ?? Number.NaN)),
      slf: row.slf,
      segmentsPerMerged: row.segmentsPerMerged,
      windowPackets: row.windowPackets,
      delayUs: row.delayUs,
      maxKpps: row.maxKpps,
      lost: row.lost,
      lostPercent: (100 * row.lost) / row.sent,
      outOfOrder: row.outOfOrder,
      // Of several of the kernel's own settings, the one that costs least.
      ...(own.length > 1 && !isOwn(row)
        ? { overBestPercent: 100 * (1 - row.nsPerPacket / best) }
        : {}),
      ...(row.boxNsPerPacket === undefined ? {} : { boxNsPerPacket: row.boxNsPerPacket }),
      ...(row.holdUs === undefined ? {} : { holdUs: row.holdUs }),
    };
  }
  return { nsPerPacket: plain?.nsPerPacket ?? Number.NaN, at };
}
