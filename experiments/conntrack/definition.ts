// Experiment `conntrack`: what does it cost to find a packet's flow, and what does it take to keep
// that cheap while tables fill, grow, age and are attacked?
import type { Plan, RunOptions } from '../core/types.js';
import { balancerSection } from './balancer.js';
import { expirySection } from './expiry.js';
import { growthSection } from './growth.js';
import { hostileSection } from './hostile.js';
import { loadSection } from './load.js';
import { memorySection } from './memory.js';
import { peersSection } from './peers.js';
import type { Section } from './section.js';
import { threadsSection } from './threads.js';
import { telling } from '../story/attach.js';
import { abstract, captions, stories } from './story.js';

const sections: readonly Section[] = [
  loadSection,
  balancerSection,
  threadsSection,
  expirySection,
  peersSection,
  hostileSection,
  memorySection,
  growthSection,
];

// What fits two minutes at six values a point; the others run when asked for with --only.
const quickParts = ['load', 'peers', 'hostile', 'memory'];

function plan({ profile }: RunOptions): Plan {
  const quick = profile === 'quick';
  return {
    // Three blocks are six values: below that there is no verdict.
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.05,
          budgetSeconds: 120,
          trialSeconds: 0.4,
          warmup: { max: 0, drift: 0.05 },
        }
      : {
          name: 'full',
          blocks: { min: 3, max: 5 },
          precision: 0.02,
          budgetSeconds: 2400,
          // A block of all points takes 35 min on two cores.
          limitSeconds: 7200,
          warmup: { max: 0, drift: 0.05 },
        },
    parts: sections.flatMap((section) => section.parts({ quick })),
    ...(quick ? { byDefault: quickParts } : {}),
  };
}

export const conntrack = telling({ abstract, stories, captions })({
  name: 'conntrack',
  title: 'Connection tracking: finding a packet’s flow',
  question:
    'What do lookups and inserts cost in seven flow tables, by load, size, workload, sharing, expiry, growth and attack?',
  metrics: sections.flatMap((section) => section.metrics),
  claims: sections.flatMap((section) => section.claims),
  shapes: sections.flatMap((section) => section.shapes ?? []),
  figures: sections.flatMap((section) => section.figures),
  published: () => sections.flatMap((section) => section.published()),
  plan,
  setup:
    'Keys are IPv4 5-tuples, made outside the timed parts. All tables of a figure take the same number of keys at once: one, as in the paper, 32 (a burst) or 128; the name of a table says where it cannot. Keys come in calls of 4,096 (of 32 in the load balancer and with threads). Tables hold 8 bytes of state. Each trial compares every answer, and the final contents, with the expected ones. Cycles are those of the time stamp counter.',
  limitations: [
    'Published cycles are counted inside a packet’s path on a server of 2.3 GHz, and published rates are of that whole path with a 100 Gbps NIC; ours are of the table alone, on this machine. Orders and ratios compare, absolute numbers hardly do.',
    'rte_hash is Debian’s (DPDK 22.11, compiled for SSE4.2; at most 64 keys in bulk); the other tables are compiled for this processor.',
    'Pages differ: burst table, Cuckoo++ and Chaining ask for huge pages, rte_hash has them if the machine set some aside, and maps that allocate by themselves (tsl, absl, Boost, the standard library, Concurrency Kit) lie on 4 KiB pages.',
    'An insert is a find-or-insert of an absent key; the published ones begin after the lookup that missed. Maps of tsl end at 92.5 % load, where this release doubles them.',
    'The load balancer’s traffic is drawn (Zipf 1.1) with the published shares of new flows. A burst is looked up before its misses are inserted, as in the paper, so a find-or-insert in one call gains nothing there.',
    'Threads run on at most the cores of this machine, and hold locks for a burst of 32. The published points are packets per second of the whole path, which the NIC limits to 12 M/s.',
    'In the part on expiry a second of the paper lasts 0.2 s (0.03 s in a quick run), and flows and table shrink with it.',
    'The attacker knows the hash of the fixed tables, and the NIC’s, but not the burst table’s seed. Tables without room refuse hostile keys: read slowdown and refusals together.',
  ],
  references: [
    {
      key: 'conntrack',
      authors: ['M. Girondi', 'M. Chiesa', 'T. Barbette'],
      title: 'High-speed Connection Tracking in Modern Servers',
      venue: 'HPSR',
      year: 2021,
    },
    {
      key: 'cuckoopp',
      authors: ['N. Le Scouarnec'],
      title: 'Cuckoo++ Hash Tables: High-Performance Hash Tables for Networking Applications',
      venue: 'ANCS',
      year: 2018,
    },
  ],
});
