// One trial into the journal: again where it is void or fails, given up where that does not help.
import { HarnessError } from './errors.js';
import type { Journal } from './journal.js';
import type { Ledger, Slot } from './ledger.js';
import { describeParams, portableSpec, type Identity, type Point, type Setting } from './points.js';
import type { SampleRecord } from './records.js';
import type { RunTrial } from './runner.js';
import type { Standing } from './standing.js';
import type { Status } from './status.js';
import type { Metric, Profile } from './types.js';

export interface Task {
  settings: readonly Setting[];
  metrics: readonly Metric[];
  profile: Profile;
  identity: Identity;
  journal: Journal;
  session: number;
  runTrial: RunTrial;
  status: Status;
  /** Asked before each block: true ends the run early, the journal stays good. */
  stop?: () => boolean;
}

// A void trial (too many preempted polls) is measured again at most so often.
const voidRetries = 2;
const trialSeconds = 120;

const round = (ms: number): number => Math.round(ms * 1000) / 1000;

export class Trials {
  private readonly started = performance.now();

  constructor(
    private readonly task: Task,
    private readonly ledger: Ledger,
    private readonly standing: Standing,
  ) {}

  /** Milliseconds of this session, as a sample has them. */
  get atMs(): number {
    return round(performance.now() - this.started);
  }

  /** One trial into the journal. A failure is tried once more, then the point is given up. */
  async measure(setting: Setting, point: Point, slot: Slot): Promise<SampleRecord | undefined> {
    const { part } = setting;
    const { ledger, standing, task } = this;
    if (ledger.hasFailed(point)) {
      if (part.optional !== true)
        ledger.fail(point, slot, 'given-up', 'an earlier trial of this point failed twice');
      return undefined;
    }
    const spec =
      part.seeded === false
        ? part.spec(point.params)
        : { ...part.spec(point.params), seed: slot.seed };
    let failed = 0;
    let voided = 0;
    for (;;) {
      const atMs = this.atMs;
      const result = await task.runTrial(part.job, spec, part.timeoutSeconds ?? trialSeconds);
      standing.took(part.name, result.wallMs);
      const record = result.records[0];
      if (result.error === undefined && record !== undefined) {
        const sample: SampleRecord = {
          type: 'sample',
          point: point.id,
          session: task.session,
          ...slot,
          atMs,
          wallMs: round(result.wallMs),
          void: record.void === true,
          record: portableSpec(record, task.identity.traces),
        };
        task.journal.append(sample);
        if (!sample.void) return sample;
        // On a machine so busy, measuring again would only take longer.
        if (++voided > voidRetries || standing.spentMs / 1000 >= task.profile.budgetSeconds)
          return undefined;
        continue;
      }
      const { code, message, exitCode } = result.error ?? {
        code: 'no-record',
        message: 'the trial ended without a record',
        exitCode: 1,
      };
      // What cannot be run here, or was asked for wrongly, fails the same way at every point.
      if (exitCode === 3 && part.optional === true) {
        this.leaveOut(setting, slot, code, message);
        return undefined;
      }
      if (exitCode === 2 || exitCode === 3)
        throw new HarnessError(
          code,
          `${part.name} (${describeParams(point.params)}): ${message}`,
          exitCode,
        );
      if (++failed < 2) continue;
      ledger.fail(point, slot, code, message);
      ledger.done(point, 'failed');
      task.status.say(`${part.name} (${describeParams(point.params)}) failed: ${message}`);
      return undefined;
    }
  }

  /** Every point of the part at once: what this machine lacks for one, it lacks for all. */
  private leaveOut({ part }: Setting, slot: Slot, code: string, message: string): void {
    this.task.status.say(`${part.name} is left out: ${message}`);
    for (const setting of this.task.settings.filter((s) => s.part === part)) {
      for (const point of this.ledger.pending(setting)) {
        this.ledger.fail(point, slot, code, message, true);
        this.ledger.done(point, 'failed');
      }
    }
  }
}
