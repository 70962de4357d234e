// A table made for a thousand flows takes sixteen million.
import type { Axis, Figure, Part } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';

const part = 'growth';

/** Those that grow; rte_hash, Cuckoo++ and Chaining are made for a size and keep it. */
const growing: Axis = {
  kind: 'zip',
  names: ['contender', 'tracker', 'burst'],
  rows: [
    ['burst table', 'burst-table', 1],
    ['burst table, 32 at once', 'burst-table', 32],
    ['HopScotch', 'hopscotch', 1],
    ['RobinMap', 'robin', 1],
    ['Chaining STL', 'chaining-stl', 1],
  ],
};

function growth({ quick }: Scale): Part {
  const sizes = quick
    ? [10_000, 100_000, 1_000_000]
    : [10_000, 100_000, 1_000_000, 10_000_000, 16_000_000];
  return {
    name: part,
    title: 'Growth',
    question: 'How long does the slowest insert take while a table made for 1,000 flows grows?',
    job: 'conntrack-growth',
    axes: [growing],
    contenders: { axis: 'contender', baseline: 'Chaining STL' },
    spec: (p) => ({
      contender: String(p.tracker),
      from: 1000,
      to: sizes.at(-1) ?? 0,
      burst: Number(p.burst),
    }),
    headline: 'slowestUs',
    metrics: ['slowestUs', 'growthP9999Us', 'growthP999Us', 'growthInsertNs', 'growthBytesPerFlow'],
    unfold: sizes.map((flows) => ({ params: { flows }, path: `at.${flows}` })),
  };
}

const line = (id: string, title: string, metric: string): Figure => ({
  id,
  title,
  part,
  kind: 'line',
  x: { param: 'flows', label: 'flows', scale: 'log' },
  metric,
  series: 'contender',
});
const us = (key: string, label: string, path: string): Section['metrics'][number] => ({
  key,
  label,
  unit: 'µs',
  direction: 'lower',
  path,
  digits: 2,
});

export const growthSection: Section = {
  parts: (scale) => [growth(scale)],
  metrics: [
    us('slowestUs', 'slowest call', 'slowestUs'),
    us('growthP9999Us', '99.99th percentile of a call', 'p9999Us'),
    us('growthP999Us', '99.9th percentile of a call', 'p999Us'),
    {
      key: 'growthInsertNs',
      label: 'mean of an insert',
      unit: 'ns',
      direction: 'lower',
      path: 'insertNs',
      digits: 0,
      gate: true,
    },
    {
      key: 'growthBytesPerFlow',
      label: 'memory after it',
      unit: 'bytes per flow',
      direction: 'lower',
      path: 'bytesPerFlow',
      digits: 1,
    },
  ],
  figures: [
    line('growth-slowest', 'The slowest insert while the table grows to that size', 'slowestUs'),
    line('growth-p999', '99.9th percentile of an insert while the table grows', 'growthP999Us'),
    line('growth-mean', 'Mean insert while the table grows', 'growthInsertNs'),
  ],
  claims: [
    {
      id: 'growth-p999',
      text: '99.9th percentile of an insert into the burst table, growing from 100,000 to 1 M flows',
      source: target,
      unit: 'µs',
      published: 2,
      tolerance: 0,
      kind: 'at-most',
      measured: {
        part,
        metric: 'growthP999Us',
        at: { contender: 'burst table', flows: 1_000_000 },
      },
    },
  ],
  published: () => [],
};
