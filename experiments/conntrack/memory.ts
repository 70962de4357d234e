// What a flow costs in memory.
import { fewestValues } from '../core/statistics.js';
import type { Part } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';
import { contenders, everyTable } from './tables.js';

const part = 'memory';

function memory({ quick }: Scale): Part {
  return {
    name: part,
    title: 'Memory per flow',
    question:
      'How many bytes does a flow with 8 bytes of state take in a table sized for the number of flows?',
    job: 'conntrack-memory',
    axes: [
      { kind: 'list', name: 'keySize', values: quick ? [16] : [16, 40] },
      {
        kind: 'list',
        name: 'flows',
        values: quick ? [1_000_000] : [10_000, 100_000, 1_000_000, 4_000_000],
      },
      contenders(everyTable),
    ],
    contenders: { axis: 'contender', baseline: 'Cuckoo++' },
    deterministic: true,
    seeds: fewestValues,
    spec: (p) => ({
      contender: String(p.tracker),
      flows: Number(p.flows),
      keySize: Number(p.keySize),
    }),
    headline: 'bytesPerFlow',
    metrics: ['bytesPerFlow', 'residentBytesPerFlow', 'memoryHugePercent'],
  };
}

export const memorySection: Section = {
  parts: (scale) => [memory(scale)],
  metrics: [
    {
      key: 'bytesPerFlow',
      label: 'memory by the table’s account',
      unit: 'bytes per flow',
      direction: 'lower',
      path: 'bytesPerFlow',
      digits: 1,
      gate: true,
    },
    {
      key: 'residentBytesPerFlow',
      label: 'memory by the kernel’s account',
      unit: 'bytes per flow',
      direction: 'lower',
      path: 'residentBytesPerFlow',
      digits: 1,
    },
    {
      key: 'memoryHugePercent',
      label: 'of that, on huge pages',
      unit: '%',
      direction: 'neutral',
      path: 'hugeShare',
      scale: 100,
      digits: 0,
    },
  ],
  figures: [
    {
      id: 'memory',
      title: 'Memory per flow, IPv4 keys',
      part,
      where: { keySize: 16 },
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'residentBytesPerFlow',
      facet: 'flows',
    },
    {
      id: 'memory-ipv6',
      title: 'Memory per flow, IPv6 keys',
      part,
      where: { keySize: 40 },
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'residentBytesPerFlow',
      facet: 'flows',
    },
  ],
  claims: [
    {
      id: 'memory-4m',
      text: 'Memory of the burst table, 4 M flows with 8 bytes of state',
      source: target,
      unit: 'bytes per flow',
      published: 48,
      tolerance: 0,
      kind: 'at-most',
      measured: {
        part,
        metric: 'bytesPerFlow',
        at: { contender: 'burst table', flows: 4_000_000, keySize: 16 },
      },
      why: { missed: 'the cells of a page cannot all be filled: room is left to move flows in it' },
    },
  ],
  published: () => [],
};
