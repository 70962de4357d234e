// A trial on a bed: the device under test comes up, then the tester; load, window, counts of both.
import { HarnessError } from '../core/errors.js';
import type { WarningRecord } from '../core/records.js';
import { bedJob, type RunTrial, type TrialResult } from '../core/runner.js';
import type { JsonObject } from '../core/types.js';
import type { Bed } from './bed.js';
import { at, box, liveTrial } from './device.js';
import { combine, impossible } from './combine.js';
import { openFeeder } from './feeder.js';
import { openPktgen } from './pktgen.js';
import type { Prepared } from './probe.js';
import { openTcpreplay } from './tcpreplay.js';
import { sleep, type Load, type Tester } from './tester.js';
import { openTrex } from './trex.js';

function openTester(
  bed: Bed,
  { tester: place }: Prepared,
  source: JsonObject,
  seed: number,
  signal: AbortSignal,
): Promise<Tester> {
  const role = bed.tester;
  switch (role.kind) {
    case 'feeder':
      return openFeeder(place, role, source, seed, signal);
    case 'trex':
      return openTrex(role);
    case 'pktgen':
      return openPktgen(role);
    case 'tcpreplay':
      return openTcpreplay(place, role);
  }
}

/** The same bed with fewer queues, on both sides. */
const narrowed = (bed: Bed, queues: number): Bed => ({
  ...bed,
  dut: { ...bed.dut, queues },
  tester: { ...bed.tester, queues: Math.min(queues, bed.tester.queues) },
});

interface Closable {
  close: () => Promise<void>;
}

/** What a trial has opened: closed at its end however it comes, the last first. */
class Opened {
  private readonly things: Closable[] = [];
  private closing: Promise<void> = Promise.resolve();
  readonly stop = new AbortController();

  async keep<T extends Closable>(opening: Promise<T>): Promise<T> {
    const thing = await opening;
    this.things.push(thing);
    // Too late: whoever waited for it has gone.
    this.stop.signal.throwIfAborted();
    return thing;
  }

  close(): Promise<void> {
    const things = this.things.splice(0).reverse();
    this.closing = this.closing.then(async () => {
      // A tester that cannot be told any more must not keep the device open.
      for (const thing of things) await thing.close().catch(() => undefined);
    });
    return this.closing;
  }

  /** Kills what is ours, tells others to stop. */
  abort(): Promise<void> {
    this.stop.abort();
    return this.close();
  }
}

async function trial(
  whole: Bed,
  prepared: Prepared,
  job: string,
  { load, source, trial: options, seed = 1, lack, queues }: JsonObject,
  opened: Opened,
): Promise<JsonObject> {
  if (typeof lack === 'string') throw new HarnessError('not-on-this-bed', lack, 3);
  const bed = typeof queues === 'number' ? narrowed(whole, queues) : whole;
  const asked = load as unknown as Load;
  if (asked.bps > bed.linkBps)
    throw new HarnessError(
      'beyond-link',
      `${asked.bps / 1e9} Gbps are more than the bed's link carries (linkGbps ${bed.linkBps / 1e9})`,
      3,
    );
  const device =
    job === 'box'
      ? box(prepared, bed, options as JsonObject)
      : liveTrial(prepared, bed, options as JsonObject, Number(seed));
  const { signal } = opened.stop;
  try {
    const dut = await opened.keep(device.open(signal));
    const tester = await opened.keep(
      openTester(bed, prepared, source as JsonObject, Number(seed), signal),
    );
    await tester.start(asked);
    await sleep(asked.warmupMs);
    await device.window(dut, true);
    await sleep(asked.windowMs);
    await device.window(dut, false);
    const figures = await tester.stop();
    const record = combine(await device.stop(dut), figures, asked);
    const wrong = impossible(record);
    if (wrong !== undefined) throw new HarnessError('check-failed', wrong);
    return record;
  } finally {
    await opened.close();
  }
}

/**
 * Both ends come up and go again: what is wrong with ports, queues or a tester is said in one line before
 * anything is measured. @throws HarnessError
 */
export async function rehearse(bed: Bed, prepared: Prepared): Promise<void> {
  const opened = new Opened();
  const end = (): Promise<void> => opened.abort();
  running.add(end);
  try {
    const device = liveTrial(prepared, bed, { chain: 'forward', policy: 'off' }, 1);
    await opened.keep(device.open(opened.stop.signal));
    const source = bed.tester.kind === 'feeder' ? { profile: 'campus' } : {};
    await opened.keep(openTester(bed, prepared, source, 1, opened.stop.signal));
  } finally {
    running.delete(end);
    await opened.close();
  }
}

const running = new Set<() => Promise<void>>();
let ended = false;

/** For the harness's end: what testers send, and what they hold, ends first. Trials have no answer then. */
export async function endBedTrials(): Promise<void> {
  ended = true;
  await Promise.all([...running].map((end) => end()));
}

const gbps = (bps: number): string => `${(bps / 1e9).toPrecision(3)} Gbps`;

export interface BedRunner {
  run: RunTrial;
  /** What of the run as a whole must be known to who reads it. */
  warnings: () => WarningRecord[];
}

export function makeBedRunner(bed: Bed, prepared: Prepared): BedRunner {
  let behind: { asked: number; sent: number } | undefined;
  let disagreed = 0;
  const note = (record: JsonObject): void => {
    if (at(record, 'tester.reachedShare') < 1 && record.tester !== undefined) {
      const { reached } = record.tester as { reached?: boolean };
      const asked = at(record, 'askedBps');
      if (reached === false && asked > (behind?.asked ?? 0))
        behind = { asked, sent: at(record, 'offeredBps') };
    }
    if ((record.bed as { agree?: boolean } | undefined)?.agree === false) disagreed++;
  };
  const run: RunTrial = async (job, spec, timeoutSeconds): Promise<TrialResult> => {
    const started = performance.now();
    const opened = new Opened();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      void opened.abort();
    }, timeoutSeconds * 1000);
    const end = (): Promise<void> => opened.abort();
    running.add(end);
    try {
      const record = await trial(bed, prepared, job.slice(bedJob.length), spec, opened);
      note(record);
      return { records: [record], wallMs: performance.now() - started };
    } catch (error) {
      if (ended) return new Promise(() => undefined);
      if (!(error instanceof Error)) throw error;
      const { code = 'bed', exitCode = 1 } = late
        ? { code: 'bed-timeout' }
        : (error as Partial<HarnessError>);
      const message = late ? `no end of the trial after ${timeoutSeconds} s` : error.message;
      return {
        records: [],
        wallMs: performance.now() - started,
        error: { code: String(code), message, exitCode },
      };
    } finally {
      clearTimeout(timer);
      running.delete(end);
    }
  };
  return {
    run,
    warnings: () => [
      ...(behind === undefined
        ? []
        : [
            {
              type: 'warning' as const,
              name: 'tester-behind',
              seen: `the tester sent ${gbps(behind.sent)} where ${gbps(behind.asked)} were asked for, and less than asked elsewhere, too, where 'sent by the tester' says so: such a rate counts as not carried, and nothing is known of the device there`,
              remedy: 'more queues or cores for the tester, or a lower linkGbps',
            },
          ]),
      ...(disagreed === 0
        ? []
        : [
            {
              type: 'warning' as const,
              name: 'uncounted-losses',
              seen: `in ${disagreed} trials packets were lost between the two machines that no port counted`,
              remedy:
                'look at cables, switches, and drivers that do not count what their rings lose, as af_packet',
            },
          ]),
    ],
  };
}
