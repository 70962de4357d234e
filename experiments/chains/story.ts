// What the report says of each part of the experiment `chains`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at } from '../story/ask.js';
import { counted } from '../story/counts.js';
import { shownName } from '../story/names.js';
import { listed, say, together, when } from '../story/say.js';
import { fajita, ours, rebuilt } from './contenders.js';

const cost = 'nsPerPacket';
const few = 2 ** 14;
const many = 2 ** 22;

const styleAt = (f: Facts, contender: string, flows = many): PointFacts =>
  at(f, 'styles', { contender, flows });

const styles: Story = {
  found: (f) => {
    const mine = styleAt(f, ours);
    return together(
      say`With 4 M flows and three functions a packet costs ${mine.told(cost)} with the flow block, ${styleAt(f, fajita).told(cost)} in the FAJITA style @fajita and ${styleAt(f, rebuilt).told(cost)} if batches are cut and rebuilt.`,
      say`Measured in the same rounds, the flow block carries ${mine.told('overPooled')} as many packets as the FAJITA style, and ${mine.told('overTables')} as many as one table per function.`,
      say`From 16 k to 4 M flows it loses ${mine.told('lossPercent')} of its packets per second.`,
    );
  },
  figures: ['styles'],
  table: {
    caption: 'Three functions, 4 M flows: cost, rate, and rate over other styles.',
    where: { flows: many },
    names: { contender: 'style' },
    metrics: {
      nsPerPacket: 'time per packet',
      mpps: 'rate',
      overPooled: 'over FAJITA style',
      overRebuilt: 'over cut and rebuilt',
      bytesPerFlow: 'memory',
    },
  },
};

const functionAt = (f: Facts, contender: string, functions: number): PointFacts =>
  at(f, 'functions', { contender, functions });

/** Two to five functions: what each adds. */
const added = (f: Facts, contender: string): string | undefined =>
  listed(
    [2, 3, 4, 5].flatMap((count) => {
      const value = functionAt(f, contender, count).bare('marginalNs');
      return value === undefined ? [] : [value];
    }),
  );

const functions: Story = {
  found: (f) =>
    together(
      say`One function costs ${functionAt(f, ours, 1).told(cost)} per packet with the flow block and ${functionAt(f, fajita, 1).told(cost)} in the FAJITA style.`,
      say`Load balancer, rate limiter, NAT and connection firewall then add ${added(f, ours)} ns with the flow block, and ${added(f, fajita)} ns in the FAJITA style.`,
    ),
  figures: ['functions'],
};

const localityAt = (f: Facts, locality: string, contender: string): PointFacts =>
  at(f, 'locality', { locality, contender });

const locality: Story = {
  found: (f) => {
    const tell = (name: string): string | undefined => {
      const held = localityAt(f, name, `${ours}, T = 64 µs`);
      const runs = held.value('runLength');
      return say`On ${shownName(name, 'locality')} traffic a packet costs ${localityAt(f, name, ours).told(cost)} without a hold and ${held.told(cost)} with T = 64 µs, in runs of ${runs?.toFixed(1)} packets.`;
    };
    const hold = localityAt(f, 'campus', `${ours}, T = 64 µs`);
    return together(
      ...['campus', 'trains', 'caida'].map(tell),
      say`The median hold is then ${hold.told('holdP50Us')} on Campus.`,
    );
  },
  figures: ['locality'],
};

const expiry: Story = {
  found: (f) => {
    const point = at(f, 'expiry', { contender: ours });
    return together(
      say`Expiry takes ${point.told('expiryNs')} of the ${point.told(cost)} per packet.`,
      when((point.value('expiryNs') ?? 1) <= 0, 'That is within the noise of the two contenders.'),
    );
  },
  figures: [],
};

export const stories: Readonly<Record<string, Story>> = { styles, functions, locality, expiry };

export const captions: Readonly<Record<string, Say>> = {
  styles: (f) =>
    say`Cost per packet of a chain of three functions, by style: with 4 M flows ${styleAt(f, ours).told(cost)} with the flow block and ${styleAt(f, fajita).told(cost)} in the FAJITA style.` ??
    say`Cost per packet of a chain of three functions, by style.`,
  functions: (f) =>
    say`Packets per second by number of functions: five carry ${functionAt(f, ours, 5).told('mpps')} with the flow block and ${functionAt(f, fajita, 5).told('mpps')} in the FAJITA style.` ??
    say`Packets per second by number of functions.`,
  locality: (f) =>
    say`Cost per packet by traffic: on Campus the flow block takes ${localityAt(f, 'campus', ours).told(cost)}, and ${localityAt(f, 'campus', `${ours}, T = 64 µs`).told(cost)} with T = 64 µs.` ??
    say`Cost per packet by traffic, with and without a hold.`,
};

/** What a hold in front of the chain does, where runs could pay for it. */
function holding(f: Facts): string | undefined {
  const [plain, held] = ['', ', T = 64 µs'].map((hold) =>
    localityAt(f, 'campus', `${ours}${hold}`),
  );
  const [before, after] = [plain?.value(cost), held?.value(cost)];
  if (before === undefined || after === undefined) return undefined;
  return say`On Campus traffic a hold of 64 µs ${after < before ? 'lowers' : 'raises'} the cost from ${plain?.told(cost)} to ${held?.told(cost)}.`;
}

export const abstract: Say = (f) => {
  const [small, large] = [styleAt(f, ours, few), styleAt(f, ours)];
  return together(
    say`What does one more stateful function cost per packet? A chain can look each flow up once and keep the state of all its functions in one entry, a flow block. We compare it with styles rebuilt from the literature, in turns, on the same packets, without a NIC.`,
    say`With three functions a packet costs ${small.told(cost)} at 16 k flows and ${large.told(cost)} at 4 M, which is ${large.told('overPooled')} the rate of the FAJITA style (CoNEXT’24).`,
    say`The second to fifth function add ${added(f, ours)} ns.`,
    holding(f),
    counted(f.counts.published, 'published ratios'),
    counted(f.counts.aims, 'aims of this project'),
    say`The frameworks themselves are not run.`,
  );
};
