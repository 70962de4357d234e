// Experiment `robustness`: what do attacks cost legitimate traffic?
import type { Params, Part, Plan, RunOptions } from '../core/types.js';
import { claims } from './claims.js';
import { metrics } from './metrics.js';
import { telling } from '../story/attach.js';
import { packetOrder } from '../story/works.js';
import { abstract, captions, stories } from './story.js';

const attacks = [
  'none',
  'syn-flood',
  'one-packet',
  'elephant',
  'same-hash',
  'same-set',
  'fragments',
  'crafted',
  'drip',
] as const;
const trackers = [
  'burst-table',
  'cuckoopp',
  'hopscotch',
  'robin',
  'chaining',
  'chaining-stl',
] as const;

const latency = ['p50Us', 'p99Us', 'p999Us', 'ownP50Us', 'ownP99Us'] as const;
const handshakes = [
  'opened',
  'connectedPercent',
  'setupP50Us',
  'setupP99Us',
  'setupOwnP99Us',
] as const;

function plan({ profile, traces }: RunOptions): Plan {
  const quick = profile === 'quick';
  const trial = (p: Params, times: number) => ({
    attack: String(p.attack),
    times,
    policy: String(p.policy ?? 'fixed'),
    maxBurst: Number(p.maxBurst ?? 128),
    hash: String(p.hash ?? 'nic'),
    durationNs: quick ? 60_000_000 : 200_000_000,
    // Until a flood has filled the table: before that it has room for everybody.
    warmupNs: 80_000_000,
  });
  const captures: Part[] =
    traces.length === 0
      ? []
      : [
          {
            name: 'captures',
            title: 'Floods as they were captured',
            question:
              'What is the latency of legitimate packets while a capture is replayed at five times their rate?',
            job: 'robustness-trial',
            axes: [
              { kind: 'list', name: 'attack', values: ['none', ...traces.map((t) => t.name)] },
            ],
            contenders: { axis: 'attack', baseline: 'none' },
            spec: (p) =>
              p.attack === 'none'
                ? trial(p, 5)
                : {
                    ...trial({ attack: 'capture' }, 5),
                    capture: traces.find((t) => t.name === p.attack)?.file ?? '',
                  },
            headline: 'p99Us',
            timeoutSeconds: 60,
            metrics: [
              ...latency,
              ...handshakes,
              'legitimateDrops',
              'establishedEvicted',
              'establishedLost',
              'evicted',
              'nsPerPacket',
              'grownMiB',
            ],
          },
        ];
  // Ten seconds at a million packets a second.
  const long: Part[] = quick
    ? []
    : [
        {
          name: 'flood-10m',
          title: 'A flood of ten million SYNs',
          question: 'Does memory grow, or is an established flow lost, if the flood does not stop?',
          job: 'robustness-trial',
          axes: [{ kind: 'list', name: 'attack', values: ['none', 'syn-flood'] }],
          contenders: { axis: 'attack', baseline: 'none' },
          spec: (p) => ({ ...trial(p, 5), durationNs: 10_000_000_000 }),
          headline: 'p99Us',
          timeoutSeconds: 120,
          metrics: [
            ...latency,
            ...handshakes,
            'legitimateDrops',
            'establishedEvicted',
            'establishedLost',
            'evicted',
            'grownMiB',
          ],
        },
      ];
  return {
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 4 },
          precision: 0.05,
          budgetSeconds: 60,
          limitSeconds: 100 + 20 * traces.length,
          oneByOne: true,
          warmup: { max: 0, drift: 0.1 },
        }
      : {
          name: 'full',
          blocks: { min: 3, max: 12 },
          precision: 0.02,
          budgetSeconds: 420,
          // Three blocks, which a verdict takes, are a quarter of an hour on two cores.
          limitSeconds: 2400,
          warmup: { max: 1, drift: 0.05 },
        },
    parts: [
      {
        name: 'attacks',
        title: 'Attacks at five times the legitimate rate',
        question: 'What is the latency of legitimate packets while their core is attacked?',
        job: 'robustness-trial',
        axes: [
          { kind: 'list', name: 'policy', values: ['fixed', 'off'] },
          { kind: 'list', name: 'attack', values: attacks },
        ],
        contenders: { axis: 'attack', baseline: 'none' },
        spec: (p) => trial(p, 5),
        headline: 'p99Us',
        timeoutSeconds: 60,
        metrics: [
          ...latency,
          ...handshakes,
          'legitimateDrops',
          'establishedEvicted',
          'establishedLost',
          'evicted',
          'heldMax',
          'nsPerPacket',
          'loadPercent',
          'grownMiB',
        ],
      },
      {
        name: 'flood-rate',
        title: 'SYN floods by rate',
        question: 'At which rate of the flood do legitimate packets suffer?',
        job: 'robustness-trial',
        axes: [
          { kind: 'list', name: 'times', values: quick ? [2, 10] : [1, 2, 5, 8, 10, 15, 20] },
          { kind: 'list', name: 'attack', values: ['none', 'syn-flood'] },
        ],
        contenders: { axis: 'attack', baseline: 'none' },
        spec: (p) => trial(p, Number(p.times)),
        headline: 'p99Us',
        timeoutSeconds: 60,
        metrics: [
          'p50Us',
          'p99Us',
          'ownP99Us',
          ...handshakes,
          'legitimateDrops',
          'establishedEvicted',
          'loadPercent',
        ],
      },
      {
        name: 'one-hash',
        title: 'All of the attacker’s flows in one group',
        question:
          'Does a limit on the size of a group, or a keyed hash, bound what flows of one NIC hash cost the others?',
        job: 'robustness-trial',
        axes: [
          { kind: 'list', name: 'hash', values: ['nic', 'software'] },
          { kind: 'list', name: 'maxBurst', values: quick ? [16, 128] : [16, 32, 64, 128] },
          { kind: 'list', name: 'attack', values: ['none', 'same-hash'] },
        ],
        contenders: { axis: 'attack', baseline: 'none' },
        spec: (p) => trial(p, 5),
        headline: 'p99Us',
        timeoutSeconds: 60,
        metrics: ['p50Us', 'p99Us', 'ownP99Us', 'legitimateDrops', 'nsPerPacket'],
      },
      ...captures,
      ...long,
      {
        name: 'tables',
        title: 'Keys chosen by an attacker',
        question:
          'What do 4,000 keys that agree in 16 bits of the public CRC cost each flow table?',
        job: 'robustness-tables',
        axes: [
          { kind: 'list', name: 'tracker', values: trackers },
          { kind: 'list', name: 'keys', values: ['random', 'colliding'] },
        ],
        contenders: { axis: 'keys', baseline: 'random' },
        spec: (p) => ({
          contender: String(p.tracker),
          keys: String(p.keys),
          rounds: quick ? 5 : 15,
        }),
        headline: 'nsPerFind',
        timeoutSeconds: 60,
        metrics: ['nsPerFind', 'nsPerInsert', 'refused'],
      },
    ],
  };
}

export const robustness = telling({ abstract, stories, captions })({
  name: 'robustness',
  title: 'Robustness: what attacks cost legitimate traffic',
  question:
    'What do floods, chosen hashes, elephants, fragments and crafted headers cost legitimate flows?',
  metrics,
  claims,
  figures: [
    {
      id: 'attack-p99',
      title: '99th percentile latency of legitimate packets by attack',
      part: 'attacks',
      kind: 'bar',
      category: { param: 'attack', label: 'attack' },
      metric: 'p99Us',
      facet: 'policy',
    },
    {
      id: 'attack-own-p99',
      title: '99th percentile latency of legitimate packets less the time in Reframer, by attack',
      part: 'attacks',
      kind: 'bar',
      category: { param: 'attack', label: 'attack' },
      metric: 'ownP99Us',
      facet: 'policy',
    },
    {
      id: 'attack-connected',
      title: 'Handshakes of new clients that succeeded, by attack',
      part: 'attacks',
      kind: 'bar',
      category: { param: 'attack', label: 'attack' },
      metric: 'connectedPercent',
      facet: 'policy',
    },
    {
      id: 'attack-setup-p99',
      title: '99th percentile of what the box adds to a handshake, by attack',
      part: 'attacks',
      kind: 'bar',
      category: { param: 'attack', label: 'attack' },
      metric: 'setupP99Us',
      facet: 'policy',
    },
    {
      id: 'attack-cost',
      title: 'Time per packet by attack',
      part: 'attacks',
      kind: 'bar',
      category: { param: 'attack', label: 'attack' },
      metric: 'nsPerPacket',
      facet: 'policy',
    },
    {
      id: 'one-hash',
      title: 'Legitimate p99 when the attacker’s flows share one NIC hash',
      part: 'one-hash',
      kind: 'line',
      x: { param: 'maxBurst', label: 'packets of a group at most' },
      metric: 'p99Us',
      series: 'attack',
      facet: 'hash',
    },
    {
      id: 'flood-rate',
      title: 'Legitimate p99 by rate of the flood',
      part: 'flood-rate',
      kind: 'line',
      x: { param: 'times', label: 'SYNs per legitimate packet' },
      metric: 'p99Us',
      series: 'attack',
    },
    {
      id: 'tables',
      title: 'Lookup with random and with chosen keys',
      part: 'tables',
      kind: 'bar',
      category: { param: 'keys', label: 'keys' },
      metric: 'nsPerFind',
      facet: 'tracker',
    },
  ],
  published: () => [],
  plan,
  setup:
    'One queue of the virtual NIC with a ring of 1,024. Legitimate traffic is 200,000 packets per second (Poisson) of 20,000 established TCP flows, in trains of four; the attacker sends five times as many, also Poisson. A poll takes at most 32 packets. Each packet passes the Reframer stage (T = 64 µs, groups of at most 128 packets unless said otherwise), the full parser, and a flow table of 65,536 flows placed by the NIC’s hash, in which established flows are protected from early eviction. 2,000 clients per second open a connection: a SYN and, 20 ms after it has left the box, an ACK that must find the entry of its SYN. Latency is also given without the time in the stage, whose hold would hide what an attack adds.',
  limitations: [
    'One core of one machine: attacks on the link, the NIC or the memory bus are not covered.',
    'Legitimate and attacking packets together fit one core, except in the part on rates. Beyond that, a queue without admission control drops packets whoever sent them.',
    'The attacker knows the CRC and the NIC’s key, but not the seeds.',
    'DPDK’s rte_hash is not among the tables: its memory belongs to DPDK’s process.',
    'Colliding keys agree in the low 16 bits of the CRC, so a table that uses other bits is spared here. Keys that agree in all of them are in the report on connection tracking.',
  ],
  references: [
    packetOrder,
    {
      key: 'complexity',
      authors: ['S. Crosby', 'D. Wallach'],
      title: 'Denial of Service via Algorithmic Complexity Attacks',
      venue: 'USENIX Security',
      year: 2003,
    },
  ],
});
