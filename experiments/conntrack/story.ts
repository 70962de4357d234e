// What the report says of each part of the experiment `conntrack`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, told } from '../story/say.js';

const slots = 2 ** 20;
const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

const load: Story = {
  found: (f) => {
    const point = (contender: string, loadPercent: number): PointFacts =>
      at(f, 'load', { slots, contender, loadPercent });
    const theirs = f
      .part('load')
      .published({ contender: 'Cuckoo++', loadPercent: 50 }, 'lookupCycles');
    return together(
      say`At half load a lookup takes ${point('Cuckoo++', 50).told('lookupCycles')} in Cuckoo++ (published: ${theirs} @conntrack), ${point('Chaining', 50).told('lookupCycles')} in Chaining and ${point('burst table', 50).told('lookupCycles')} in the burst table, one key at a time.`,
      say`An insert takes ${point('Cuckoo++', 50).told('insertCycles')}, ${point('Chaining', 50).told('insertCycles')} and ${point('burst table', 50).told('insertCycles')}; at 90 % load Cuckoo++ takes ${point('Cuckoo++', 90).told('insertCycles')} and the burst table ${point('burst table', 90).told('insertCycles')}.`,
    );
  },
  figures: ['load-lookup', 'load-insert'],
  table: {
    caption: 'Cycles at half load, one key at a time; 2^20 slots.',
    where: { slots, loadPercent: 50 },
    names: { contender: 'table' },
    metrics: { lookupCycles: 'hit', missCycles: 'miss', insertCycles: 'insert' },
  },
};

const bursts: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'load-bursts', { slots, depth: 32, contender, loadPercent: 50 });
    return together(
      say`Where every table asks for the memory of 32 keys before it needs the first, a lookup takes ${point('burst table').told('lookupCycles')} in the burst table, ${point('Cuckoo++').told('lookupCycles')} in Cuckoo++ and ${point('Chaining').told('lookupCycles')} in Chaining.`,
      say`What differs at equal depth is the number of lines that a key touches.`,
    );
  },
  figures: ['load-bursts-lookup'],
};

const peers: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'peers', { workload: 'trace', flows: 1_000_000, depth: 128, contender });
    const change = point('burst table').change('mops');
    return together(
      told(change, {
        better: say`On a mix like a trace over a million flows, 128 keys at once, the burst table does ${point('burst table').told('mops')} and Cuckoo++ ${point('Cuckoo++').told('mops')} (${change?.percent}).`,
        worse: say`On a mix like a trace over a million flows, 128 keys at once, the burst table does ${point('burst table').told('mops')}, less than the ${point('Cuckoo++').told('mops')} of Cuckoo++ (${change?.percent}).`,
        same: say`On a mix like a trace over a million flows, 128 keys at once, the burst table and Cuckoo++ are level at ${point('burst table').told('mops')}.`,
        open: say`On a mix like a trace over a million flows, 128 keys at once, the run does not decide between the burst table (${point('burst table').told('mops')}) and Cuckoo++ (${point('Cuckoo++').told('mops')}).`,
      }),
      say`Random cache lines of the same footprint, the bound, come at ${point('burst table').told('boundMops')}.`,
    );
  },
  figures: ['peers-trace-deep'],
};

const threads: Story = {
  found: (f) => {
    const point = (way: string, n: number): PointFacts =>
      at(f, 'threads', { writePercent: 5, way, threads: n });
    const ours = point('burst table, bucket locks', 2);
    const change = ours.change('operationsMops');
    return together(
      say`With 5 % writes two threads do ${ours.told('operationsMops')} on one burst table with bucket locks, ${change?.percent} over one thread.`,
      say`Two shards that share nothing do ${point('burst table, sharded', 2).told('operationsMops')}; Cuckoo behind one spinlock does ${point('Cuckoo, spinlock', 2).told('operationsMops')} with two threads and ${point('Cuckoo, spinlock', 1).told('operationsMops')} with one.`,
    );
  },
  figures: ['threads-ways'],
};

const expiry: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'expiry', { ticksPerSecond: 1000, contender });
    return together(
      say`At a thousand ticks a second the burst table keeps ${point('burst table, sweep').told('residentsOverLive')} as many flows as live and spends ${point('burst table, sweep').told('tickSharePercent')} of its time in sweeps.`,
      say`Cuckoo with lazy expiry keeps ${point('Cuckoo, lazy').told('residentsOverLive')}, with a timer wheel ${point('Cuckoo, wheel').told('residentsOverLive')}.`,
      say`A packet costs ${point('burst table, sweep').told('expiryCycles')} in the burst table with sweeps and ${point('burst table, none').told('expiryCycles')} where flows never end.`,
    );
  },
  figures: ['expiry-cycles-1000', 'expiry-residents-1000'],
};

const hostile: Story = {
  found: (f) => {
    const points = f.part('hostile').points();
    const hurt = points.flatMap((p) =>
      (p.value('slowdown') ?? 0) > 2
        ? [`${String(p.params.contender)} (${String(p.told('slowdown'))})`]
        : [],
    );
    const ours = at(f, 'hostile', { contender: 'burst table' });
    const refused = points.flatMap((p) =>
      (p.value('refusedPercent') ?? 0) > 1
        ? [`${String(p.params.contender)} (${String(p.told('refusedPercent'))})`]
        : [],
    );
    return together(
      say`A secret seed keeps the burst table’s lookups at ${ours.told('slowdown')} those of ordinary keys.`,
      say`More than twice as slow become ${listed(hurt)}.`,
      say`Keys have no room in ${listed(refused)}: those flows are refused.`,
    );
  },
  figures: ['hostile'],
};

const memory: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'memory', { keySize: 16, flows: 1_000_000, contender });
    return say`For a million flows with 8 bytes of state the burst table takes ${point('burst table').told('residentBytesPerFlow')}, Cuckoo++ ${point('Cuckoo++').told('residentBytesPerFlow')} and Chaining STL ${point('Chaining STL').told('residentBytesPerFlow')} by the kernel’s account.`;
  },
  figures: ['memory'],
};

const growth: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'growth', { contender, flows: 1_000_000 });
    return together(
      say`While the table grows from a thousand flows to a million the slowest insert takes ${point('burst table').told('slowestUs')} in the burst table and ${point('Chaining STL').told('slowestUs')} in Chaining STL, which moves everything at once.`,
      say`The mean insert takes ${point('burst table').told('growthInsertNs')} and ${point('Chaining STL').told('growthInsertNs')}.`,
    );
  },
  figures: ['growth-slowest'],
};

export const stories: Readonly<Record<string, Story>> = {
  load,
  'load-bursts': bursts,
  peers,
  threads,
  expiry,
  hostile,
  memory,
  growth,
};

export const captions: Readonly<Record<string, Say>> = {
  'load-lookup': () => say`A lookup by load of the table, one key at a time; 2^20 slots.`,
  'load-insert': () => say`An insert by load of the table, one key at a time; 2^20 slots.`,
  'load-bursts-lookup': () =>
    say`A lookup by load where every table takes as many keys at once; panels are keys at once.`,
  'peers-trace-deep': () =>
    say`Lookups a second on a mix like a trace, 128 keys at once; panels are numbers of flows.`,
  'threads-ways': () => say`Operations a second by way of sharing, 5 % writes; panels are threads.`,
  'expiry-cycles-1000': () => say`A packet at 1,000 ticks a second, ticks themselves left out.`,
  'expiry-residents-1000': () =>
    say`Flows that the table holds over those that live, at 1,000 ticks a second.`,
  hostile: () => say`Lookups of keys that an attacker chose, over ordinary ones.`,
  memory: () => say`Memory a flow by the kernel’s account, IPv4 keys; panels are numbers of flows.`,
  'growth-slowest': () => say`The slowest insert while a table made for a thousand flows grows.`,
};

export const abstract: Say = (f) => {
  const point = (part: string, contender: string, more: PointFacts['params']): PointFacts =>
    at(f, part, { contender, ...more });
  const one = { slots, loadPercent: 50 };
  const deep = { ...one, depth: 32 };
  const peer = { workload: 'trace', flows: 1_000_000, depth: 128 };
  const { published } = f.counts;
  const all = Object.values(published).reduce((sum, n) => sum + n, 0);
  return together(
    say`What does it cost to find a packet’s flow? We rebuild the six flow tables of High-speed Connection Tracking and a seventh, the burst table, and measure them alone, every contender of a figure with as many keys at once.`,
    say`One key at a time and half full, a lookup takes ${point('load', 'Cuckoo++', one).told('lookupCycles')} in Cuckoo++ and ${point('load', 'burst table', one).told('lookupCycles')} in the burst table.`,
    say`With 32 keys at once it takes ${point('load-bursts', 'Cuckoo++', deep).told('lookupCycles')} and ${point('load-bursts', 'burst table', deep).told('lookupCycles')}.`,
    say`On a mix like a trace they do ${point('peers', 'Cuckoo++', peer).told('mops')} and ${point('peers', 'burst table', peer).told('mops')}.`,
    say`Beside speed the burst table brings growth without a pause, expiry and room under attack.`,
    say`Of ${all} published values ${published.reproduced ?? 0} are reproduced, ${published.exceeds ?? 0} exceeded; ${published['falls short'] ?? 0} fall short and ${published.undecided ?? 0} are undecided: they are of another processor and of a packet’s whole way.`,
  );
};
