// What the report says of each part of the experiment `rsspp`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, told, when } from '../story/say.js';

const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);
/** A value over another, in words: "2.1 times". */
const times = (a: number | undefined, b: number | undefined): string | undefined =>
  a === undefined || b === undefined || b === 0 ? undefined : `${(a / b).toFixed(1)} times`;

const latency: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'latency', { load: 0.82, contender });
    const [rss, greedy, ours] = [point('static RSS'), point('RSS++ greedy'), point('ours')];
    const theirs = f.part('latency').published({ load: 0.82, contender: 'RSS++ greedy' }, 'p95Us');
    const [slow, fast] = [greedy.value('p95Us') ?? 0, ours.value('p95Us') ?? Infinity];
    const apart = times(slow, fast);
    return together(
      say`At a mean load of 0.82 the 95th percentile is ${rss.told('p95Us')} with static RSS, ${greedy.told('p95Us')} with the published greedy and ${ours.told('p95Us')} with our solver.`,
      say`The paper has ${theirs} for its greedy @rsspp.`,
      when(
        slow > 1.1 * fast,
        say`At equal epochs the greedy waits ${apart} as long as ours.`,
        when(
          slow > 0 && slow > 0.9 * fast,
          'At equal epochs the two are level: the solver matters less here than the epoch.',
        ),
      ),
      say`Short epochs near overload bring both further: ${point('RSS++ greedy, 10 to 100 ms').told('p95Us')} and ${point('ours, 10 to 100 ms').told('p95Us')}; one shared queue, which no table reaches, has ${point('bound: one shared queue').told('p95Us')}.`,
    );
  },
  figures: ['latency-p95'],
  table: {
    caption: 'Latency at a mean load of 0.82.',
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

const drops: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'drops', { placing: 'core load', load: 0.94, contender });
    return together(
      say`At 120 % of the trace’s speed, placed by core load, static RSS drops ${point('static RSS').told('dropKpps')}, the greedy with short epochs ${point('RSS++ greedy, 10 to 100 ms').told('dropKpps')} and ours ${point('ours, 10 to 100 ms').told('dropKpps')}.`,
      say`The two bounds, which no balancer can pass by much, drop ${point('bound: one shared queue').told('dropKpps')} and ${point('bound: ideal split').told('dropKpps')}.`,
      say`Beyond a load of 1 every method must drop what cannot be served.`,
    );
  },
  figures: ['drops-load'],
};

const byCores: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'imbalance-cores', { trace: 'campus', cores: 8, contender });
    return together(
      say`Imbalance is how many more packets a second the fullest core gets than the emptiest. On eight cores the fullest gets ${point('static RSS').told('imbalancePercent')} more than the emptiest with static RSS, ${point('RSS++ greedy').told('imbalancePercent')} with the greedy and ${point('ours').told('imbalancePercent')} with ours.`,
      say`The heaviest bucket alone allows ${point('ours').told('floorPercent')}: the rest is traffic that changes from one epoch to the next.`,
    );
  },
  figures: ['imbalance-campus'],
};

const byMethod: Story = {
  found: (f) => {
    const points = f.part('imbalance-methods').points({ trace: 'campus4' });
    const better = points.flatMap((p) =>
      p.change('imbalancePercent')?.verdict === 'better'
        ? [`${String(p.params.contender)} ${String(p.bare('imbalancePercent'))}`]
        : [],
    );
    return together(
      say`Static RSS has ${at(f, 'imbalance-methods', { trace: 'campus4', contender: 'static RSS' }).told('imbalancePercent')} on the fourth campus trace.`,
      say`Better, in percent: ${listed(better)}.`,
      say`Spraying and round robin spread best, but break flows apart: a core no longer owns what it keeps of a flow.`,
    );
  },
  figures: ['imbalance-methods'],
};

const scaling: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'autoscale', { contender });
    const [ours, theirs] = [point('ours'), point('greedy, published rule')];
    return together(
      say`Under the ramp ours keeps ${ours.bare('meanCores')} of 15 cores busy on average and serves ${ours.told('goodputPercent')}; the published rule takes ${theirs.bare('meanCores')} and serves ${theirs.told('goodputPercent')}.`,
      say`It turns between adding and giving back ${ours.bare('reversals')} times, the published rule ${theirs.bare('reversals')} times.`,
    );
  },
  figures: ['autoscale'],
};

const migration: Story = {
  found: (f) => {
    const points = f.part('migration').points();
    const lost = points.reduce(
      (sum, p) => sum + (p.value('lost') ?? 0) + (p.value('reordered') ?? 0),
      0,
    );
    const hold = (contender: string): PointFacts => at(f, 'migration', { load: 0.7, contender });
    return together(
      when(
        points.length > 0,
        when(
          lost === 0,
          'With 100 moves a second nothing is lost and nothing overtaken.',
          `With 100 moves a second ${lost} packets are lost or overtaken.`,
        ),
      ),
      say`At a load of 0.7 the longest hold is ${hold('served first').told('holdMaxUs')} where the losing core serves its queue first, and ${hold('announced, polls of 8').told('holdMaxUs')} where moves are announced and polls are short.`,
    );
  },
  figures: ['hold'],
};

const writes: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'table-writes', { contender });
    return together(
      say`Written entry by entry in 100 µs the table costs nothing that shows: p99 is ${point('entry by entry, 100 µs').told('p99Us')}, and ${point('at once').told('p99Us')} at once.`,
      say`A driver that stops receiving for 5 ms takes it to ${point('receive stops, 5 ms').told('p99Us')}.`,
    );
  },
  figures: ['table-writes'],
};

const throughput: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'throughput', { chain: 'fw+nat', cores: 8, contender });
    const change = point('ours').change('carriedGbps');
    return together(
      told(change, {
        better: say`On eight cores firewall and NAT carry ${point('ours').told('carriedGbps')} with ours and ${point('static RSS').told('carriedGbps')} with static RSS (${change?.percent}).`,
        same: say`On eight cores firewall and NAT carry as much with ours as with static RSS: ${point('ours').told('carriedGbps')}.`,
        open: say`On eight cores the run does not decide between ours (${point('ours').told('carriedGbps')}) and static RSS (${point('static RSS').told('carriedGbps')}).`,
      }),
      say`The published rate of one core is an input; only what more cores bring is an answer.`,
    );
  },
  figures: ['throughput-fw-nat'],
};

const solver: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'solver', { entries: 512, cores: 16, contender });
    return together(
      say`For 512 buckets on 16 cores an epoch takes ${point('ours').told('solveUs')} with ours and ${point('RSS++ greedy').told('solveUs')} with the greedy.`,
      say`Settled, the worst core is ${point('ours').told('settledOverBoundPercent')} above the lower bound with ours and ${point('RSS++ greedy').told('settledOverBoundPercent')} with the greedy; solving from scratch comes as close, but moves ${point('from scratch (LPT)').bare('movesPerEpoch')} buckets an epoch where ours moves ${point('ours').bare('movesPerEpoch')}.`,
    );
  },
  figures: ['solve-time', 'solve-gap'],
};

const state: Story = {
  found: (f) => {
    const point = (contender: string, cores: number): PointFacts =>
      at(f, 'state', { cores, call: 32, contender });
    return say`With 32 packets a call two cores do ${point('per bucket', 2).told('mpps')} with state of their own and ${point('shared, locked', 2).told('mpps')} with one locked table; one core does ${point('per bucket', 1).told('mpps')} and ${point('shared, locked', 1).told('mpps')}.`;
  },
  figures: ['state-32'],
};

const growth: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'state-growth', { call: 32, contender });
    return say`The second core brings ${point('per bucket').told('growth')} the rate of one with state per bucket, and ${point('shared, locked').told('growth')} with the locked table.`;
  },
  figures: ['state-growth'],
};

const tap: Story = {
  found: (f) => {
    const [rss, ours] = [
      at(f, 'tap', { contender: 'static RSS' }),
      at(f, 'tap', { contender: 'ours' }),
    ];
    const lost = ours.value('lost');
    return together(
      say`On a live TAP the queues’ imbalance is ${ours.told('imbalancePercent')} with ours and ${rss.told('imbalancePercent')} with static RSS.`,
      when(
        lost !== undefined,
        when(
          lost === 0 && ours.value('reordered') === 0,
          'Nothing was lost or overtaken while buckets moved.',
          say`Lost: ${ours.bare('lost')}; out of order: ${ours.bare('reordered')}.`,
        ),
      ),
    );
  },
  figures: ['tap'],
};

export const stories: Readonly<Record<string, Story>> = {
  latency,
  drops,
  'imbalance-cores': byCores,
  'imbalance-methods': byMethod,
  autoscale: scaling,
  migration,
  'table-writes': writes,
  throughput,
  solver,
  state,
  'state-growth': growth,
  tap,
};

export const captions: Readonly<Record<string, Say>> = {
  'latency-p95': () =>
    say`95th percentile of latency by mean load of a core; four cores, rings of 4,096.`,
  'drops-load': () =>
    say`Packets dropped (1000/s) by speed of the replay (%), placed by core load.`,
  'imbalance-campus': () => say`Imbalance by cores on the campus trace.`,
  'imbalance-methods': () => say`Imbalance at eight cores by method.`,
  autoscale: () =>
    say`Mean number of cores in use under the ramp; fewer is better where packets are still served.`,
  hold: () => say`Longest time that a packet of a moving bucket is held.`,
  'table-writes': () => say`p99 of latency by the way in which the table is written.`,
  'throughput-fw-nat': () => say`Throughput of firewall and NAT by cores, 99.5 Gbps offered.`,
  'solve-time': () =>
    say`Time to solve an epoch by size of the table; panels are numbers of cores.`,
  'solve-gap': () => say`How far above the lower bound the worst core stays.`,
  'state-32': () =>
    say`Rate by cores with state per bucket and with one locked table, 32 packets a call.`,
  'state-growth': () => say`What the second core brings, by packets a call.`,
  tap: () => say`Imbalance of the queues of a live TAP.`,
};

export const abstract: Say = (f) => {
  const point = (contender: string): PointFacts => at(f, 'latency', { load: 0.82, contender });
  const solve = at(f, 'solver', { entries: 512, cores: 16, contender: 'ours' });
  const { published } = f.counts;
  const all = Object.values(published).reduce((sum, n) => sum + n, 0);
  return together(
    say`RSS++ rewrites a network card’s indirection table so that its buckets follow the load of the cores. We repeat its experiments in virtual time, on traffic drawn after its published statistics, with the published greedy and a solver of our own over the same epochs and hand-over.`,
    say`At a mean load of 0.82 the 95th percentile of latency is ${point('static RSS').told('p95Us')} with static RSS, ${point('RSS++ greedy').told('p95Us')} with the greedy and ${point('ours').told('p95Us')} with ours.`,
    say`Our solver takes ${solve.told('solveUs')} for 512 buckets on 16 cores.`,
    say`Of ${all} published values ${published.reproduced ?? 0} are reproduced, ${published.exceeds ?? 0} exceeded; ${published['falls short'] ?? 0} fall short and ${published.undecided ?? 0} are undecided.`,
    say`Latency and drops follow the length of an epoch more than the solver; service times are fixed, so caches play no part.`,
  );
};
