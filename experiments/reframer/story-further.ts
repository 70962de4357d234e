// What the report says of the further questions: functions, latency, load, cores, traffic.
import type { Change, Facts, PointFacts, Say, Story } from '../core/story.js';
import { at, changed, named } from '../story/ask.js';
import { shownName } from '../story/names.js';
import { listed, say, together, told, when } from '../story/say.js';
import { policyCaptions, policyStories } from './story-policies.js';

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
      say`T = 64 µs makes cheaper: ${changed(points('64us'), 'chain', cost, 'better')}.`,
      say`It makes dearer: ${changed(points('64us'), 'chain', cost, 'worse')}; a function this cheap saves less than the stage takes.`,
      say`No change: ${named(points('64us'), 'chain', cost, 'no change')}.`,
      say`Undecided: ${named(points('64us'), 'chain', cost, 'open')}.`,
      say`The adaptive policy still adds cost to ${changed(points('adaptive'), 'chain', cost, 'worse')}.`,
    );
  },
  figures: ['functions-held'],
};

const lookAhead: Story = {
  found: (f) => {
    const points = f.part('look-ahead').points({ stage: '64us', contender: 'looking ahead' });
    return together(
      say`Prefetching the headers and the state of the burst at hand makes cheaper: ${changed(points, 'chain', cost, 'better')}.`,
      say`It makes dearer: ${changed(points, 'chain', cost, 'worse')}.`,
      say`It does not change ${named(points, 'chain', cost, 'no change')}.`,
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
      say`Without the hold, its median would be ${fixedAt(f, '64us').told('ownP50Us')}.`,
    );
  },
  figures: [{ id: 'fixed-rate-mean', only: { chain: ['paper'] } }],
};

const zeroLoss: Story = {
  found: (f) => {
    const point = (contender: string): string | undefined =>
      at(f, 'zero-loss', { contender }).told('zeroLossGbps');
    return together(
      say`The highest rate without a ring overflow is ${point('off')} without Reframer and ${point('64us')} with T = 64 µs.`,
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

const ownCores: Story = {
  found: (f) => {
    const [front, inside] = ['64us, 8 in front', '64us'].map((contender) =>
      at(f, 'own-cores', { contender }),
    );
    const change = front?.change(gbps);
    const [far, near] = [front?.value('perCoreGbps') ?? 0, inside?.value('perCoreGbps') ?? 0];
    return together(
      told(change, {
        better: say`Eight further cores that run only Reframer raise the throughput by ${change?.size}, to ${front?.told(gbps)}.`,
        same: say`Eight further cores that run only Reframer bring nothing.`,
        worse: say`Eight further cores that run only Reframer cost throughput (${change?.percent}).`,
        open: say`Whether eight further cores that run only Reframer bring anything is undecided (${change?.span}).`,
      }),
      say`Per core paid for, that is ${front?.told('perCoreGbps')}, against ${inside?.told('perCoreGbps')} with Reframer on the chain’s own cores.`,
      when(near > far && far > 0, 'Cores of its own do not pay here.'),
    );
  },
  figures: [
    {
      id: 'own-cores',
      only: {
        contender: ['off', '64us', '64us, 8 in front', '128us, 8 in front', '64us, 2 in front'],
      },
    },
  ],
};

const flows: Story = {
  found: (f) => {
    const change = (count: number): Change | undefined =>
      at(f, 'flows', { chain: 'paper', flows: count, contender: '64us' }).change(gbps);
    return together(
      say`T = 64 µs changes the throughput by ${change(1e3)?.percent} with 1,000 flows and by ${change(1e5)?.percent} with 100,000.`,
      told(change(1e7), {
        better: say`With ten million it still gains ${change(1e7)?.size}.`,
        worse: say`With ten million it costs ${change(1e7)?.size}: no two packets of a flow meet within the hold.`,
        same: say`With ten million it neither gains nor costs: no two packets of a flow meet within the hold.`,
        open: say`With ten million the change is undecided.`,
      }),
    );
  },
  figures: ['flows'],
};

const cores: Story = {
  found: (f) => {
    const change = (count: number): Change | undefined =>
      at(f, 'cores', { cores: count, contender: '128us' }).change(gbps);
    return together(
      say`T = 128 µs changes the throughput by ${change(1)?.percent} on one core and by ${change(8)?.percent} on eight, where the offered 70 Gbps set the limit.`,
      say`More queues mean fewer flows in each, so runs get longer even without Reframer; sixteen cores gain ${change(16)?.percent}.`,
    );
  },
  figures: ['cores'],
};

const worst: Story = {
  found: (f) => {
    const points = (contender: string): PointFacts[] =>
      f.part('worst').points({ chain: 'paper', contender });
    return together(
      say`T = 64 µs costs the paper’s chain throughput under ${changed(points('64us'), 'traffic', gbps, 'worse')}.`,
      say`It gains under ${changed(points('64us'), 'traffic', gbps, 'better')}.`,
      say`No change under ${named(points('64us'), 'traffic', gbps, 'no change')}.`,
      say`Undecided under ${named(points('64us'), 'traffic', gbps, 'open')}.`,
      say`Adaptive T loses under ${changed(points('adaptive'), 'traffic', gbps, 'worse')}.`,
    );
  },
  figures: ['worst'],
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
    return say`From SLF 1 to the longest runs the cost per packet falls or rises so: ${listed(each)}.`;
  },
  figures: ['library-function-cost'],
};

const ports: Story = {
  found: (f) => {
    const points = f.part('dpdk-ports').points({ form: 'packet', contender: '64us' });
    return together(
      say`T = 64 µs makes cheaper: ${changed(points, 'port', cost, 'better')}.`,
      say`It makes dearer: ${changed(points, 'port', cost, 'worse')}.`,
      say`It does not change ${named(points, 'port', cost, 'no change')}.`,
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
  'own-cores': ownCores,
  flows,
  cores,
  worst,
  'library-functions': library,
  'dpdk-ports': ports,
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
  'own-cores': (f) =>
    say`T = 64 µs brings ${gainAt(f, 'own-cores', { contender: '64us' })} on the chain’s own cores and ${gainAt(f, 'own-cores', { contender: '64us, 8 in front' })} on eight further cores in front.` ??
    say`Throughput with Reframer on the chain’s own cores, and on further cores in front.`,
  flows: (f) =>
    say`With T = 64 µs the paper’s chain changes by ${gainAt(f, 'flows', { chain: 'paper', flows: 1e3, contender: '64us' })} at 1,000 flows and by ${gainAt(f, 'flows', { chain: 'paper', flows: 1e7, contender: '64us' })} at ten million.` ??
    say`Throughput by the number of concurrent flows.`,
  cores: (f) =>
    say`T = 128 µs changes the throughput by ${gainAt(f, 'cores', { cores: 1, contender: '128us' })} on one core and by ${gainAt(f, 'cores', { cores: 8, contender: '128us' })} on eight.` ??
    say`Throughput by the number of cores, 70 Gbps offered.`,
  worst: (f) => {
    const points = f.part('worst').points({ chain: 'paper', contender: '64us' });
    const lost = named(points, 'traffic', gbps, 'worse');
    return lost === undefined
      ? say`Traffic that leaves little to group: T = 64 µs loses under none of it.`
      : say`Traffic that leaves little to group: T = 64 µs loses under ${lost}.`;
  },
  ...policyCaptions,
};
