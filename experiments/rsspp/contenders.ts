// Contenders of the parts, and the trial that most of them run. Every part but the solver's runs in
// virtual time: its answer depends on the seed and on nothing of the machine, so one trial a seed is
// enough; a verdict takes six seeds.
import type { JsonObject, Params, Part } from '../core/types.js';

export interface Scale {
  quick: boolean;
  /** Seeds of a point. */
  seeds: number;
  /** Virtual seconds measured, and before that. */
  seconds: number;
  warmupSeconds: number;
}

/** contender, method, epoch in milliseconds. */
export type Row = readonly [string, string, number];
export const rss: Row = ['static RSS', 'static', 100];
export const greedy: Row = ['RSS++ greedy', 'greedy', 100];
export const ours: Row = ['ours', 'ours', 100];
// Epochs of 10 ms within a second of a core above 0.9, else 100 ms.
export const greedyFast: Row = ['RSS++ greedy, 10 to 100 ms', 'greedy', 100];
export const oursFast: Row = ['ours, 10 to 100 ms', 'ours', 100];
// One ring for all cores, as deep as theirs together: what nothing beats that has no more room.
export const pooled: Row = ['bound: one shared queue', 'pooled', 100];
// Over the same rings: each packet to the shortest, whatever its flow. No split does better that has no more room.
export const ideal: Row = ['bound: ideal split', 'shortest', 100];
// Metron was run with an epoch of 500 ms.
export const classes: Row = ['traffic classes, 500 ms', 'classes', 500];
export const comparators: readonly Row[] = [
  rss,
  greedy,
  ours,
  ['single flows', 'flows', 100],
  classes,
  ['sprayer', 'sprayer', 100],
  ['software round robin', 'sw-rr', 100],
  ['software, flows in turn', 'sw-flow', 100],
  ['software, least load', 'sw-load', 100],
];

export const contenders = (rows: readonly Row[]): Part['axes'][number] => ({
  kind: 'zip',
  names: ['contender', 'method', 'epochMs'],
  rows,
});
export const versusRss = { axis: 'contender', baseline: 'static RSS' } as const;
export const profiles = { kind: 'list', name: 'trace', values: ['campus', 'campus4'] } as const;

// The lower quartile of the published latencies at 105 % speed, the same with and without RSS++: wire,
// tester and driver, which have no part in the virtual port.
export const pathUs = 58;

export const fastEpochs = ({ contender }: Params): boolean =>
  contender === oursFast[0] || contender === greedyFast[0];

export function trial(params: Params, scale: Scale, more: JsonObject): JsonObject {
  return {
    profile: params.trace ?? 'campus4',
    method: params.method ?? 'ours',
    intervalMs: params.epochMs ?? 100,
    overloadIntervalMs: fastEpochs(params) ? 10 : 0,
    seconds: scale.seconds,
    warmupSeconds: scale.warmupSeconds,
    ...more,
  };
}
