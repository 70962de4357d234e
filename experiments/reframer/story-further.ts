// What the report says of the further questions: functions, latency, load.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at, changed, named } from '../story/ask.js';
import { shownName } from '../story/names.js';
import { listed, say, together, told, when } from '../story/say.js';
import { policyCaptions, policyStories } from './story-policies.js';
import { scaleCaptions, scaleStories } from './story-scale.js';

const gbps = 'throughputGbps';
const cost = 'nsPerPacket';

/** A function at SLF 1 and at the highest SLF of the run. */
function ends(
  f: Facts,
  part: string,
  chain: string,
): readonly [PointFacts, PointFacts] | undefined {
  const points = f.part(part).points({ chain, contender: 'per packet' });
  const bySlf = [...points].sort((a, b) => Number(a.params.slf) - Number(b.params.slf));
  const told = bySlf.filter((point) => point.value(cost) !== undefined);
  const [one, many] = [told[0], told.at(-1)];
  return one === undefined || many === undefined || one === many ? undefined : [one, many];
}

/** The cost at the lowest SLF over that at the highest; NaN where one of them is missing. */
function saving(f: Facts, chain: string): number {
  const [one, many] = ends(f, 'functions', chain) ?? [];
  return (one?.value(cost) ?? Number.NaN) / (many?.value(cost) ?? Number.NaN);
}

const functions: Story = {
  found: (f) => {
    const tell = (chain: string, name: string): string | undefined => {
      const [one, many] = ends(f, 'functions', chain) ?? [];
      return one === undefined || many === undefined
        ? undefined
        : say`${name} takes ${one.told(cost)} per packet at SLF ${String(one.params.slf)} and ${many.told(cost)} at SLF ${String(many.params.slf)}.`;
    };
    return together(
      tell('paper-nat', 'The paper’s NAT'),
      tell('modern', 'The modern chain'),
      when(
        saving(f, 'modern') < saving(f, 'paper-nat'),
        'With hashed tables there is less to save.',
      ),
    );
  },
  figures: ['function-cost'],
};

const held: Story = {
  found: (f) => {
    const points = (contender: string): PointFacts[] =>
      f.part('functions-held').points({ contender });
    return together(
      say`With T = 64 µs a packet costs less in ${changed(points('64us'), 'chain', cost, 'better')}.`,
      say`With T = 64 µs a packet costs more in ${changed(points('64us'), 'chain', cost, 'worse')}: so cheap a function saves less than the stage takes.`,
      say`T = 64 µs changes nothing in ${named(points('64us'), 'chain', cost, 'no change')}.`,
      say`Undecided: ${named(points('64us'), 'chain', cost, 'open')}.`,
      say`With adaptive T a packet costs more in ${changed(points('adaptive'), 'chain', cost, 'worse')}.`,
      say`With adaptive T it costs less in ${changed(points('adaptive'), 'chain', cost, 'better')}.`,
      say`Adaptive T changes nothing in ${named(points('adaptive'), 'chain', cost, 'no change')}.`,
      say`What adaptive T costs is undecided for ${named(points('adaptive'), 'chain', cost, 'open')}.`,
    );
  },
  figures: ['functions-held'],
};

const lookAhead: Story = {
  found: (f) => {
    const points = f.part('look-ahead').points({ stage: '64us', contender: 'looking ahead' });
    return together(
      say`Behind T = 64 µs, prefetching makes a packet cheaper in ${changed(points, 'chain', cost, 'better')}.`,
      say`Prefetching makes a packet dearer in ${changed(points, 'chain', cost, 'worse')}.`,
      say`Prefetching changes nothing in ${named(points, 'chain', cost, 'no change')}.`,
      say`Undecided: ${named(points, 'chain', cost, 'open')}.`,
    );
  },
  figures: ['look-ahead'],
};

const fixedAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'fixed-rate', { chain: 'paper', contender });

const fixedRate: Story = {
  found: (f) => {
    const [off, on] = [fixedAt(f, 'off').told('meanUs'), fixedAt(f, '64us').told('meanUs')];
    const change = fixedAt(f, '64us').change('meanUs');
    return together(
      told(change, {
        better: say`Close to the chain’s limit, T = 64 µs lowers the mean latency from ${off} to ${on}: queues that no longer build up outweigh the hold.`,
        worse: say`Close to the chain’s limit, T = 64 µs raises the mean latency from ${off} to ${on}.`,
        same: say`Close to the chain’s limit, T = 64 µs does not change the mean latency (${on}).`,
        open: say`Close to the chain’s limit, the mean latency is ${off} without Reframer and ${on} with T = 64 µs; whether they differ is undecided (${change?.span}).`,
      }),
      say`The median latency is ${fixedAt(f, 'off').told('p50Us')} without Reframer; with T = 64 µs it is ${fixedAt(f, '64us').told('p50Us')}, of which all but ${fixedAt(f, '64us').told('ownP50Us')} is the hold.`,
    );
  },
  figures: [{ id: 'fixed-rate-mean', only: { chain: ['paper'] } }],
};

const zeroLoss: Story = {
  found: (f) => {
    const point = (contender: string): string | undefined =>
      at(f, 'zero-loss', { contender }).told('zeroLossGbps');
    return together(
      say`In one search each, in steps of 2 Gbps, the highest rate without a ring overflow is ${point('off')} without Reframer and ${point('64us')} with T = 64 µs.`,
      say`Adaptive T reaches ${point('adaptive')}.`,
    );
  },
  figures: ['zero-loss'],
};

const loadAt = (f: Facts, offeredGbps: number, contender: string): PointFacts =>
  at(f, 'load', { offeredGbps, contender });

const load: Story = {
  found: (f) => {
    const p50 = (rate: number, contender: string): string | undefined =>
      loadAt(f, rate, contender).told('p50Us');
    const drops = (contender: string): string | undefined =>
      loadAt(f, 70, contender).told('dropPercent');
    return together(
      told(loadAt(f, 10, '64us').change('p50Us'), {
        worse: say`At 10 Gbps holding only costs: the median latency rises from ${p50(10, 'off')} to ${p50(10, '64us')}.`,
        open: say`At 10 Gbps the median latency is ${p50(10, 'off')} without Reframer and ${p50(10, '64us')} with T = 64 µs.`,
      }),
      say`At 70 Gbps it is ${p50(70, 'off')} without Reframer and ${p50(70, '64us')} with T = 64 µs, and the share of dropped packets is ${drops('off')} and ${drops('64us')}.`,
      say`Adaptive T has a median of ${p50(10, 'adaptive')} at 10 Gbps and ${p50(70, 'adaptive')} at 70 Gbps.`,
    );
  },
  figures: ['load-throughput', 'load-p50'],
};

const library: Story = {
  found: (f) => {
    const part = 'library-functions';
    const chains = f.part(part).points({ slf: 1, contender: 'per packet' });
    const each = chains.flatMap(({ params }) => {
      const chain = String(params.chain);
      const [one, many] = ends(f, part, chain) ?? [];
      return say`${shownName(chain)} from ${one?.told(cost)} to ${many?.told(cost)}` ?? [];
    });
    return say`Cost per packet from SLF 1 to the longest runs: ${listed(each)}.`;
  },
  figures: ['library-function-cost'],
};

const ports: Story = {
  found: (f) => {
    const points = f.part('dpdk-ports').points({ form: 'packet', contender: '64us' });
    return together(
      say`With T = 64 µs a packet costs less over ${changed(points, 'port', cost, 'better')}.`,
      say`With T = 64 µs a packet costs more over ${changed(points, 'port', cost, 'worse')}.`,
      say`T = 64 µs changes nothing over ${named(points, 'port', cost, 'no change')}.`,
      say`Undecided: ${named(points, 'port', cost, 'open')}.`,
    );
  },
  figures: ['dpdk-ports'],
};

export const furtherStories: Readonly<Record<string, Story>> = {
  functions,
  'functions-held': held,
  'look-ahead': lookAhead,
  'fixed-rate': fixedRate,
  'zero-loss': zeroLoss,
  load,
  'library-functions': library,
  'dpdk-ports': ports,
  ...scaleStories,
  ...policyStories,
};

/** How many times cheaper from SLF 1 to SLF 32. */
function cheaper(f: Facts, chain: string): string | undefined {
  const times = saving(f, chain);
  return Number.isFinite(times) ? `${times.toFixed(1)} times` : undefined;
}

const gainAt = (f: Facts, part: string, params: PointFacts['params']): string | undefined =>
  at(f, part, params).change(gbps)?.percent;

export const furtherCaptions: Readonly<Record<string, Say>> = {
  'function-cost': (f) =>
    say`From SLF 1 to the longest runs the paper’s NAT gets ${cheaper(f, 'paper-nat')} cheaper, the modern chain ${cheaper(f, 'modern')}.` ??
    say`Cost per packet by the number of packets of a flow in a row.`,
  'functions-held': (f) => {
    const points = f.part('functions-held').points({ contender: '64us' });
    const better = named(points, 'chain', cost, 'better');
    return say`T = 64 µs makes ${better ?? 'none of the single functions'} cheaper.`;
  },
  'look-ahead': () => say`Cost per packet with and without prefetching, behind T = 64 µs.`,
  'fixed-rate-mean': (f) =>
    say`At 93 % of the chain’s limit the mean latency is ${fixedAt(f, 'off').told('meanUs')} without Reframer and ${fixedAt(f, '64us').told('meanUs')} with T = 64 µs.` ??
    say`Mean latency by buffering time at 93 % of the chain’s limit.`,
  'zero-loss': (f) =>
    say`No ring overflows up to ${at(f, 'zero-loss', { contender: 'off' }).told('zeroLossGbps')} without Reframer and ${at(f, 'zero-loss', { contender: '64us' }).told('zeroLossGbps')} with T = 64 µs.` ??
    say`Highest offered rate at which no ring overflows.`,
  'load-throughput': (f) =>
    say`Throughput by offered load; at 70 Gbps, T = 64 µs changes it by ${gainAt(f, 'load', { offeredGbps: 70, contender: '64us' })}.` ??
    say`Throughput by offered load.`,
  'load-p50': (f) =>
    say`Median latency by offered load: T = 64 µs takes it to ${loadAt(f, 10, '64us').told('p50Us')} at 10 Gbps and to ${loadAt(f, 70, '64us').told('p50Us')} at 70 Gbps.` ??
    say`Median latency by offered load.`,
  ...scaleCaptions,
  ...policyCaptions,
};
