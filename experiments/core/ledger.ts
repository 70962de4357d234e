// The points of a run: which are known, which are finished and why. Whatever changes goes to the journal.
import type { History } from './history.js';
import type { Journal } from './journal.js';
import { portableSpec, type Identity, type Point, type Setting } from './points.js';
import type { DoneRecord, SampleRecord } from './records.js';
import type { Standing } from './standing.js';

/** Where in the run a trial stands. */
export interface Slot {
  phase: SampleRecord['phase'];
  block: number;
  attempt: number;
  slot: number;
  seed: number;
}

export class Ledger {
  constructor(
    private readonly journal: Journal,
    private readonly history: History,
    private readonly standing: Standing,
    private readonly identity: Identity,
  ) {}

  announce(setting: Setting, point: Point): void {
    if (this.history.points.has(point.id)) return;
    const spec = portableSpec(setting.part.spec(point.params), this.identity.traces);
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
    this.journal.append(record);
    this.history.points.set(id, record);
  }

  pending(setting: Setting): Point[] {
    return setting.points.filter((point) => !this.isDone(point));
  }

  isDone(point: Point): boolean {
    return this.history.done.has(point.id);
  }

  hasFailed(point: Point): boolean {
    return this.history.done.get(point.id)?.reason === 'failed';
  }

  done(point: Point, reason: DoneRecord['reason']): void {
    if (this.isDone(point)) return;
    const warmups = this.journal.records.filter(
      (r) => r.type === 'sample' && r.phase === 'warmup' && r.point === point.id,
    ).length;
    const record: DoneRecord = {
      type: 'done',
      point: point.id,
      reason,
      warmups,
      samples: this.standing.samples(point),
    };
    this.journal.append(record);
    this.history.done.set(point.id, record);
  }

  /** @param leftOut see FailureRecord */
  fail(
    point: Point,
    { block, attempt, slot }: Slot,
    code: string,
    message: string,
    leftOut = false,
  ): void {
    this.journal.append({
      type: 'failure',
      point: point.id,
      block,
      attempt,
      slot,
      code,
      message,
      ...(leftOut ? { leftOut } : {}),
    });
  }
}
