// What the report says of latency, drops and imbalance; story-machine.ts has the other parts.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at } from '../story/ask.js';
import { counted } from '../story/counts.js';
import { listed, say, together, when } from '../story/say.js';
import { machineCaptions, machineStories } from './story-machine.js';

const greedy = 'RSS++ greedy';
const fast = 'ours, 10 to 100 ms';
const greedyFast = 'RSS++ greedy, 10 to 100 ms';
const sharedQueue = 'bound: one shared queue';
const idealSplit = 'bound: ideal split';

const latencyAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'latency', { load: 0.82, contender });
const p95 = (f: Facts, contender: string): string | undefined =>
  latencyAt(f, contender).told('p95Us');

/** "2.1 times": a value over another. */
const times = (a: number | undefined, b: number | undefined): string | undefined =>
  a === undefined || b === undefined || b <= 0
    ? undefined
    : `${(a / b).toFixed(a / b < 9.95 ? 1 : 0)} times`;

/** Whether the solver or the epoch decides: the two solvers over the same epochs. */
function solversAtEqualEpochs(f: Facts): string | undefined {
  const [theirs, ours] = [greedy, 'ours'].map((name) => latencyAt(f, name).value('p95Us'));
  if (theirs === undefined || ours === undefined) return undefined;
  if (theirs > 1.1 * ours) return say`At equal epochs the greedy’s is ${times(theirs, ours)} ours.`;
  if (ours > 1.1 * theirs) return say`At equal epochs ours is ${times(ours, theirs)} the greedy’s.`;
  return 'At equal epochs the two are level: the solver matters less than the epoch.';
}

const latency: Story = {
  found: (f) => {
    const theirs = f.part('latency').published({ load: 0.82, contender: greedy }, 'p95Us');
    return together(
      say`At a mean load of 0.82 the 95th percentile is ${p95(f, 'static RSS')} with static RSS, ${p95(f, greedy)} with the published greedy and ${p95(f, 'ours')} with our solver.`,
      say`The paper reports ${theirs} for its greedy @rsspp.`,
      solversAtEqualEpochs(f),
      say`Epochs of 10 ms near overload lower both, to ${p95(f, greedyFast)} and ${p95(f, fast)}.`,
      say`One shared queue, a bound that no table reaches, has ${p95(f, sharedQueue)}.`,
    );
  },
  figures: [{ id: 'latency-p95', onePanel: true }],
  table: {
    caption: 'Latency and drops at a mean load of 0.82.',
    where: { load: 0.82 },
    names: { contender: 'method' },
    metrics: {
      p50Us: 'median',
      p95Us: 'p95',
      p99Us: 'p99',
      dropKpps: 'dropped',
      movesPerEpoch: '',
    },
  },
};

const droppedBy = (f: Facts, contender: string): PointFacts =>
  at(f, 'drops', { placing: 'core load', load: 0.94, contender });
const dropAt = (f: Facts, contender: string): string | undefined =>
  droppedBy(f, contender).told('dropKpps');

const drops: Story = {
  found: (f) =>
    together(
      say`At 120 % of the trace’s speed, placed by core load, static RSS drops ${dropAt(f, 'static RSS')}, the greedy with short epochs ${dropAt(f, greedyFast)} and ours ${dropAt(f, fast)}.`,
      [sharedQueue, idealSplit].every((bound) => droppedBy(f, bound).value('dropKpps') === 0)
        ? 'The two bounds drop nothing.'
        : say`The two bounds drop ${dropAt(f, sharedQueue)} and ${dropAt(f, idealSplit)}.`,
      when(
        f.part('drops').points().length > 0,
        'Above a load of 1 every method must drop what the cores cannot serve.',
      ),
    ),
  figures: ['drops-load'],
};

const spreadAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'imbalance-cores', { trace: 'campus', cores: 8, contender });
const spread = (f: Facts, contender: string): string | undefined =>
  spreadAt(f, contender).told('imbalancePercent');

const byCores: Story = {
  found: (f) =>
    together(
      say`Imbalance is how many more packets per second the fullest core gets than the emptiest.`,
      say`On eight cores it is ${spread(f, 'static RSS')} with static RSS, ${spread(f, greedy)} with the greedy and ${spread(f, 'ours')} with ours.`,
      say`The heaviest bucket alone forces ${spreadAt(f, 'ours').told('floorPercent')}; the rest is traffic that changes from one epoch to the next.`,
    ),
  figures: [{ id: 'imbalance-campus', onePanel: true }],
};

const byMethod: Story = {
  found: (f) => {
    const points = f.part('imbalance-methods').points({ trace: 'campus4' });
    const better = points.flatMap((p) =>
      p.change('imbalancePercent')?.verdict === 'better'
        ? [`${String(p.params.contender)} (${String(p.told('imbalancePercent'))})`]
        : [],
    );
    const rss = at(f, 'imbalance-methods', { trace: 'campus4', contender: 'static RSS' });
    return together(
      say`On Campus #4 static RSS has an imbalance of ${rss.told('imbalancePercent')}.`,
      say`Better are ${listed(better)}.`,
      when(
        better.some((name) => /^(sprayer|software round robin)/.test(name)),
        'Spraying and round robin break flows apart: no core owns the state of a flow.',
      ),
    );
  },
  figures: ['imbalance-methods'],
};

export const stories: Readonly<Record<string, Story>> = {
  latency,
  drops,
  'imbalance-cores': byCores,
  'imbalance-methods': byMethod,
  ...machineStories,
};

export const captions: Readonly<Record<string, Say>> = {
  'latency-p95': (f) => {
    const [rss, ours] = ['static RSS', 'ours'].map((name) => latencyAt(f, name).value('p95Us'));
    return (
      say`95th percentile of latency by mean load, four cores, rings of 4,096: at 0.82 static RSS has ${times(rss, ours)} that of ours.` ??
      say`95th percentile of latency by mean load of a core, four cores, rings of 4,096.`
    );
  },
  'drops-load': (f) =>
    say`Packets dropped by speed of the replay: at 120 % static RSS drops ${dropAt(f, 'static RSS')}, ours with short epochs ${dropAt(f, fast)}.` ??
    say`Packets dropped by speed of the replay, placed by core load.`,
  'imbalance-campus': (f) =>
    say`Imbalance on the Campus trace: ${spread(f, 'static RSS')} with static RSS and ${spread(f, 'ours')} with ours on eight cores.` ??
    say`Imbalance by number of cores on the Campus trace.`,
  'imbalance-methods': () =>
    say`Imbalance at eight cores by method; spraying and round robin break flows apart.`,
  ...machineCaptions,
};

export const abstract: Say = (f) => {
  const solve = at(f, 'solver', { entries: 512, cores: 16, contender: 'ours' });
  const moved = f.part('migration').points();
  const lost = moved.reduce(
    (sum, p) => sum + (p.value('lost') ?? 0) + (p.value('reordered') ?? 0),
    0,
  );
  return together(
    say`RSS++ (CoNEXT’19) rewrites a NIC’s indirection table so that its buckets follow the load of the cores. We rerun its experiments in virtual time, on traffic drawn from its published statistics, with the published greedy and a solver of our own over the same epochs and hand-over.`,
    say`At a mean load of 0.82 the 95th percentile of latency is ${p95(f, 'static RSS')} with static RSS, ${p95(f, greedy)} with the greedy and ${p95(f, 'ours')} with ours.`,
    solversAtEqualEpochs(f),
    say`Ours solves 512 buckets on 16 cores in ${solve.told('solveUs')}.`,
    when(
      moved.length > 0,
      lost === 0
        ? 'A hundred moves per second lose and reorder nothing.'
        : `A hundred moves per second lose or reorder ${lost} packets.`,
    ),
    counted(f.counts.published, 'published values'),
    say`Service times are fixed here, so effects on caches are not covered.`,
  );
};
