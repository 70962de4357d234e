// What the report says of scaling, hand-over, table writes, throughput, solver, state, and the live TAP.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at } from '../story/ask.js';
import { say, together, told, when } from '../story/say.js';

const rampAt = (f: Facts, contender: string): PointFacts => at(f, 'autoscale', { contender });

const scaling: Story = {
  found: (f) => {
    const [ours, theirs] = [rampAt(f, 'ours'), rampAt(f, 'greedy, published rule')];
    return together(
      say`Under the ramp ours keeps ${ours.bare('meanCores')} of 15 cores busy on average and serves ${ours.told('goodputPercent')} of the packets; the published rule keeps ${theirs.bare('meanCores')} busy and serves ${theirs.told('goodputPercent')}.`,
      say`Reversals between adding cores and giving them back: ${ours.bare('reversals')} with ours, ${theirs.bare('reversals')} with the published rule.`,
    );
  },
  figures: ['autoscale'],
};

const holdAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'migration', { load: 0.7, contender });

const migration: Story = {
  found: (f) => {
    const points = f.part('migration').points();
    const lost = points.reduce(
      (sum, p) => sum + (p.value('lost') ?? 0) + (p.value('reordered') ?? 0),
      0,
    );
    return together(
      when(
        points.length > 0,
        when(
          lost === 0,
          'With 100 moves per second no packet is lost or reordered.',
          `With 100 moves per second ${lost} packets are lost or reordered.`,
        ),
      ),
      say`At a load of 0.7 the longest hold is ${holdAt(f, 'served first').told('holdMaxUs')} if the losing core serves its queue first, and ${holdAt(f, 'announced, polls of 8').told('holdMaxUs')} if moves are announced and polls are short.`,
    );
  },
  figures: ['hold'],
};

const writeAt = (f: Facts, contender: string): PointFacts => at(f, 'table-writes', { contender });

const writes: Story = {
  found: (f) => {
    const p99 = (contender: string): string | undefined => writeAt(f, contender).told('p99Us');
    const slow = writeAt(f, 'entry by entry, 100 µs').change('p99Us');
    return together(
      say`The p99 is ${p99('at once')} if the table is written at once and ${p99('entry by entry, 100 µs')} if it is written entry by entry over 100 µs.`,
      told(slow, { same: say`That is no change.` }),
      say`A driver that stops reception for 5 ms takes it to ${p99('receive stops, 5 ms')}.`,
    );
  },
  figures: ['table-writes'],
};

const carriedAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'throughput', { chain: 'fw+nat', cores: 8, contender });

const throughput: Story = {
  found: (f) => {
    const change = carriedAt(f, 'ours').change('carriedGbps');
    const [ours, rss] = ['ours', 'static RSS'].map((name) =>
      carriedAt(f, name).told('carriedGbps'),
    );
    return together(
      told(change, {
        better: say`On eight cores firewall and NAT carry ${ours} with ours and ${rss} with static RSS (${change?.percent}).`,
        worse: say`On eight cores firewall and NAT carry ${ours} with ours, less than the ${rss} of static RSS (${change?.percent}).`,
        same: say`On eight cores firewall and NAT carry as much with ours as with static RSS: ${ours}.`,
        open: say`On eight cores firewall and NAT carry ${ours} with ours and ${rss} with static RSS; whether they differ is undecided.`,
      }),
      when(
        ours !== undefined,
        'The published rate of one core is an input; only what further cores add is a result.',
      ),
    );
  },
  figures: [{ id: 'throughput-fw-nat', onePanel: true }],
};

const solveAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'solver', { entries: 512, cores: 16, contender });

const solver: Story = {
  found: (f) => {
    const [ours, theirs, fresh] = ['ours', 'RSS++ greedy', 'from scratch (LPT)'].map((name) =>
      solveAt(f, name),
    );
    return together(
      say`For 512 buckets on 16 cores an epoch takes ${ours?.told('solveUs')} with ours and ${theirs?.told('solveUs')} with the greedy.`,
      say`Once settled, the worst core stays ${ours?.told('settledOverBoundPercent')} above the lower bound with ours and ${theirs?.told('settledOverBoundPercent')} with the greedy.`,
      say`Solving from scratch reaches ${fresh?.told('settledOverBoundPercent')}, but moves ${fresh?.bare('movesPerEpoch')} buckets per epoch where ours moves ${ours?.bare('movesPerEpoch')}.`,
    );
  },
  figures: [
    { id: 'solve-time', only: { cores: [16] } },
    { id: 'solve-gap', only: { cores: [16] } },
  ],
};

const rateAt = (f: Facts, contender: string, cores: number): string | undefined =>
  at(f, 'state', { cores, call: 32, contender }).told('mpps');

const state: Story = {
  found: (f) =>
    say`With 32 packets per call, two cores do ${rateAt(f, 'per bucket', 2)} with state per bucket and ${rateAt(f, 'shared, locked', 2)} with one locked table; one core does ${rateAt(f, 'per bucket', 1)} and ${rateAt(f, 'shared, locked', 1)}.`,
  figures: [{ id: 'state-32', onePanel: true }],
};

const growthAt = (f: Facts, contender: string): string | undefined =>
  at(f, 'state-growth', { call: 32, contender }).told('growth');

const growth: Story = {
  found: (f) =>
    say`Two cores do ${growthAt(f, 'per bucket')} the rate of one with state per bucket, and ${growthAt(f, 'shared, locked')} with the locked table.`,
  figures: ['state-growth'],
};

const tapAt = (f: Facts, contender: string): PointFacts => at(f, 'tap', { contender });

const tap: Story = {
  found: (f) => {
    const [rss, ours] = [tapAt(f, 'static RSS'), tapAt(f, 'ours')];
    const lost = ours.value('lost');
    return together(
      say`On a live TAP the imbalance of the queues is ${ours.told('imbalancePercent')} with ours and ${rss.told('imbalancePercent')} with static RSS.`,
      when(
        lost !== undefined,
        when(
          lost === 0 && ours.value('reordered') === 0,
          'No packet was lost or reordered while buckets moved.',
          say`While buckets moved, ${ours.bare('lost')} packets were lost and ${ours.bare('reordered')} reordered.`,
        ),
      ),
    );
  },
  figures: ['tap'],
};

export const machineStories: Readonly<Record<string, Story>> = {
  autoscale: scaling,
  migration,
  'table-writes': writes,
  throughput,
  solver,
  state,
  'state-growth': growth,
  tap,
};

export const machineCaptions: Readonly<Record<string, Say>> = {
  autoscale: (f) =>
    say`Mean number of cores in use under the ramp: ${rampAt(f, 'ours').bare('meanCores')} with ours and ${rampAt(f, 'greedy, published rule').bare('meanCores')} with the published rule.` ??
    say`Mean number of cores in use under the ramp.`,
  hold: () => say`Longest hold of a packet whose bucket moves, by way of handing over.`,
  'table-writes': () => say`p99 of latency by the way in which the table is written.`,
  'throughput-fw-nat': (f) =>
    say`Firewall and NAT at 99.5 Gbps offered: ${carriedAt(f, 'ours').told('carriedGbps')} with ours and ${carriedAt(f, 'static RSS').told('carriedGbps')} with static RSS on eight cores.` ??
    say`Throughput of firewall and NAT by number of cores, 99.5 Gbps offered.`,
  'solve-time': (f) =>
    say`Time to solve an epoch on 16 cores; with 512 buckets ours takes ${solveAt(f, 'ours').told('solveUs')}.` ??
    say`Time to solve an epoch by size of the table.`,
  'solve-gap': (f) =>
    say`Worst core above the lower bound on 16 cores; with 512 buckets ours settles at ${solveAt(f, 'ours').told('settledOverBoundPercent')}.` ??
    say`Worst core above the lower bound by size of the table.`,
  'state-32': () =>
    say`Packet rate with state per bucket and with one locked table, 32 packets per call.`,
  'state-growth': () => say`Rate of two cores over that of one, by packets per call.`,
  tap: (f) =>
    say`Imbalance of the queues of a live TAP: ${tapAt(f, 'ours').told('imbalancePercent')} with ours.` ??
    say`Imbalance of the queues of a live TAP.`,
};
