// Lines of a journal: results/schema.json says the same to those who read one without this code.
import type { BedFacts, JsonObject, Params, RunOptions } from './types.js';

export interface RunRecord {
  type: 'run';
  v: number;
  experiment: string;
  profile: RunOptions['profile'];
  seed: number;
  traces: { name: string; sha256: string }[];
  argv: string[];
  started: string;
  bed?: BedFacts;
}
export interface ContextRecord {
  type: 'context';
  session: number;
  context: JsonObject;
}
export interface PointRecord {
  type: 'point';
  id: string;
  part: string;
  setting: string;
  params: Params;
  control: boolean;
  spec: JsonObject;
}
/** Announces what a block is about to measure: a block counts when all of it is there. */
export interface BlockRecord {
  type: 'block';
  setting: string;
  block: number;
  attempt: number;
  seed: number;
  order: string[];
}
export interface SampleRecord {
  type: 'sample';
  point: string;
  phase: 'warmup' | 'measure' | 'probe';
  session: number;
  block: number;
  attempt: number;
  slot: number;
  seed: number;
  /** Start after the beginning of the session, and the process's life, ms. */
  atMs: number;
  wallMs: number;
  /** The trial said that its figures must not be used. */
  void: boolean;
  record: JsonObject;
}
export interface FailureRecord {
  type: 'failure';
  point: string;
  block: number;
  attempt: number;
  slot: number;
  code: string;
  message: string;
  /** Nothing failed: this machine, or bed, cannot run the part, which may be left out. */
  leftOut?: boolean;
}
export interface DoneRecord {
  type: 'done';
  point: string;
  reason: 'precise' | 'blocks' | 'budget' | 'limit' | 'once' | 'found' | 'failed';
  warmups: number;
  samples: number;
}
export interface NoiseRecord {
  type: 'noise';
  session: number;
  when: 'before' | 'after';
  measures: JsonObject;
}
export interface WarningRecord {
  type: 'warning';
  name: string;
  seen: string;
  remedy: string;
}
export interface EndRecord {
  type: 'end';
  session: number;
  reason: 'complete' | 'partial';
  wallMs: number;
  trialMs: number;
}
export type JournalRecord =
  | RunRecord
  | ContextRecord
  | PointRecord
  | BlockRecord
  | SampleRecord
  | FailureRecord
  | DoneRecord
  | NoiseRecord
  | WarningRecord
  | EndRecord;
