// Where a run is: what its status line says after each trial.
import { describeParams, type Point, type Setting } from './points.js';
import type { Standing } from './standing.js';
import type { Progress } from './status.js';
import { secondsLeft, type Unfinished } from './time-left.js';
import type { Metric, Profile } from './types.js';

export interface Run {
  settings: readonly Setting[];
  profile: Profile;
  standing: Standing;
}

type Pending = (setting: Setting) => readonly Point[];

export const unfinishedOf = ({ settings, standing }: Run, pending: Pending): Unfinished[] =>
  settings.map((setting) => ({
    setting,
    blocks: pending(setting).map((point) => standing.blocks(point)),
    perTrial: standing.trialSeconds(setting.part.name),
  }));

export function progressOf(
  run: Run,
  setting: Setting,
  point: Point,
  now: { block: number; metric: Metric; pending: Pending },
): Progress {
  const { settings, profile, standing } = run;
  const { metric, pending } = now;
  const points = settings.reduce((sum, s) => sum + s.points.length, 0);
  const undone = settings.reduce((sum, s) => sum + pending(s).length, 0);
  const interval = standing.interval(point, false);
  const scale = metric.scale ?? 1;
  const digits = metric.digits ?? 2;
  const text = (value: number): string => (value * scale).toFixed(digits);
  // Too few values have a median and no interval.
  const half = (interval.high - interval.low) / 2;
  const spread = Number.isFinite(half) ? ` ± ${text(half)}` : '';
  return {
    pointsDone: points - undone,
    points,
    block: now.block + 1,
    blocks: setting.part.deterministic === true ? (setting.part.seeds ?? 1) : profile.blocks.max,
    label: `${setting.part.name} ${describeParams(point.params)}`,
    estimate: Number.isNaN(interval.value) ? '' : `${text(interval.value)}${spread} ${metric.unit}`,
    secondsLeft: secondsLeft(unfinishedOf(run, pending), profile, standing.spentMs / 1000),
  };
}
