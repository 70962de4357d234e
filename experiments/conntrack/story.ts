// What the report says of each part of the experiment `conntrack`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at } from '../story/ask.js';
import { counted } from '../story/counts.js';
import { listed, say, together, told, when } from '../story/say.js';

const slots = 2 ** 20;
const ours = 'burst table';
/** Seven tables, each as the paper called it: the figures on paper leave variants out. */
const seven = [
  ours,
  'Cuckoo',
  'Cuckoo++',
  'HopScotch',
  'RobinMap',
  'Chaining',
  'Chaining STL',
] as const;

const loadAt = (f: Facts, contender: string, loadPercent: number): PointFacts =>
  at(f, 'load', { slots, contender, loadPercent });
const lookup = (f: Facts, contender: string, percent = 50): string | undefined =>
  loadAt(f, contender, percent).told('lookupCycles');
const insert = (f: Facts, contender: string, percent = 50): string | undefined =>
  loadAt(f, contender, percent).told('insertCycles');

const load: Story = {
  found: (f) => {
    const theirs = f
      .part('load')
      .published({ contender: 'Cuckoo++', loadPercent: 50 }, 'lookupCycles');
    return together(
      say`One key at a time and half full, a lookup takes ${lookup(f, 'Cuckoo++')} in Cuckoo++, ${lookup(f, 'Chaining')} in Chaining and ${lookup(f, ours)} in the burst table.`,
      say`The paper reports ${theirs} for Cuckoo++ @conntrack.`,
      say`An insert takes ${insert(f, 'Cuckoo++')} in Cuckoo++ and ${insert(f, ours)} in the burst table; at 90 % load it takes ${insert(f, 'Cuckoo++', 90)} and ${insert(f, ours, 90)}.`,
    );
  },
  figures: [
    { id: 'load-lookup', only: { contender: seven } },
    {
      id: 'load-insert',
      only: { contender: [ours, 'Cuckoo', 'Cuckoo++', 'Chaining'] },
      onePanel: true,
    },
  ],
  table: {
    caption: 'Cycles at half load, one key at a time; 1 M (2²⁰) slots.',
    where: { slots, loadPercent: 50 },
    names: { contender: 'table' },
    metrics: { lookupCycles: 'hit', missCycles: 'miss', insertCycles: 'insert' },
  },
};

const burstAt = (f: Facts, contender: string): string | undefined =>
  at(f, 'load-bursts', { slots, depth: 32, contender, loadPercent: 50 }).told('lookupCycles');

const bursts: Story = {
  found: (f) =>
    say`If every table prefetches 32 keys before it needs the first, a lookup takes ${burstAt(f, ours)} in the burst table, ${burstAt(f, 'Cuckoo++')} in Cuckoo++ and ${burstAt(f, 'Chaining')} in Chaining.`,
  figures: [{ id: 'load-bursts-lookup', only: { depth: [32] } }],
};

const balancedAt = (f: Facts, trace: string, contender: string, part = 'balancer'): PointFacts =>
  at(f, part, { trace, contender });

const balancer: Story = {
  found: (f) => {
    const rate = (trace: string, contender: string): string | undefined =>
      balancedAt(f, trace, contender).told('mpps');
    return together(
      say`With one new flow in 31 packets (Campus) a core balances ${rate('campus', ours)} on the burst table, ${rate('campus', 'Cuckoo++')} on Cuckoo++ and ${rate('campus', 'Chaining STL')} on Chaining STL.`,
      say`With one in 8 (CAIDA) it balances ${rate('caida', ours)}, ${rate('caida', 'Cuckoo++')} and ${rate('caida', 'Chaining STL')}.`,
    );
  },
  figures: [{ id: 'balancer', only: { contender: seven } }],
};

const balancerBursts: Story = {
  found: (f) => {
    const rate = (contender: string): string | undefined =>
      balancedAt(f, 'caida', contender, 'balancer-bursts').told('mpps');
    const change = balancedAt(f, 'caida', ours, 'balancer-bursts').change('mpps');
    return together(
      say`A burst at a time, with one new flow in 8 packets (CAIDA), a core balances ${rate(ours)} on the burst table and ${rate('Cuckoo++')} on Cuckoo++.`,
      told(change, {
        better: say`The burst table is ahead by ${change?.size}.`,
        worse: say`Cuckoo++ is ahead: the burst table does ${change?.size} less.`,
        same: say`That is no difference.`,
        open: say`Whether they differ is undecided (${change?.span}).`,
      }),
    );
  },
  figures: [],
};

const peerAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'peers', { workload: 'trace', flows: 1_000_000, depth: 128, contender });
const peer = (f: Facts, contender: string): string | undefined => peerAt(f, contender).told('mops');

const peers: Story = {
  found: (f) => {
    const change = peerAt(f, ours).change('mops');
    const ofKind = (workload: string, contender: string): string | undefined =>
      at(f, 'peers', { workload, flows: 1_000_000, depth: 128, contender }).told('mops');
    return together(
      told(change, {
        better: say`On a trace-like mix over a million flows, 128 keys at once, the burst table does ${peer(f, ours)} and Cuckoo++ ${peer(f, 'Cuckoo++')} (${change?.percent}).`,
        worse: say`On a trace-like mix over a million flows, 128 keys at once, the burst table does ${peer(f, ours)}, less than the ${peer(f, 'Cuckoo++')} of Cuckoo++ (${change?.percent}).`,
        same: say`On a trace-like mix over a million flows, 128 keys at once, burst table and Cuckoo++ are level at ${peer(f, ours)}.`,
        open: say`On a trace-like mix over a million flows, 128 keys at once, the burst table does ${peer(f, ours)} and Cuckoo++ ${peer(f, 'Cuckoo++')}; whether they differ is undecided.`,
      }),
      say`Hits alone are ${ofKind('hits', ours)} against ${ofKind('hits', 'Cuckoo++')}, misses ${ofKind('misses', ours)} against ${ofKind('misses', 'Cuckoo++')}.`,
      say`The bound, random cache lines of the same footprint, is ${peerAt(f, ours).told('boundMops')}.`,
    );
  },
  figures: ['peers-trace-deep'],
};

const locks = 'burst table, bucket locks';
const wayAt = (f: Facts, way: string, threads: number): PointFacts =>
  at(f, 'threads', { writePercent: 5, way, threads });
const rate = (f: Facts, way: string, threads: number): string | undefined =>
  wayAt(f, way, threads).told('operationsMops');

const threads: Story = {
  found: (f) => {
    const more = wayAt(f, locks, 2).change('operationsMops');
    const cycles = (nb: number): string | undefined =>
      wayAt(f, locks, nb).told('sharedLookupCycles');
    return together(
      say`With 5 % writes two threads do ${rate(f, locks, 2)} on one burst table with bucket locks (${more?.percent} over one thread) and ${rate(f, 'burst table, sharded', 2)} on two shards.`,
      when(
        more !== undefined && more.ratio > 2,
        say`That is more than twice, though the median lookup takes ${cycles(1)} with one thread and ${cycles(2)} with two: something beside the table slowed the one thread, so the ratio tells nothing of how the table scales.`,
      ),
      say`Cuckoo behind one spinlock does ${rate(f, 'Cuckoo, spinlock', 2)} with two threads and ${rate(f, 'Cuckoo, spinlock', 1)} with one.`,
    );
  },
  figures: [
    {
      id: 'threads-ways',
      only: {
        way: [
          locks,
          'burst table, sharded',
          'Cuckoo++, sharded',
          'Chaining, sharded',
          'Chaining, striped locks',
          'Cuckoo, sharded',
          'Cuckoo, lock-free',
          'Cuckoo, reader-writer lock',
          'Cuckoo, spinlock',
          'Cuckoo, mutex',
        ],
      },
    },
  ],
};

const expiryAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'expiry', { ticksPerSecond: 1000, contender });
const residents = (f: Facts, contender: string): string | undefined =>
  expiryAt(f, contender).told('residentsOverLive');

const expiry: Story = {
  found: (f) => {
    const [sweep, none] = [expiryAt(f, 'burst table, sweep'), expiryAt(f, 'burst table, none')];
    const verdict = sweep.change('expiryCycles')?.verdict;
    const open = verdict === 'undecided' || verdict === 'too few';
    return together(
      say`At 1,000 ticks per second the burst table keeps ${residents(f, 'burst table, sweep')} as many flows as are live, and sweeps take ${sweep.told('tickSharePercent')} of its time.`,
      say`Cuckoo keeps ${residents(f, 'Cuckoo, lazy')} with lazy expiry and ${residents(f, 'Cuckoo, wheel')} with a timer wheel.`,
      say`Sweeps left out, a packet costs ${sweep.told('expiryCycles')} in the burst table, and ${none.told('expiryCycles')} if flows never end${open ? '; whether these differ is undecided' : ''}.`,
    );
  },
  figures: ['expiry-residents-1000'],
};

const alone = ', one at a time';
const slowed = (f: Facts, metric: string, above: number, byOne = false): string | undefined =>
  listed(
    f
      .part('hostile')
      .points()
      .flatMap((p) => {
        const name = String(p.params.contender);
        return (p.value(metric) ?? 0) > above && name.endsWith(alone) === byOne
          ? [`${name.replace(alone, '')} (${String(p.told(metric))})`]
          : [];
      }),
  );

const hostile: Story = {
  found: (f) =>
    together(
      say`In the burst table, whose hash has a secret seed, lookups of hostile keys take ${at(f, 'hostile', { contender: ours }).told('slowdown')} as long as those of ordinary ones.`,
      say`They take more than twice as long in ${slowed(f, 'slowdown', 2)}.`,
      say`Of the tables that take one key at a time, so do ${slowed(f, 'slowdown', 2, true)}.`,
      say`For want of room, hostile flows are refused by ${slowed(f, 'refusedPercent', 1)}.`,
    ),
  figures: ['hostile'],
};

const bytesAt = (f: Facts, contender: string): string | undefined =>
  at(f, 'memory', { keySize: 16, flows: 1_000_000, contender }).told('residentBytesPerFlow');

const memory: Story = {
  found: (f) =>
    say`For a million flows the kernel accounts ${bytesAt(f, ours)} to the burst table, ${bytesAt(f, 'Cuckoo++')} to Cuckoo++, ${bytesAt(f, 'Chaining STL')} to Chaining STL and ${bytesAt(f, 'Chaining')} to Chaining.`,
  figures: [],
};

const growthAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'growth', { contender, flows: 1_000_000 });

const growth: Story = {
  found: (f) => {
    const [mine, stl] = [growthAt(f, ours), growthAt(f, 'Chaining STL')];
    return together(
      say`While a table made for a thousand flows grows from 100,000 to a million, the slowest insert takes ${mine.told('slowestUs')} in the burst table and ${stl.told('slowestUs')} in Chaining STL, which moves everything at once.`,
      say`The mean insert takes ${mine.told('growthInsertNs')} and ${stl.told('growthInsertNs')} there.`,
    );
  },
  figures: ['growth-slowest'],
};

export const stories: Readonly<Record<string, Story>> = {
  load,
  'load-bursts': bursts,
  balancer,
  'balancer-bursts': balancerBursts,
  peers,
  threads,
  expiry,
  hostile,
  memory,
  growth,
};

export const captions: Readonly<Record<string, Say>> = {
  'load-lookup': (f) =>
    say`A lookup by load, one key at a time, 1 M slots: ${lookup(f, 'Cuckoo++')} in Cuckoo++ and ${lookup(f, ours)} in the burst table at half load.` ??
    say`A lookup by load of the table, one key at a time, 1 M slots.`,
  'load-insert': (f) =>
    say`An insert by load, one key at a time, 1 M slots: ${insert(f, 'Cuckoo++', 90)} in Cuckoo++ and ${insert(f, ours, 90)} in the burst table at 90 % load.` ??
    say`An insert by load of the table, one key at a time, 1 M slots.`,
  'load-bursts-lookup': (f) =>
    say`A lookup by load with 32 keys at once: ${burstAt(f, 'Cuckoo++')} in Cuckoo++ and ${burstAt(f, ours)} in the burst table at half load.` ??
    say`A lookup by load where every table takes as many keys at once.`,
  balancer: () => say`Packets that one core balances, one key at a time.`,
  'balancer-bursts': () => say`Packets that one core balances, 32 keys at once.`,
  'peers-trace-deep': (f) =>
    say`Lookups on a trace-like mix, 128 keys at once: with a million flows the burst table does ${peer(f, ours)}, Cuckoo++ ${peer(f, 'Cuckoo++')}.` ??
    say`Lookups on a trace-like mix, 128 keys at once.`,
  'threads-ways': (f) =>
    say`Operations by way of sharing, 5 % writes: two threads with bucket locks do ${rate(f, locks, 2)}, behind one spinlock ${rate(f, 'Cuckoo, spinlock', 2)}.` ??
    say`Operations by way of sharing, 5 % writes.`,
  'expiry-cycles-1000': () => say`Cost of a packet at 1,000 ticks per second, without the ticks.`,
  'expiry-residents-1000': (f) =>
    say`Flows in the table over live ones, at 1,000 ticks per second: lazy expiry in Cuckoo keeps ${residents(f, 'Cuckoo, lazy')}.` ??
    say`Flows in the table over live ones, at 1,000 ticks per second.`,
  hostile: () => say`Lookup time with keys that an attacker chose, over that with ordinary keys.`,
  memory: () => say`Memory per flow by the kernel’s account, a million flows, IPv4 keys.`,
  'growth-slowest': () =>
    say`The slowest insert since the size before, while a table made for a thousand flows grows. Far below its neighbours lies a range in which a table did not grow.`,
};

export const abstract: Say = (f) => {
  const hostileTimes = at(f, 'hostile', { contender: ours }).told('slowdown');
  return together(
    say`What does it cost to find a packet’s flow? We rebuild the six flow tables of High-speed Connection Tracking in Modern Servers (HPSR’21), add one of our own, the burst table, and measure them alone, with equal numbers of keys per call.`,
    say`One key at a time and half full, a lookup takes ${lookup(f, 'Cuckoo++')} in Cuckoo++ and ${lookup(f, ours)} in the burst table.`,
    say`With 32 keys at once it takes ${burstAt(f, 'Cuckoo++')} and ${burstAt(f, ours)}.`,
    say`On a trace-like mix over a million flows, with 128 at once, they do ${peer(f, 'Cuckoo++')} and ${peer(f, ours)}.`,
    say`An attacker’s keys take the burst table ${hostileTimes} as long as ordinary ones.`,
    counted(f.counts.published, 'published values'),
    say`Published cycles are counted inside a packet’s path on another processor, so ratios compare better than numbers.`,
  );
};
