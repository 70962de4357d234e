// What a run has so far, of this session and of those before: samples, blocks, time.
import type { History } from './history.js';
import type { Point } from './points.js';
import type { JournalRecord } from './records.js';
import { medianInterval, type Interval } from './statistics.js';
import type { JsonObject } from './types.js';

export class Standing {
  /** Milliseconds of all trials, those of earlier sessions too. */
  spentMs: number;
  trialMs = 0;
  private trials = 0;
  private readonly values = new Map<string, number[]>();
  private readonly intervals = new Map<string, { interval: Interval; samples: number }>();
  private readonly blocksOf = new Map<string, number>();
  private readonly nextBlock = new Map<string, { block: number; attempt: number }>();
  private readonly tookOf = new Map<string, { ms: number; trials: number }>();

  /** `headline`: what a record gives for a point; nothing where the point is not of this plan. */
  constructor(
    history: History,
    records: readonly JournalRecord[],
    headline: (point: string, record: JsonObject) => number | undefined,
  ) {
    this.spentMs = history.trialMs;
    for (const [id, samples] of history.samples)
      for (const { record } of samples) {
        const value = headline(id, record);
        if (value !== undefined) this.remember(id, value);
      }
    for (const { record } of history.blocks) this.hadBlock(record.order);
    // A block that was cut off is taken again from its start, as another attempt.
    const whole = new Set(
      history.blocks.map(({ record }) => `${record.setting}/${record.block}/${record.attempt}`),
    );
    for (const record of records) {
      if (record.type !== 'block') continue;
      const { setting, block, attempt } = record;
      const cut = !whole.has(`${setting}/${block}/${attempt}`);
      this.next(setting, cut ? block : block + 1, cut ? attempt + 1 : 0);
    }
  }

  samples(point: Point): number {
    return this.values.get(point.id)?.length ?? 0;
  }

  blocks(point: Point): number {
    return this.blocksOf.get(point.id) ?? 0;
  }

  hadBlock(points: readonly string[]): void {
    for (const id of new Set(points)) this.blocksOf.set(id, (this.blocksOf.get(id) ?? 0) + 1);
  }

  /** The block of a setting that comes next. */
  nextOf(setting: string): { block: number; attempt: number } {
    return this.nextBlock.get(setting) ?? { block: 0, attempt: 0 };
  }

  next(setting: string, block: number, attempt: number): void {
    this.nextBlock.set(setting, { block, attempt });
  }

  remember(point: string, value: number): void {
    const values = this.values.get(point);
    if (values === undefined) this.values.set(point, [value]);
    else values.push(value);
  }

  /** Kept until the number of samples has grown by a tenth: the status line asks after every trial. */
  interval(point: Point, exact = true): Interval {
    const values = this.values.get(point.id) ?? [];
    const kept = this.intervals.get(point.id);
    if (
      kept !== undefined &&
      (kept.samples === values.length || (!exact && values.length < kept.samples * 1.1))
    )
      return kept.interval;
    const interval = medianInterval(values);
    this.intervals.set(point.id, { interval, samples: values.length });
    return interval;
  }

  /** A trial of that part took so long. */
  took(part: string, wallMs: number): void {
    const took = this.tookOf.get(part) ?? { ms: 0, trials: 0 };
    this.tookOf.set(part, { ms: took.ms + wallMs, trials: took.trials + 1 });
    this.trials += 1;
    this.trialMs += wallMs;
    this.spentMs += wallMs;
  }

  /** Mean of the part's trials; of all, as long as there was none of it. */
  trialSeconds(part: string): number {
    const own = this.tookOf.get(part) ?? { ms: this.trialMs, trials: this.trials };
    return own.trials === 0 ? 0 : own.ms / own.trials / 1000;
  }
}
