// What is measured against what, in most parts.
import type { Axis } from '../core/types.js';

/** contender, policy, T in µs, form of the chain. */
export type Row = readonly [string, string, number, string];

export const held = (us: number): Row => [`${us}us`, 'fixed', us, 'packet'];
export const off: Row = ['off', 'off', 0, 'packet'];
export const burst: Row = ['burst', 'burst', 0, 'packet'];
/** Up to 128 µs. */
export const adaptive: Row = ['adaptive', 'adaptive', 128, 'packet'];
/** The chain works once a run instead of once a packet, with Reframer's run vector. */
export const runs: Row = ['64us, runs', 'fixed', 64, 'run'];
export const adaptiveRuns: Row = ['adaptive, runs', 'adaptive', 128, 'run'];
/** The same form on the runs that arrive: what of a gain is the form's, and not Reframer's. */
export const offRuns: Row = ['off, runs', 'off', 0, 'run'];

export const contenders = (rows: readonly Row[]): Axis => ({ kind: 'zip', names: ['contender', 'policy', 'delayUs', 'form'], rows });
export const versusOff = { axis: 'contender', baseline: 'off' } as const;

export const loadMetrics = ['throughputGbps', 'slfOut', 'slfIn', 'nsPerPacket', 'cyclesPerPacket', 'stageNs', 'p50Us', 'p95Us', 'p99Us', 'dropPercent'] as const;

/** The offered load of the paper's overload point. */
export const overloadBps = 70e9;
/** Above what the modern chain carries in any configuration measured (about 900 Gbps on eight queues). */
export const modernOverloadBps = 1000e9;
/** Above what one function alone carries on two cores (about 450 Gbps). */
export const functionOverloadBps = 500e9;
