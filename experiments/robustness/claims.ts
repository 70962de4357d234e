// What must hold under attack. There is no published run to compare with: the targets are our own.
import { ownTarget as source, type Claim } from '../core/types.js';

const exact = { tolerance: 0 } as const;
const quiet = { policy: 'fixed', attack: 'none' } as const;

const shared = 'five attacking packets are served for each legitimate one, by the same core';

// A hold of 64 µs in both hides what the attack adds: judged without it, and without Reframer.
const slower = (id: string, text: string, attack: string, metric = 'p99Us'): readonly Claim[] => [
  {
    id,
    text: `${text}, less the hold`,
    source,
    unit: '%',
    published: 50,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'attacks',
      metric: 'ownP99Us',
      at: { policy: 'fixed', attack },
      versus: quiet,
    },
    why: { missed: shared },
  },
  {
    id: `${id}-off`,
    text: `${text}, without Reframer`,
    source,
    unit: '%',
    published: 50,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'attacks',
      metric,
      at: { policy: 'off', attack },
      versus: { policy: 'off', attack: 'none' },
    },
    why: { missed: shared },
  },
];
const connected = (attack: string, text: string): readonly Claim[] =>
  (['fixed', 'off'] as const).map((policy) => ({
    id: `${attack}-connected${policy === 'off' ? '-off' : ''}`,
    text: policy === 'off' ? `${text}, without Reframer` : text,
    source,
    unit: '%',
    published: 99,
    ...exact,
    kind: 'at-least',
    measured: { part: 'attacks', metric: 'connectedPercent', at: { policy, attack } },
    why: {
      missed: 'the table is full of unproven flows, and some give way before the client answers',
    },
  }));
const none = (id: string, text: string, metric: string, attack = 'syn-flood'): Claim => ({
  id,
  text,
  source,
  unit: '',
  published: 0,
  ...exact,
  kind: 'at-most',
  measured: { part: 'attacks', metric, at: { policy: 'fixed', attack } },
});
// Who shares a hash shares a group, and a group leaves as one: its longest decides.
const oneHash = (
  id: string,
  text: string,
  maxBurst: number,
  hash: 'nic' | 'software' = 'nic',
): Claim => ({
  id,
  text,
  source,
  unit: '%',
  published: 50,
  ...exact,
  kind: 'at-most',
  measured: {
    part: 'one-hash',
    metric: 'ownP99Us',
    at: { hash, maxBurst, attack: 'same-hash' },
    versus: { hash, maxBurst, attack: 'none' },
  },
});

export const claims: readonly Claim[] = [
  ...slower(
    'syn-flood-p99',
    'Legitimate p99 under a SYN flood of 5 times the legitimate rate, against none',
    'syn-flood',
  ),
  ...connected('syn-flood', 'Handshakes of new clients that succeed in that flood'),
  none('syn-flood-evicted', 'Established flows evicted by that flood', 'establishedEvicted'),
  none('syn-flood-lost', 'Established flows unknown after that flood', 'establishedLost'),
  none('syn-flood-drops', 'Legitimate packets dropped in that flood', 'legitimateDrops'),
  ...slower('one-packet-p99', 'Legitimate p99 among flows of one packet', 'one-packet'),
  ...slower('elephant-p99', 'Legitimate p99 beside an elephant', 'elephant'),
  oneHash(
    'same-hash-p99',
    'Legitimate p99 when the attacker’s flows share one NIC hash, groups of at most 16 packets',
    16,
  ),
  oneHash('same-hash-default-p99', 'The same with groups of up to 128 packets, the default', 128),
  oneHash(
    'same-hash-software-p99',
    'The same, grouped by the stage’s own keyed hash of the header',
    128,
    'software',
  ),
  ...slower(
    'same-set-p99',
    'Legitimate p99 when the attacker’s NIC hashes agree in 20 bits',
    'same-set',
  ),
  ...slower(
    'fragments-p99',
    'Legitimate p99 among fragments that are never completed',
    'fragments',
  ),
  ...slower('crafted-p99', 'Legitimate p99 among crafted headers', 'crafted'),
  ...slower('drip-p99', 'Legitimate p99 while every group is kept alive', 'drip'),
  {
    ...none('memory', 'Memory grown under the flood (MiB)', 'grownMiB'),
    unit: 'MiB',
    published: 8,
  },
  {
    id: 'burst-table-collisions',
    text: 'Lookups of the burst table with keys that collide in the public CRC, against random keys',
    source,
    unit: '%',
    published: 20,
    ...exact,
    kind: 'at-most',
    measured: {
      part: 'tables',
      metric: 'nsPerFind',
      at: { tracker: 'burst-table', keys: 'colliding' },
      versus: { tracker: 'burst-table', keys: 'random' },
    },
  },
];
