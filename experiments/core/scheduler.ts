// Measures what a plan still lacks: warm-up, then blocks in ABBA order, settings taking turns, until
// the stopping rule that was fixed beforehand says enough.
import { reopened } from './budget.js';
import { HarnessError } from './errors.js';
import { numberAt, readHistory, type History } from './history.js';
import type { Journal } from './journal.js';
import type { DoneRecord, SampleRecord } from './records.js';
import { blockOrder, blockSeed } from './order.js';
import {
  describeParams,
  makePoint,
  portableSpec,
  type Identity,
  type Point,
  type Setting,
} from './points.js';
import { progressOf } from './progress.js';
import type { RunTrial } from './runner.js';
import { bisect, type Found } from './search.js';
import { Standing } from './standing.js';
import { relativeHalfWidth } from './statistics.js';
import type { Status } from './status.js';
import type { JsonObject, Metric, Profile, SearchAxis } from './types.js';

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

interface Slot {
  phase: SampleRecord['phase'];
  block: number;
  attempt: number;
  slot: number;
  seed: number;
}

export class Scheduler {
  private readonly history: History;
  private readonly standing: Standing;
  private readonly started = performance.now();

  constructor(private readonly task: Task) {
    this.history = reopened(readHistory(task.journal.records), task);
    const partOf = new Map(task.settings.flatMap((s) => s.points.map((p) => [p.id, s] as const)));
    this.standing = new Standing(this.history, task.journal.records, (point, record) => {
      const setting = partOf.get(point);
      return setting === undefined ? undefined : this.headline(setting, record);
    });
  }

  get trialMilliseconds(): number {
    return this.standing.trialMs;
  }

  /** @returns whether everything was measured */
  async run(): Promise<boolean> {
    this.announcePoints();
    const warm = new Set<string>();
    for (;;) {
      const open = this.task.settings.filter((setting) => this.pending(setting).length > 0);
      if (open.length === 0) return true;
      for (const setting of open) {
        if (this.task.stop?.() === true) return false;
        if (setting.search !== undefined) await this.search(setting);
        else {
          do {
            await this.turn(setting, warm);
            if (this.task.stop?.() === true) return false;
          } while (this.task.profile.oneByOne === true && this.lacksBlocks(setting));
        }
      }
    }
  }

  /** One block of this setting, unless it is over. */
  private async turn(setting: Setting, warm: Set<string>): Promise<void> {
    // Time may have run out since this setting's last block.
    this.judge(setting);
    if (this.pending(setting).length === 0) return;
    const contenders = this.contenders(setting);
    if (setting.part.deterministic !== true) {
      if (this.overLimit(contenders)) {
        for (const point of this.pending(setting)) this.done(point, 'limit');
        return;
      }
      await this.warmUp(setting, contenders, warm);
      if (this.task.stop?.() === true) return;
    }
    await this.block(setting, contenders);
    this.judge(setting);
  }

  private lacksBlocks(setting: Setting): boolean {
    const { min } = this.task.profile.blocks;
    return this.pending(setting).some((point) => this.standing.blocks(point) < min);
  }

  private announcePoints(): void {
    for (const setting of this.task.settings)
      for (const point of setting.points) this.announce(setting, point);
  }

  private announce(setting: Setting, point: Point): void {
    if (this.history.points.has(point.id)) return;
    const spec = portableSpec(setting.part.spec(point.params), this.task.identity.traces);
    const { id, part, params, control } = point;
    const record = {
      type: 'point',
      id,
      part,
      setting: setting.key,
      params,
      control,
      spec,
    } as const;
    this.task.journal.append(record);
    this.history.points.set(id, record);
  }

  private pending(setting: Setting): Point[] {
    return setting.points.filter((point) => !this.history.done.has(point.id));
  }

  /** What lacks samples, and the baseline with it: a ratio needs a partner of the same block. */
  private contenders(setting: Setting): Point[] {
    const pending = this.pending(setting);
    const { baseline } = setting;
    return baseline === undefined || pending.includes(baseline) ? pending : [baseline, ...pending];
  }

  private headline(setting: Setting, record: JsonObject): number | undefined {
    return numberAt(record, this.metric(setting.part.headline).path);
  }

  private metric(key: string): Metric {
    const metric = this.task.metrics.find((m) => m.key === key);
    if (metric === undefined)
      throw new HarnessError('bad-definition', `no metric is called ${key}`, 2);
    return metric;
  }

  private async warmUp(
    setting: Setting,
    contenders: readonly Point[],
    warm: Set<string>,
  ): Promise<void> {
    const { max, drift } = this.task.profile.warmup;
    for (const point of contenders) {
      if (warm.has(point.id) || this.history.done.has(point.id)) continue;
      warm.add(point.id);
      const seed = blockSeed(this.task.identity.seed, setting.key, 0);
      let before: number | undefined;
      for (let i = 0; i < max; i++) {
        const sample = await this.measure(setting, point, {
          phase: 'warmup',
          block: 0,
          attempt: 0,
          slot: i,
          seed,
        });
        if (sample === undefined) break;
        const value = this.headline(setting, sample.record);
        if (
          before !== undefined &&
          value !== undefined &&
          Math.abs(value - before) <= drift * Math.abs(before)
        )
          break;
        before = value;
      }
    }
  }

  private async block(setting: Setting, contenders: readonly Point[]): Promise<void> {
    const { block, attempt } = this.standing.nextOf(setting.key);
    const { seed: runSeed } = this.task.identity;
    const once = setting.part.deterministic === true;
    const order = once ? [...contenders] : blockOrder(contenders, runSeed, setting.key, block);
    const seed = blockSeed(runSeed, setting.key, block);
    this.task.journal.append({
      type: 'block',
      setting: setting.key,
      block,
      attempt,
      seed,
      order: order.map((p) => p.id),
    });
    for (const [slot, point] of order.entries()) {
      if (this.task.stop?.() === true) return;
      const sample = await this.measure(setting, point, {
        phase: 'measure',
        block,
        attempt,
        slot,
        seed,
      });
      const value = sample === undefined ? undefined : this.headline(setting, sample.record);
      if (value !== undefined) this.standing.remember(point.id, value);
      this.show(setting, point, block);
    }
    this.standing.hadBlock(contenders.map((p) => p.id));
    this.standing.next(setting.key, block + 1, 0);
  }

  /** One trial into the journal. A failure is tried once more, then the point is given up. */
  private async measure(
    setting: Setting,
    point: Point,
    slot: Slot,
  ): Promise<SampleRecord | undefined> {
    const { part } = setting;
    if (this.history.done.get(point.id)?.reason === 'failed') {
      if (part.optional !== true)
        this.fail(point, slot, 'given-up', 'an earlier trial of this point failed twice');
      return undefined;
    }
    const spec =
      part.seeded === false
        ? part.spec(point.params)
        : { ...part.spec(point.params), seed: slot.seed };
    let failed = 0;
    let voided = 0;
    for (;;) {
      const atMs = performance.now() - this.started;
      const result = await this.task.runTrial(part.job, spec, part.timeoutSeconds ?? trialSeconds);
      this.standing.took(part.name, result.wallMs);
      const record = result.records[0];
      if (result.error === undefined && record !== undefined) {
        const sample: SampleRecord = {
          type: 'sample',
          point: point.id,
          session: this.task.session,
          ...slot,
          atMs: round(atMs),
          wallMs: round(result.wallMs),
          void: record.void === true,
          record: portableSpec(record, this.task.identity.traces),
        };
        this.task.journal.append(sample);
        if (!sample.void) return sample;
        // On a machine so busy, measuring again would only take longer.
        if (
          ++voided > voidRetries ||
          this.standing.spentMs / 1000 >= this.task.profile.budgetSeconds
        )
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
      this.fail(point, slot, code, message);
      this.done(point, 'failed');
      this.task.status.say(`${part.name} (${describeParams(point.params)}) failed: ${message}`);
      return undefined;
    }
  }

  /** Every point of the part at once: what this machine lacks for one, it lacks for all. */
  private leaveOut({ part }: Setting, slot: Slot, code: string, message: string): void {
    this.task.status.say(`${part.name} is left out: ${message}`);
    for (const setting of this.task.settings.filter((s) => s.part === part)) {
      for (const point of this.pending(setting)) {
        this.fail(point, slot, code, message);
        this.done(point, 'failed');
      }
    }
  }

  private fail(point: Point, { block, attempt, slot }: Slot, code: string, message: string): void {
    this.task.journal.append({
      type: 'failure',
      point: point.id,
      block,
      attempt,
      slot,
      code,
      message,
    });
  }

  private done(point: Point, reason: DoneRecord['reason']): void {
    if (this.history.done.has(point.id)) return;
    const warmups = this.task.journal.records.filter(
      (r) => r.type === 'sample' && r.phase === 'warmup' && r.point === point.id,
    ).length;
    const record: DoneRecord = {
      type: 'done',
      point: point.id,
      reason,
      warmups,
      samples: this.standing.samples(point),
    };
    this.task.journal.append(record);
    this.history.done.set(point.id, record);
  }

  /** All contenders of a setting stop together: each then has a partner in every block. */
  private judge(setting: Setting): void {
    const pending = this.pending(setting);
    const { blocks, precision, budgetSeconds } = this.task.profile;
    const blocksHad = (): number =>
      Math.min(...pending.map((point) => this.standing.blocks(point)));
    if (setting.part.deterministic === true) {
      if (pending.length > 0 && blocksHad() >= (setting.part.seeds ?? 1))
        for (const point of pending) this.done(point, 'once');
      return;
    }
    const had = blocksHad();
    if (pending.length === 0 || had < blocks.min) return;
    const precise = pending.every(
      (point) => relativeHalfWidth(this.standing.interval(point)) <= precision,
    );
    const reason = precise
      ? 'precise'
      : had >= blocks.max
        ? 'blocks'
        : this.standing.spentMs / 1000 >= budgetSeconds
          ? 'budget'
          : undefined;
    if (reason !== undefined) for (const point of pending) this.done(point, reason);
  }

  /** Whatever the limit, a point gets one block: without it there is nothing to show. */
  private overLimit(contenders: readonly Point[]): boolean {
    return (
      this.standing.spentMs / 1000 >=
        (this.task.profile.limitSeconds ?? Number.POSITIVE_INFINITY) &&
      contenders.every((point) => this.standing.blocks(point) > 0)
    );
  }

  private async search(setting: Setting): Promise<void> {
    const axis = setting.search;
    if (axis === undefined) return;
    const bound = this.metric(axis.metric);
    for (const point of this.pending(setting)) {
      const seed = blockSeed(this.task.identity.seed, setting.key, 0);
      const found = await this.bisectPoint(setting, axis, point, bound, seed);
      if (found === undefined) continue;

      const record = { [axis.name]: found.value, broken: found.broken, probes: found.probes };
      const finite = Object.fromEntries(
        Object.entries(record).filter(([, v]) => Number.isFinite(v)),
      );
      const block = setting.points.indexOf(point);
      this.task.journal.append({
        type: 'block',
        setting: setting.key,
        block,
        attempt: 0,
        seed,
        order: [point.id],
      });
      this.task.journal.append({
        type: 'sample',
        point: point.id,
        session: this.task.session,
        phase: 'measure',
        block,
        attempt: 0,
        slot: 0,
        seed,
        atMs: round(performance.now() - this.started),
        wallMs: 0,
        void: false,
        record: finite,
      });
      this.done(point, 'found');
    }
  }

  /** undefined: a probe had no answer that counts, and the point is given up; the others go on. */
  private async bisectPoint(
    setting: Setting,
    axis: SearchAxis,
    point: Point,
    bound: Metric,
    seed: number,
  ): Promise<Found | undefined> {
    const slot: Slot = { phase: 'probe', block: 0, attempt: 0, slot: 0, seed };
    try {
      return await bisect(axis, async (value) => {
        const probe = makePoint(
          setting.part,
          { ...point.params, [axis.name]: value },
          false,
          this.task.identity,
        );
        const known = this.history.probes.get(probe.id)?.find((s) => !s.void);
        this.announce(setting, probe);
        const sample = known ?? (await this.measure(setting, probe, slot));
        this.show(setting, probe, 0);
        const at = sample === undefined ? undefined : numberAt(sample.record, bound.path);
        if (at === undefined)
          throw new HarnessError(
            'no-answer',
            `the probe at ${value} gave no ${bound.label} that counts`,
          );
        return at * (bound.scale ?? 1);
      });
    } catch (error) {
      if (!(error instanceof HarnessError) || error.code !== 'no-answer') throw error;
      this.fail(point, slot, error.code, error.message);
      this.done(point, 'failed');
      this.task.status.say(
        `${setting.part.name} (${describeParams(point.params)}): ${error.message}`,
      );
      return undefined;
    }
  }

  private show(setting: Setting, point: Point, block: number): void {
    this.task.status.update(
      progressOf({ ...this.task, standing: this.standing }, setting, point, {
        block,
        metric: this.metric(setting.part.headline),
        pending: (each) => this.pending(each),
      }),
    );
  }
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
