// Flows that end by a timeout: how to notice it, and how often.
import { readPublished } from '../core/published.js';
import type { Axis, Figure, Part, PublishedRow } from '../core/types.js';
import { paperFiles, target, type Scale, type Section } from './section.js';

const part = 'expiry';

/** All in bursts of 32. */
const ways: Axis = {
  kind: 'zip',
  names: ['contender', 'tracker', 'expiry'],
  rows: [
    ['Cuckoo, none', 'rte-hash-burst', 'none'],
    ['Cuckoo, wheel', 'rte-hash-burst', 'wheel'],
    ['Cuckoo, lazy', 'rte-hash-burst', 'lazy'],
    ['Cuckoo, scan', 'rte-hash-burst', 'scan'],
    ['Cuckoo++, timers', 'cuckoopp-burst', 'lazy'],
    ['burst table, none', 'burst-table', 'none'],
    ['burst table, wheel', 'burst-table', 'wheel'],
    ['burst table, lazy', 'burst-table', 'lazy'],
    ['burst table, sweep', 'burst-table', 'scan'],
  ],
};

function expiry({ quick }: Scale): Part {
  return {
    name: part,
    title: 'Expiry by tick',
    question: 'What does it cost, in time and memory, that flows end 5 s after their last packet?',
    job: 'conntrack-expiry',
    axes: [
      { kind: 'list', name: 'ticksPerSecond', values: quick ? [1000, 1] : [1000, 100, 10, 1] },
      ways,
    ],
    contenders: { axis: 'contender', baseline: 'burst table, none' },
    spec: (p) => ({
      contender: String(p.tracker),
      expiry: String(p.expiry),
      ticksPerSecond: Number(p.ticksPerSecond),
      timeScale: quick ? 0.03 : 0.2,
      seconds: 20,
    }),
    headline: 'expiryCycles',
    metrics: [
      'expiryCycles',
      'tickSharePercent',
      'tickP99Us',
      'worstTickUs',
      'expiryDropPercent',
      'residentsOverLive',
      'newFlows',
      'preempted',
    ],
  };
}

const contenderOf: Readonly<Record<string, string>> = {
  lazy: 'Cuckoo, lazy',
  scan: 'Cuckoo, scan',
  timer_wheel: 'Cuckoo, wheel',
  none_forward_only: 'Cuckoo, none',
};

// With 60,000 new flows a second and a timeout of 5 s, as the result files' counts give it.
const publishedLive = 350_000;

function published(): PublishedRow[] {
  return readPublished('conntrack-expiry-single-core.csv').rows.flatMap((row) => {
    const params = {
      contender: contenderOf[String(row.method)] ?? '',
      ticksPerSecond: Number(row.ticksPerSecond),
    };
    const flows = Number(row.flows);
    return [
      { part, params, metric: 'expiryDropPercent', value: Number(row.dropPercent) },
      ...(flows > 0
        ? [{ part, params, metric: 'residentsOverLive', value: flows / publishedLive }]
        : []),
    ];
  });
}

const byTick = { param: 'ticksPerSecond', label: 'ticks per second', scale: 'log' } as const;
const atThousand = (id: string, title: string, metric: string): Figure => ({
  id,
  title: `${title}, 1,000 ticks per second`,
  part,
  where: { ticksPerSecond: 1000 },
  kind: 'bar',
  category: { param: 'contender', label: 'table and expiry' },
  metric,
});
const line = (id: string, title: string, metric: string): Figure => ({
  id,
  title,
  part,
  kind: 'line',
  x: byTick,
  metric,
  series: 'contender',
  facet: 'contender',
});

export const expirySection: Section = {
  parts: (scale) => [expiry(scale)],
  metrics: [
    {
      key: 'expiryCycles',
      label: 'cost per packet, without ticks',
      unit: 'cycles',
      direction: 'lower',
      path: 'cyclesPerPacket',
      digits: 0,
      gate: true,
    },
    {
      key: 'tickSharePercent',
      label: 'time in ticks',
      unit: '%',
      direction: 'lower',
      path: 'tickSharePercent',
      digits: 1,
    },
    {
      key: 'tickP99Us',
      label: '99th percentile of a tick',
      unit: 'µs',
      direction: 'lower',
      path: 'tickP99Us',
      digits: 1,
    },
    {
      key: 'worstTickUs',
      label: 'worst tick',
      unit: 'µs',
      direction: 'lower',
      path: 'worstTickUs',
      digits: 1,
    },
    {
      key: 'expiryDropPercent',
      label: 'packets that found the ring full',
      unit: '%',
      direction: 'lower',
      path: 'dropPercent',
      digits: 3,
    },
    {
      key: 'residentsOverLive',
      label: 'flows in the table over live ones',
      unit: 'times',
      direction: 'lower',
      path: 'residentsOverLive',
      digits: 2,
    },
    {
      key: 'newFlows',
      label: 'new flows',
      unit: '',
      direction: 'neutral',
      path: 'newFlows',
      digits: 0,
    },
    {
      key: 'preempted',
      label: 'bursts that the machine interrupted',
      unit: '',
      direction: 'lower',
      path: 'preempted',
      digits: 0,
    },
  ],
  figures: [
    atThousand('expiry-cycles-1000', 'A packet', 'expiryCycles'),
    atThousand('expiry-residents-1000', 'Flows in the table over live ones', 'residentsOverLive'),
    line('expiry-cycles', 'A packet by ticks a second', 'expiryCycles'),
    line('expiry-residents', 'Flows in the table over live ones', 'residentsOverLive'),
    line('expiry-worst-tick', 'The worst tick', 'worstTickUs'),
    line('expiry-drops', 'Packets that found the ring full', 'expiryDropPercent'),
    line('expiry-share', 'Time in ticks', 'tickSharePercent'),
  ],
  claims: [
    {
      id: 'expiry-residents',
      text: 'Flows in the burst table over live ones, sweeping at 1000 Hz',
      source: target,
      unit: 'times',
      published: 1.1,
      tolerance: 0,
      kind: 'at-most',
      measured: {
        part,
        metric: 'residentsOverLive',
        at: { ticksPerSecond: 1000, contender: 'burst table, sweep' },
      },
    },
    {
      id: 'expiry-share',
      text: 'Time of sweeps at 1000 Hz',
      source: target,
      unit: '%',
      published: 5,
      tolerance: 0,
      kind: 'at-most',
      measured: {
        part,
        metric: 'tickSharePercent',
        at: { ticksPerSecond: 1000, contender: 'burst table, sweep' },
      },
    },
    {
      id: 'expiry-lazy-residents',
      text: 'Flows in Cuckoo over live ones, lazy expiry at 1000 Hz',
      source: `${paperFiles}, deletions_single_thread`,
      unit: 'times',
      published: 3,
      tolerance: 0.3,
      kind: 'near',
      measured: {
        part,
        metric: 'residentsOverLive',
        at: { ticksPerSecond: 1000, contender: 'Cuckoo, lazy' },
      },
    },
    {
      id: 'expiry-wheel-residents',
      text: 'The same with a timer wheel',
      source: `${paperFiles}, deletions_single_thread`,
      unit: 'times',
      published: 1.02,
      tolerance: 0.1,
      kind: 'near',
      measured: {
        part,
        metric: 'residentsOverLive',
        at: { ticksPerSecond: 1000, contender: 'Cuckoo, wheel' },
      },
    },
  ],
  published,
};
