// Keys made to collide.
import type { Axis, Part } from '../core/types.js';
import { target, type Scale, type Section } from './section.js';
import { burst, inBursts } from './tables.js';

const part = 'hostile';
const byNic = 'burst table, NIC hash';

function hostile({ quick }: Scale): Part {
  const rows = [
    ...inBursts.map(([contender, tracker]) => [contender, tracker, 'crc'] as const),
    [byNic, 'burst-table', 'nic'] as const,
  ];
  const axis: Axis = { kind: 'zip', names: ['contender', 'tracker', 'attack'], rows };
  return {
    name: part,
    title: 'Hostile keys',
    question:
      'What do 2,048 flows do to a table if an attacker chose their keys to collide in its hash?',
    job: 'conntrack-hostile',
    axes: [axis],
    contenders: { axis: 'contender', baseline: 'burst table' },
    spec: (p) => ({
      contender: String(p.tracker),
      attack: String(p.attack),
      flows: 2048,
      others: quick ? 100_000 : 1_000_000,
      depth: burst,
    }),
    headline: 'slowdown',
    metrics: ['slowdown', 'ordinaryNs', 'hostileNs', 'insertSlowdown', 'refusedPercent'],
  };
}

const atMostTwice = (id: string, contender: string, text: string): Section['claims'][number] => ({
  id,
  text,
  source: target,
  unit: 'times',
  published: 2,
  tolerance: 0,
  kind: 'at-most',
  measured: { part, metric: 'slowdown', at: { contender } },
});

export const hostileSection: Section = {
  parts: (scale) => [hostile(scale)],
  metrics: [
    {
      key: 'slowdown',
      label: 'lookup over that of ordinary keys',
      unit: 'times',
      direction: 'lower',
      path: 'slowdown',
      digits: 2,
      gate: true,
    },
    {
      key: 'ordinaryNs',
      label: 'lookup of an ordinary key',
      unit: 'ns',
      direction: 'lower',
      path: 'ordinaryNs',
      digits: 1,
    },
    {
      key: 'hostileNs',
      label: 'lookup of a hostile key',
      unit: 'ns',
      direction: 'lower',
      path: 'hostileNs',
      digits: 1,
    },
    {
      key: 'insertSlowdown',
      label: 'insert over that of ordinary keys',
      unit: 'times',
      direction: 'lower',
      path: 'insertSlowdown',
      digits: 2,
    },
    {
      key: 'refusedPercent',
      label: 'hostile keys without room',
      unit: '%',
      direction: 'lower',
      path: 'refusedPercent',
      digits: 1,
    },
  ],
  figures: [
    {
      id: 'hostile',
      title: 'Slowdown of lookups under attack',
      part,
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'slowdown',
    },
    {
      id: 'hostile-refused',
      title: 'Hostile keys without room',
      part,
      kind: 'bar',
      category: { param: 'contender', label: 'table' },
      metric: 'refusedPercent',
    },
  ],
  claims: [
    atMostTwice(
      'hostile-crc',
      'burst table',
      'Slowdown of the burst table by keys that collide under CRC',
    ),
    atMostTwice(
      'hostile-nic',
      byNic,
      'Slowdown of a burst table placed by the NIC’s hash, by keys with one NIC hash',
    ),
  ],
  published: () => [],
};
