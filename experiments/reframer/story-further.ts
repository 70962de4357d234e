// What the report says of the further questions: costs, latency, load, cores, traffic, policies.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, told } from '../story/say.js';

const gbps = 'throughputGbps';
const cost = 'nsPerPacket';
const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

/** Names of the points whose change against their baseline has this verdict. */
function namesOf(
  points: readonly PointFacts[],
  param: string,
  metric: string,
  verdict: string,
): string | undefined {
  return listed(
    points.flatMap((p) => (p.change(metric)?.verdict === verdict ? [String(p.params[param])] : [])),
  );
}

const functions: Story = {
  found: (f) => {
    const nat = (slf: number): PointFacts =>
      at(f, 'functions', { chain: 'paper-nat', slf, contender: 'per packet' });
    const own = (slf: number): PointFacts =>
      at(f, 'functions', { chain: 'modern', slf, contender: 'per packet' });
    return together(
      say`The paper’s NAT takes ${nat(1).told(cost)} a packet at SLF 1 and ${nat(32).told(cost)} at SLF 32.`,
      say`The modern chain takes ${own(1).told(cost)} and ${own(32).told(cost)}: with hashed tables there is less to save.`,
    );
  },
  figures: ['function-cost'],
};

const held: Story = {
  found: (f) => {
    const points = f.part('functions-held').points({ contender: '64us' });
    const adaptive = f.part('functions-held').points({ contender: 'adaptive' });
    const [better, worse] = ['better', 'worse'].map((v) => namesOf(points, 'chain', cost, v));
    return together(
      say`Behind T = 64 µs these cost less: ${better}.`,
      say`These cost more, for a function this cheap saves less than the stage takes: ${worse}.`,
      say`The adaptive policy still costs something before ${namesOf(adaptive, 'chain', cost, 'worse')}.`,
    );
  },
  figures: ['functions-held'],
};

const lookAhead: Story = {
  found: (f) => {
    const points = f.part('look-ahead').points({ stage: '64us', contender: 'looking ahead' });
    return together(
      say`Asking ahead for headers and state saves time in ${namesOf(points, 'chain', cost, 'better')}.`,
      say`It does not in ${namesOf(points, 'chain', cost, 'no change')}.`,
      say`It costs time in ${namesOf(points, 'chain', cost, 'worse')}.`,
      say`Not decided: ${namesOf(points, 'chain', cost, 'undecided')}.`,
    );
  },
  figures: ['look-ahead'],
};

const fixedRate: Story = {
  found: (f) => {
    const [off, held_] = [
      at(f, 'fixed-rate', { chain: 'paper', contender: 'off' }),
      at(f, 'fixed-rate', { chain: 'paper', contender: '64us' }),
    ];
    const change = held_.change('meanUs');
    return together(
      told(change, {
        better: say`Close to its limit the chain’s mean latency falls from ${off.told('meanUs')} to ${held_.told('meanUs')} with T = 64 µs: queues that no longer build up outweigh the hold.`,
        worse: say`Close to its limit the chain’s mean latency rises from ${off.told('meanUs')} to ${held_.told('meanUs')} with T = 64 µs.`,
        same: say`The mean latency does not change: ${held_.told('meanUs')}.`,
        open: say`Mean latency is ${off.told('meanUs')} without and ${held_.told('meanUs')} with T = 64 µs; that they differ is not decided.`,
      }),
      say`Without the hold it would be ${held_.told('ownP50Us')} in the median.`,
    );
  },
  figures: ['fixed-rate-mean'],
};

const zeroLoss: Story = {
  found: (f) => {
    const [off, held_] = [
      at(f, 'zero-loss', { contender: 'off' }),
      at(f, 'zero-loss', { contender: '64us' }),
    ];
    return say`No ring overflows up to ${off.told('zeroLossGbps')} without Reframer and up to ${held_.told('zeroLossGbps')} with T = 64 µs.`;
  },
  figures: ['zero-loss'],
};

const load: Story = {
  found: (f) => {
    const point = (offeredGbps: number, contender: string): PointFacts =>
      at(f, 'load', { offeredGbps, contender });
    const low = point(10, '64us').change('p50Us');
    return together(
      told(low, {
        worse: say`At 10 Gbps holding is pure cost: the median latency is ${point(10, '64us').told('p50Us')} with T = 64 µs and ${point(10, 'off').told('p50Us')} without.`,
        open: say`At 10 Gbps the median latency is ${point(10, '64us').told('p50Us')} with T = 64 µs and ${point(10, 'off').told('p50Us')} without.`,
      }),
      say`At 70 Gbps it is ${point(70, '64us').told('p50Us')} against ${point(70, 'off').told('p50Us')}, and ${point(70, '64us').told('dropPercent')} of the packets are lost against ${point(70, 'off').told('dropPercent')}.`,
      say`The adaptive policy has a median of ${point(10, 'adaptive').told('p50Us')} at 10 Gbps.`,
    );
  },
  figures: ['load-throughput', 'load-p50'],
};

const ownCores: Story = {
  found: (f) => {
    const [front, inside] = [
      at(f, 'own-cores', { contender: '64us, 8 in front' }),
      at(f, 'own-cores', { contender: '64us' }),
    ];
    const change = front.change(gbps);
    return together(
      told(change, {
        better: say`Eight more cores that do nothing but Reframer raise the chain’s throughput by ${change?.size}, to ${front.told(gbps)}.`,
        same: say`Eight more cores that do nothing but Reframer bring nothing.`,
        worse: say`Eight more cores that do nothing but Reframer cost throughput (${change?.percent}).`,
      }),
      say`For each core that is paid for that is ${front.told('perCoreGbps')}, and ${inside.told('perCoreGbps')} with Reframer on the chain’s own cores.`,
    );
  },
  figures: ['own-cores'],
};

const flows: Story = {
  found: (f) => {
    const change = (count: number) =>
      at(f, 'flows', { chain: 'paper', flows: count, contender: '64us' }).change(gbps);
    return together(
      say`With 1,000 flows T = 64 µs brings ${change(1e3)?.percent}, with 100,000 ${change(1e5)?.percent}.`,
      told(change(1e7), {
        worse: say`With ten million it costs ${change(1e7)?.size}: no two packets of a flow meet within the hold.`,
        same: say`With ten million it brings nothing and costs nothing: no two packets of a flow meet within the hold.`,
        open: say`With ten million nothing is decided.`,
      }),
    );
  },
  figures: ['flows'],
};

const cores: Story = {
  found: (f) => {
    const change = (count: number) =>
      at(f, 'cores', { cores: count, contender: '128us' }).change(gbps);
    return together(
      say`T = 128 µs brings ${change(1)?.percent} on one core and ${change(8)?.percent} on eight, where the offered 70 Gbps end it.`,
      say`A core’s queue sees fewer flows the more cores there are, so rows are longer even without Reframer.`,
    );
  },
  figures: ['cores'],
};

const worst: Story = {
  found: (f) => {
    const points = f.part('worst').points({ chain: 'paper', contender: '64us' });
    const losses = points.flatMap((p) => {
      const change = p.change(gbps);
      return change?.verdict === 'worse' ? [`${String(p.params.traffic)} (${change.percent})`] : [];
    });
    const spared = f.part('worst').points({ chain: 'paper', contender: 'adaptive' });
    return together(
      say`T = 64 µs costs the paper’s chain throughput under ${listed(losses)}.`,
      say`It gains under ${namesOf(points, 'traffic', gbps, 'better')}.`,
      say`The adaptive policy loses under ${namesOf(spared, 'traffic', gbps, 'worse')}.`,
    );
  },
  figures: ['worst'],
};

const policies: Story = {
  found: (f) => {
    const names = [
      '64us',
      'FIN, RST, PSH end the wait',
      'SYN passes',
      'new flows pass',
      'ACKs thinned',
    ];
    const each = names.flatMap((contender) => {
      const change = at(f, 'policies', { contender }).change(gbps);
      return change === undefined
        ? []
        : [`${contender === '64us' ? 'T = 64 µs alone' : contender} ${change.percent}`];
    });
    return say`Against no Reframer: ${listed(each)}.`;
  },
  figures: ['policies'],
};

const keys: Story = {
  found: (f) => {
    const change = (chain: string, contender: string) =>
      at(f, 'keys', { chain, contender }).change(gbps);
    return together(
      say`Before the paper’s chain the 5-tuple brings ${change('paper', '5tuple')?.percent}, the destination alone ${change('paper', 'destination')?.percent}.`,
      say`The router, which looks at destinations only, gains ${change('paper-router', 'destination')?.percent} by destination and ${change('paper-router', '5tuple')?.percent} by 5-tuple.`,
    );
  },
  figures: ['keys'],
};

const sensitive: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts =>
      at(f, 'sensitive', { offeredGbps: 70, contender });
    return together(
      say`At 70 Gbps a packet of the class waits ${point('off').told('sensitiveMeanUs')} on average without Reframer, ${point('all wait').told('sensitiveMeanUs')} when all wait, and ${point('UDP passes').told('sensitiveMeanUs')} when the class passes.`,
      say`The chain then carries ${point('UDP passes').told(gbps)}, and ${point('all wait').told(gbps)} when all wait.`,
    );
  },
  figures: ['sensitive-mean'],
};

const queues: Story = {
  found: (f) => {
    const point = (count: number, contender: string): PointFacts =>
      at(f, 'rx-queues', { queues: count, contender });
    return say`Eight queues see ${point(8, 'off').bare('slfIn')} packets of a flow in a row, 64 see ${point(64, 'off').bare('slfIn')}; Reframer on eight makes ${point(8, '64us').bare('slfOut')}.`;
  },
  figures: ['rx-queues-slf'],
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
  policies,
  keys,
  sensitive,
  'rx-queues': queues,
};

export const furtherCaptions: Readonly<Record<string, Say>> = {
  'function-cost': () =>
    say`The longer the rows, the less a packet costs; tables that hash save least.`,
  'functions-held': () =>
    say`Single functions that work once a run, without Reframer and behind it.`,
  'fixed-rate-mean': () => say`Mean latency by T at 0.93 of what the chain carries unaided.`,
  'zero-loss': () => say`Highest offered rate at which no ring overflows.`,
  'load-throughput': () => say`Until a configuration’s limit, throughput is the offered load.`,
  'load-p50': () => say`What holding costs at low load it saves near the limit.`,
  'own-cores': () => say`Reframer on the chain’s cores, and on cores in front of them.`,
  flows: () => say`The gain ends where no two packets of a flow meet within T.`,
  cores: () => say`Throughput by cores that run one after another, 70 Gbps offered.`,
  worst: () => say`The paper’s chain under traffic that leaves little to gain.`,
  policies: () => say`Throughput when some packets must not wait, and with ACKs thinned.`,
  keys: () => say`Throughput by what packets are grouped by.`,
  'sensitive-mean': () => say`Mean latency of the class, by who waits.`,
  'rx-queues-slf': () => say`More receive queues lengthen rows, too.`,
};
