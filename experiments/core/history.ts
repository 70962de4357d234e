// What a journal says once its records are put together: which samples count, and in which block.
import { HarnessError } from './errors.js';
import { canonicalJson } from './hash.js';
import type {
  BlockRecord,
  DoneRecord,
  EndRecord,
  FailureRecord,
  JournalRecord,
  NoiseRecord,
  PointRecord,
  RunRecord,
  SampleRecord,
  WarningRecord,
} from './records.js';
import type { JsonObject, JsonValue } from './types.js';

export interface BlockView {
  record: BlockRecord;
  /** One a slot; undefined where the trial failed or said that its figures are void. */
  slots: (SampleRecord | undefined)[];
}

export interface History {
  run: RunRecord;
  context: JsonObject;
  sessions: number;
  points: Map<string, PointRecord>;
  /**
   * Points under whose parameters a later session measured others: with another specification, program
   * or capture. Their samples stay in the journal, and are in no statistic.
   */
  replaced: Map<string, PointRecord>;
  done: Map<string, DoneRecord>;
  /** Whole blocks, in order of measuring. */
  blocks: BlockView[];
  /** Samples that count: of whole blocks, and not void. */
  samples: Map<string, SampleRecord[]>;
  warmups: Map<string, SampleRecord[]>;
  probes: Map<string, SampleRecord[]>;
  /** Samples of blocks that were cut off; kept in the journal, in no statistic. */
  setAside: number;
  voids: number;
  measured: number;
  failures: FailureRecord[];
  noise: NoiseRecord[];
  warnings: WarningRecord[];
  ends: EndRecord[];
  trialMs: number;
}

const bySetting = new WeakMap<History, Map<string, BlockView[]>>();

/** Whole blocks of the setting that a point belongs to: others of a run's thousands do not hold it. */
export function blocksOf(history: History, point: string): readonly BlockView[] {
  const known = bySetting.get(history) ?? new Map<string, BlockView[]>();
  if (!bySetting.has(history)) {
    for (const block of history.blocks) push(known, block.record.setting, block);
    bySetting.set(history, known);
  }
  return known.get(history.points.get(point)?.setting ?? '') ?? [];
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const blockKey = (setting: string, block: number, attempt: number): string =>
  `${setting}/${block}/${attempt}`;

/**
 * Of points under the same parameters the one that was announced last is meant. The others would stand
 * beside it under its name, and be taken for its baseline, or for the value of a claim.
 */
function replaceEarlier(history: History): void {
  const { points, replaced } = history;
  const last = new Map<string, PointRecord>();
  for (const point of points.values()) {
    const key = canonicalJson([point.part, point.params, point.control]);
    const before = last.get(key);
    if (before !== undefined) replaced.set(before.id, before);
    last.set(key, point);
  }
  for (const id of replaced.keys()) points.delete(id);
  history.failures = history.failures.filter(({ point }) => !replaced.has(point));
}

interface OpenBlock extends BlockView {
  /** Slots that have an outcome of any kind. */
  settled: Set<number>;
}

export function readHistory(records: readonly JournalRecord[]): History {
  const first = records[0];
  if (first?.type !== 'run')
    throw new HarnessError(
      'journal-damaged',
      'the journal does not begin with a run record; measure into another folder',
    );
  const history: History = {
    run: first,
    context: {},
    sessions: 0,
    points: new Map(),
    replaced: new Map(),
    done: new Map(),
    blocks: [],
    samples: new Map(),
    warmups: new Map(),
    probes: new Map(),
    setAside: 0,
    voids: 0,
    measured: 0,
    failures: [],
    noise: [],
    warnings: [],
    ends: [],
    trialMs: 0,
  };
  const open = new Map<string, OpenBlock>();
  const place = (
    point: string,
    block: number,
    attempt: number,
    slot: number,
    sample: SampleRecord | undefined,
  ): void => {
    const setting = history.points.get(point)?.setting ?? '';
    const found = open.get(blockKey(setting, block, attempt));
    if (found === undefined || found.record.order[slot] !== point) return;
    if (sample !== undefined && !sample.void) found.slots[slot] = sample;
    found.settled.add(slot);
  };
  for (const record of records) {
    switch (record.type) {
      case 'context':
        history.context = record.context;
        history.sessions = Math.max(history.sessions, record.session);
        break;
      case 'point':
        // Announced again, it is the last one.
        history.points.delete(record.id);
        history.points.set(record.id, record);
        break;
      case 'block':
        open.set(blockKey(record.setting, record.block, record.attempt), {
          record,
          slots: record.order.map(() => undefined),
          settled: new Set(),
        });
        break;
      case 'sample':
        history.trialMs += record.wallMs;
        if (record.phase === 'warmup') push(history.warmups, record.point, record);
        else if (record.phase === 'probe') push(history.probes, record.point, record);
        else {
          history.measured += 1;
          if (record.void) history.voids += 1;
          place(record.point, record.block, record.attempt, record.slot, record);
        }
        break;
      case 'failure':
        history.failures.push(record);
        place(record.point, record.block, record.attempt, record.slot, undefined);
        break;
      case 'done':
        history.done.set(record.point, record);
        break;
      case 'noise':
        history.noise.push(record);
        break;
      case 'warning':
        history.warnings.push(record);
        break;
      case 'end':
        history.ends.push(record);
        break;
      case 'run':
        history.run = record;
        break;
    }
  }
  let counted = 0;
  for (const block of open.values()) {
    if (block.settled.size < block.record.order.length) continue;
    history.blocks.push({ record: block.record, slots: block.slots });
    for (const sample of block.slots) {
      if (sample === undefined) continue;
      counted += 1;
      push(history.samples, sample.point, sample);
    }
  }
  history.setAside = history.measured - history.voids - counted;
  replaceEarlier(history);
  return history;
}

/** The number at a dotted path of a trial's record; undefined where there is none. */
export function numberAt(record: JsonValue | undefined, path: string): number | undefined {
  let value: JsonValue | undefined = record;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = (value as JsonObject)[name];
  }
  return typeof value === 'number' ? value : undefined;
}
