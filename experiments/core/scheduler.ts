// Measures what a plan still lacks: warm-up, then blocks in ABBA order, settings taking turns, until
// the stopping rule that was fixed beforehand says enough.
import { reopened } from './budget.js';
import { HarnessError } from './errors.js';
import { numberAt, readHistory, type History } from './history.js';
import { Ledger, type Slot } from './ledger.js';
import { blockOrder, blockSeed } from './order.js';
import { describeParams, makePoint, type Point, type Setting } from './points.js';
import { progressOf, unfinishedOf } from './progress.js';
import { bisect, type Found } from './search.js';
import { Standing } from './standing.js';
import { relativeHalfWidth } from './statistics.js';
import { isShortOfTime } from './time-left.js';
import { Trials, type Task } from './trials.js';
import type { JsonObject, Metric, SearchAxis } from './types.js';

export class Scheduler {
  private readonly history: History;
  private readonly standing: Standing;
  private readonly ledger: Ledger;
  private readonly trials: Trials;

  constructor(private readonly task: Task) {
    this.history = reopened(readHistory(task.journal.records), task);
    const partOf = new Map(task.settings.flatMap((s) => s.points.map((p) => [p.id, s] as const)));
    this.standing = new Standing(this.history, task.journal.records, (point, record) => {
      const setting = partOf.get(point);
      return setting === undefined ? undefined : this.headline(setting, record);
    });
    this.ledger = new Ledger(task.journal, this.history, this.standing, task.identity);
    this.trials = new Trials(task, this.ledger, this.standing);
  }

  get trialMilliseconds(): number {
    return this.standing.trialMs;
  }

  /** @returns whether everything was measured */
  async run(): Promise<boolean> {
    this.announcePoints();
    const warm = new Set<string>();
    for (;;) {
      const open = this.task.settings.filter((setting) => this.ledger.pending(setting).length > 0);
      if (open.length === 0) return true;
      for (const setting of open) {
        if (this.task.stop?.() === true) return false;
        if (setting.search !== undefined) await this.search(setting);
        else {
          do {
            await this.turn(setting, warm);
            if (this.task.stop?.() === true) return false;
          } while (this.lacksBlocks(setting) && this.oneByOne());
        }
      }
    }
  }

  /** One block of this setting, unless it is over. */
  private async turn(setting: Setting, warm: Set<string>): Promise<void> {
    // Time may have run out since this setting's last block.
    this.judge(setting);
    if (this.ledger.pending(setting).length === 0) return;
    const contenders = this.contenders(setting);
    if (setting.part.deterministic !== true) {
      if (this.overLimit(contenders)) {
        for (const point of this.ledger.pending(setting)) this.ledger.done(point, 'limit');
        return;
      }
      await this.warmUp(setting, contenders, warm);
      if (this.task.stop?.() === true) return;
    }
    await this.block(setting, contenders);
    this.judge(setting);
  }

  /**
   * Whether a setting gets its least number of blocks before the next has its turn. Where time is short the
   * first questions of the definition have an answer then, instead of none of them.
   */
  private oneByOne(): boolean {
    const { profile, settings } = this.task;
    const { standing } = this;
    if (profile.oneByOne === true) return true;
    const unfinished = unfinishedOf({ profile, settings, standing }, (s) => this.ledger.pending(s));
    return isShortOfTime(unfinished, profile, standing.spentMs / 1000);
  }

  private lacksBlocks(setting: Setting): boolean {
    const { min } = this.task.profile.blocks;
    return this.ledger.pending(setting).some((point) => this.standing.blocks(point) < min);
  }

  private announcePoints(): void {
    for (const setting of this.task.settings)
      for (const point of setting.points) this.ledger.announce(setting, point);
  }

  /** What lacks samples, and the baseline with it: a ratio needs a partner of the same block. */
  private contenders(setting: Setting): Point[] {
    const pending = this.ledger.pending(setting);
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
      if (warm.has(point.id) || this.ledger.isDone(point)) continue;
      warm.add(point.id);
      const seed = blockSeed(this.task.identity.seed, setting.key, 0);
      let before: number | undefined;
      for (let i = 0; i < max; i++) {
        const sample = await this.trials.measure(setting, point, {
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
      const sample = await this.trials.measure(setting, point, {
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

  /** All contenders of a setting stop together: each then has a partner in every block. */
  private judge(setting: Setting): void {
    const pending = this.ledger.pending(setting);
    const { blocks, precision, budgetSeconds } = this.task.profile;
    const blocksHad = (): number =>
      Math.min(...pending.map((point) => this.standing.blocks(point)));
    if (setting.part.deterministic === true) {
      if (pending.length > 0 && blocksHad() >= (setting.part.seeds ?? 1))
        for (const point of pending) this.ledger.done(point, 'once');
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
    if (reason !== undefined) for (const point of pending) this.ledger.done(point, reason);
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
    for (const point of this.ledger.pending(setting)) {
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
        atMs: this.trials.atMs,
        wallMs: 0,
        void: false,
        record: finite,
      });
      this.ledger.done(point, 'found');
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
        this.ledger.announce(setting, probe);
        const sample = known ?? (await this.trials.measure(setting, probe, slot));
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
      this.ledger.fail(point, slot, error.code, error.message);
      this.ledger.done(point, 'failed');
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
        pending: (each) => this.ledger.pending(each),
      }),
    );
  }
}
