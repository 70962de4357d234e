// What is measured against what, in most parts.
import type { Axis } from '../core/types.js';

/** contender, policy, T in µs, form of the chain. */
export type Row = readonly [string, string, number, string];

export const held = (us: number): Row => [`${us}us`, 'fixed', us, 'packet'];
export const off: Row = ['off', 'off', 0, 'packet'];
export const burst: Row = ['burst', 'burst', 0, 'packet'];
/** Up to 128 µs. */
export const adaptive: Row = ['adaptive', 'adaptive', 128, 'packet'];

/**
 * The same rows with the chain working once a run of equal keys instead of once a packet. The chain
 * finds the runs itself, by comparing neighbours' keys: the stage's run vector would save it nothing,
 * since an equal hash does not prove an equal key. Only ever measured against each other: a part is of
 * one form, so what the form brings is in no gain of Reframer's.
 */
export const byRun = (rows: readonly Row[]): readonly Row[] =>
  rows.map(([contender, policy, delayUs]) => [contender, policy, delayUs, 'run']);

export const contenders = (rows: readonly Row[]): Axis => ({
  kind: 'zip',
  names: ['contender', 'policy', 'delayUs', 'form'],
  rows,
});
export const versusOff = { axis: 'contender', baseline: 'off' } as const;

// The hold that was measured stands beside the T of every row: at overload it is many times T.
export const loadMetrics = [
  'throughputGbps',
  'slfOut',
  'slfIn',
  'holdP50Us',
  'holdP99Us',
  'nsPerPacket',
  'cyclesPerPacket',
  'stageNs',
  'p50Us',
  'p95Us',
  'p99Us',
  'ownP50Us',
  'ownP99Us',
  'dropPercent',
] as const;

/** The offered load of the paper's overload point. */
export const overloadBps = 70e9;
/** Above what the modern chain carries in any configuration measured (about 900 Gbps on eight queues). */
export const modernOverloadBps = 1000e9;
/** On two queues, above what any function alone carries: a packet every 16 to 17 ns and queue. */
export const functionOverloadBps = 1000e9;
