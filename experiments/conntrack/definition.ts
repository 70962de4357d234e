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
          limitSeconds: 2700,
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
    'What do lookups and inserts cost in seven flow tables, by load, size, mix, sharing, age, growth and attack?',
  metrics: sections.flatMap((section) => section.metrics),
  claims: sections.flatMap((section) => section.claims),
  shapes: sections.flatMap((section) => section.shapes ?? []),
  figures: sections.flatMap((section) => section.figures),
  published: () => sections.flatMap((section) => section.published()),
  plan,
  setup:
    'One process a trial, one contender a process. Keys are IPv4 5-tuples, made outside the timed parts, and every contender of a figure takes as many of them at once: one at a time as the paper did, 32 (a burst), or 128. What cannot, or not as many, says so in its name. The lab hands keys over in calls of 4096 (of 32 in the load balancer and the threads). Tables hold 8 bytes of state. Each trial compares every answer, and the contents at the end, with what they must be. Cycles are those of the time stamp counter.',
  limitations: [
    'Published cycles and packets a second are of a 2.3 GHz server with a 100 Gbps interface, huge pages, and the whole path of a packet; ours are of memory alone, on whatever machine this is. Orders and ratios compare, absolute numbers hardly do.',
    'rte_hash is the distribution’s (Debian 12 has DPDK 22.11, compiled for SSE4.2); the other tables are compiled for this processor. A newer DPDK cannot be installed from that distribution. Its bulk lookup takes 64 keys at most.',
    'Pages are not equal: the burst table, Cuckoo++ and Chaining ask for huge pages, rte_hash has them where the machine set some aside, and maps that allocate by themselves (tsl, absl, Boost, the standard library, Concurrency Kit) lie on 4 KiB pages. Tables show the share that the kernel gave.',
    'At the same depth the burst table is about as fast as Cuckoo++. What it has beside that is memory, growth, expiry and room under attack.',
    'An insert here is a find-or-insert of an absent key, lookup included; the published ones begin after the lookup that missed.',
    'Published loads stop at 100 %; here the maps of the tsl library go to 92.5 %, where this release doubles them, and the burst table to the load that it promises.',
    'The load balancer reads headers one behind the other from memory, which the processor foresees; its traffic is drawn (Zipf 1.1) with the published shares of new flows, not the published traces, and nothing ends. A burst is looked up before its misses are inserted, as in the paper: a table with a fused find-or-insert gains nothing from it there.',
    'Threads: lookups are drawn anew from all flows; every way is called with bursts of 32, and locks are held for as long, where the published ones were for a packet. Operations of the table alone on at most as many cores as this machine has; the published points are packets a second of the whole path, which the 100 Gbps interface ended at 12 M/s, so they are levels from three cores on.',
    'Expiry: a second of the paper lasts 0.2 s here (0.03 s in a quick run), and flows and table shrink with it; ticks a second and the timeout of 5 s are the paper’s. Packets come by a virtual clock that the measured time of bursts and ticks advances; a tick that the machine interrupts is not told from a long one.',
    'In the part on hostile keys the attacker knows the hash of the fixed tables, and the NIC’s; a secret seed is what the burst table has against it. Tables without room for a hostile key refuse it: slowdown and refusals must be read together.',
    'In runs from before each insert moved two buckets the slowest insert of the burst table took 3 to 43 ms while it grew: it moved the rest of the old table at once. The slowest call is that of the whole machine: the trial prints the longest pause that it found in as long a loop that inserts nothing.',
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
