// Parts about state per bucket beside tables that cores share.
import type { Part } from '../core/types.js';
import { type Scale } from './contenders.js';

/** Frames of the published run on state: 1500 bytes. */
export const stateFrameBits = 12_000;

/** Packets that are looked up together, of either state: one as published, or a burst. */
const calls = { kind: 'list', name: 'call', values: [1, 32] } as const;
const states = {
  kind: 'zip',
  names: ['contender', 'state'],
  rows: [
    ['shared, locked', 'shared'],
    ['per bucket', 'bucket'],
  ],
} as const;
const versusShared = { axis: 'contender', baseline: 'shared, locked' } as const;

export function state(scale: Scale): Part {
  return {
    name: 'state',
    title: 'State per bucket or shared',
    question: 'What packet rate do cores reach with state per bucket, and with one locked table?',
    job: 'rsspp-state',
    axes: [{ kind: 'list', name: 'cores', values: [1, 2] }, calls, states],
    contenders: versusShared,
    spec: (p) => ({
      state: String(p.state),
      call: Number(p.call),
      cores: Number(p.cores),
      work: 100,
      seconds: scale.quick ? 0.5 : 2,
    }),
    headline: 'mpps',
    metrics: ['mpps'],
  };
}

/** One core's rate differs between the two already, without any contention: only the growth is about sharing. */
export function stateGrowth(scale: Scale): Part {
  return {
    name: 'state-growth',
    title: 'What the second core brings',
    question: 'By how much does a second core raise the rate, measured in turns?',
    job: 'rsspp-state',
    axes: [calls, states],
    contenders: versusShared,
    spec: (p) => ({
      state: String(p.state),
      call: Number(p.call),
      cores: 2,
      against: 1,
      work: 100,
      seconds: scale.quick ? 0.3 : 1,
    }),
    headline: 'growth',
    metrics: ['growth', 'mpps'],
  };
}
