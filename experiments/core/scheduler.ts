// Measures what a plan still lacks: warm-up, then blocks in ABBA order, settings taking turns, until
// the stopping rule that was fixed beforehand says enough.
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
import { seedFrom } from './random.js';
import type { RunTrial, TrialResult } from './runner.js';
import { bisect, type Found } from './search.js';
import { medianInterval, relativeHalfWidth, type Interval } from './statistics.js';
import type { Status } from './status.js';
import { secondsLeft } from './time-left.js';
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
  private readonly values = new Map<string, number[]>();
  private readonly intervals = new Map<string, { interval: Interval; samples: number }>();
  private readonly blocksOf = new Map<string, number>();
  private readonly nextBlock = new Map<string, { block: number; attempt: number }>();
  private readonly tookOf = new Map<string, { ms: number; trials: number }>();
  private readonly started = performance.now();
  private spentMs: number;
  private trials = 0;
  private trialMs = 0;

  constructor(private readonly task: Task) {
    this.history = readHistory(task.journal.records);
    this.spentMs = this.history.trialMs;
    const partOf = new Map(task.settings.flatMap((s) => s.points.map((p) => [p.id, s] as const)));
    for (const [id, samples] of this.history.samples) {
      const setting = partOf.get(id);
      if (setting !== undefined)
        this.values.set(
          id,
          samples.flatMap((s) => this.headline(setting, s.record) ?? []),
        );
    }
    for (const { record } of this.history.blocks) {
      for (const id of new Set(record.order))
        this.blocksOf.set(id, (this.blocksOf.get(id) ?? 0) + 1);
    }
    // A block that was cut off is taken again from its start, as another attempt.
    const whole = new Set(
      this.history.blocks.map(
        ({ record }) => `${record.setting}/${record.block}/${record.attempt}`,
      ),
    );
    for (const record of task.journal.records) {
      if (record.type !== 'block') continue;
      const cut = !whole.has(`${record.setting}/${record.block}/${record.attempt}`);
      this.nextBlock.set(
        record.setting,
        cut
          ? { block: record.block, attempt: record.attempt + 1 }
          : { block: record.block + 1, attempt: 0 },
      );
    }
  }

  get trialMilliseconds(): number {
    return this.trialMs;
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
    return this.pending(setting).some((point) => (this.blocksOf.get(point.id) ?? 0) < min);
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
    const { block, attempt } = this.nextBlock.get(setting.key) ?? { block: 0, attempt: 0 };
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
      if (value !== undefined) this.remember(point, value);
      this.show(setting, point, block);
    }
    for (const point of contenders)
      this.blocksOf.set(point.id, (this.blocksOf.get(point.id) ?? 0) + 1);
    this.nextBlock.set(setting.key, { block: block + 1, attempt: 0 });
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
      this.count(part.name, result);
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
        if (++voided > voidRetries || this.spentMs / 1000 >= this.task.profile.budgetSeconds)
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

  private count(part: string, { wallMs }: TrialResult): void {
    const took = this.tookOf.get(part) ?? { ms: 0, trials: 0 };
    this.tookOf.set(part, { ms: took.ms + wallMs, trials: took.trials + 1 });
    this.trials += 1;
    this.trialMs += wallMs;
    this.spentMs += wallMs;
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
      samples: this.values.get(point.id)?.length ?? 0,
    };
    this.task.journal.append(record);
    this.history.done.set(point.id, record);
  }

  /** All contenders of a setting stop together: each then has a partner in every block. */
  private judge(setting: Setting): void {
    const pending = this.pending(setting);
    const { blocks, precision, budgetSeconds } = this.task.profile;
    const blocksHad = (): number =>
      Math.min(...pending.map((point) => this.blocksOf.get(point.id) ?? 0));
    if (setting.part.deterministic === true) {
      if (pending.length > 0 && blocksHad() >= (setting.part.seeds ?? 1))
        for (const point of pending) this.done(point, 'once');
      return;
    }
    const had = blocksHad();
    if (pending.length === 0 || had < blocks.min) return;
    const precise = pending.every((point) => relativeHalfWidth(this.interval(point)) <= precision);
    const reason = precise
      ? 'precise'
      : had >= blocks.max
        ? 'blocks'
        : this.spentMs / 1000 >= budgetSeconds
          ? 'budget'
          : undefined;
    if (reason !== undefined) for (const point of pending) this.done(point, reason);
  }

  /** Whatever the limit, a point gets one block: without it there is nothing to show. */
  private overLimit(contenders: readonly Point[]): boolean {
    return (
      this.spentMs / 1000 >= (this.task.profile.limitSeconds ?? Number.POSITIVE_INFINITY) &&
      contenders.every((point) => (this.blocksOf.get(point.id) ?? 0) > 0)
    );
  }

  private remember(point: Point, value: number): void {
    const values = this.values.get(point.id);
    if (values === undefined) this.values.set(point.id, [value]);
    else values.push(value);
  }

  /** Kept until the number of samples has grown by a tenth: the status line asks after every trial. */
  private interval(point: Point, exact = true): Interval {
    const values = this.values.get(point.id) ?? [];
    const kept = this.intervals.get(point.id);
    if (
      kept !== undefined &&
      (kept.samples === values.length || (!exact && values.length < kept.samples * 1.1))
    )
      return kept.interval;
    const interval = medianInterval(values, seedFrom('stop', point.id));
    this.intervals.set(point.id, { interval, samples: values.length });
    return interval;
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
    const { settings, profile, status } = this.task;
    const points = settings.reduce((sum, s) => sum + s.points.length, 0);
    const undone = settings.reduce((sum, s) => sum + this.pending(s).length, 0);
    const metric = this.metric(setting.part.headline);
    const interval = this.interval(point, false);
    const scale = metric.scale ?? 1;
    const digits = metric.digits ?? 2;
    const text = (value: number): string => (value * scale).toFixed(digits);
    // Too few values have a median and no interval.
    const half = (interval.high - interval.low) / 2;
    const spread = Number.isFinite(half) ? ` ± ${text(half)}` : '';
    const estimate = Number.isNaN(interval.value)
      ? ''
      : `${text(interval.value)}${spread} ${metric.unit}`;
    status.update({
      pointsDone: points - undone,
      points,
      block: block + 1,
      blocks: setting.part.deterministic === true ? (setting.part.seeds ?? 1) : profile.blocks.max,
      label: `${setting.part.name} ${describeParams(point.params)}`,
      estimate,
      secondsLeft: secondsLeft(
        settings.map((each) => ({
          setting: each,
          blocks: this.pending(each).map((p) => this.blocksOf.get(p.id) ?? 0),
          perTrial: this.trialSecondsOf(each.part.name),
        })),
        profile,
        this.spentMs / 1000,
      ),
    });
  }

  /** Mean of the part's trials; of all, as long as there was none of it. */
  private trialSecondsOf(part: string): number {
    const own = this.tookOf.get(part) ?? { ms: this.trialMs, trials: this.trials };
    return own.trials === 0 ? 0 : own.ms / own.trials / 1000;
  }
}

const round = (ms: number): number => Math.round(ms * 1000) / 1000;
