// What the report says of release policies, grouping keys, classes, queues, and captures.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at, changed } from '../story/ask.js';
import { listed, say, together, told, when } from '../story/say.js';

const gbps = 'throughputGbps';

const policies: Story = {
  found: (f) => {
    const held = at(f, 'policies', { contender: '64us' }).change(gbps);
    const others = ['FIN, RST, PSH end the wait', 'SYN passes', 'new flows pass', 'ACKs thinned'];
    const each = others.flatMap((contender) => {
      const change = at(f, 'policies', { contender }).change(gbps);
      return change === undefined ? [] : [`${change.percent} (${contender})`];
    });
    return together(
      say`T = 64 µs alone changes the throughput by ${held?.percent}.`,
      say`With exceptions the change is ${listed(each)}.`,
    );
  },
  figures: ['policies'],
};

const keys: Story = {
  found: (f) => {
    const change = (chain: string, contender: string): string | undefined =>
      at(f, 'keys', { chain, contender }).change(gbps)?.percent;
    return together(
      say`In front of the paper’s chain, grouping by 5-tuple changes the throughput by ${change('paper', '5tuple')} and grouping by destination by ${change('paper', 'destination')}.`,
      say`In front of its firewall alone it is ${change('paper-firewall', '5tuple')} and ${change('paper-firewall', 'destination')}.`,
      when(
        (at(f, 'keys', { chain: 'paper-router', contender: 'off' }).value('dropPercent') ?? 1) <
          0.1,
        'The router alone carries all that is offered, so no key can bring anything there.',
        say`In front of the router, which looks at destinations only, it is ${change('paper-router', '5tuple')} and ${change('paper-router', 'destination')}.`,
      ),
    );
  },
  figures: ['keys'],
};

const classAt = (f: Facts, contender: string): PointFacts =>
  at(f, 'sensitive', { offeredGbps: 70, contender });

const sensitive: Story = {
  found: (f) => {
    const mean = (contender: string): string | undefined =>
      classAt(f, contender).told('sensitiveMeanUs');
    return together(
      say`The class is UDP. At 70 Gbps its mean latency is ${mean('off')} without Reframer, ${mean('all wait')} if every packet waits, and ${mean('UDP passes')} if the class passes.`,
      say`The chain then carries ${classAt(f, 'UDP passes').told(gbps)}, against ${classAt(f, 'all wait').told(gbps)} if every packet waits and ${classAt(f, 'off').told(gbps)} without Reframer.`,
    );
  },
  figures: ['sensitive-mean'],
};

const queues: Story = {
  found: (f) => {
    const slf = (count: number, contender: string, metric: string): string | undefined =>
      at(f, 'rx-queues', { queues: count, contender }).bare(metric);
    return together(
      say`The SLF at the ring is ${slf(8, 'off', 'slfIn')} with eight queues and ${slf(64, 'off', 'slfIn')} with 64.`,
      say`Reframer on eight queues reaches ${slf(8, '64us', 'slfOut')}.`,
    );
  },
  figures: ['rx-queues-slf'],
};

const captures: Story = {
  found: (f) => {
    const each = f
      .part('captures')
      .points({ rate: 'native', delayUs: 0 })
      .flatMap((point) => {
        const trace = point.params.trace ?? '';
        const held = at(f, 'captures', { trace, rate: 'native', delayUs: 64 });
        return (
          say`${String(trace)} has an SLF of ${point.bare('slf')}, and T = 64 µs would raise it to ${held.bare('slf')}` ??
          []
        );
      });
    return say`At the rate at which they were captured, ${listed(each)}.`;
  },
  figures: ['capture-locality'],
};

const captureChain: Story = {
  found: (f) => {
    const points = f.part('capture-chain').points({ chain: 'paper', contender: '64us' });
    const held = points.map((p) => p.change(gbps));
    return together(
      say`T = 64 µs raises the throughput of the paper’s chain on ${changed(points, 'trace', gbps, 'better')}.`,
      say`It lowers it on ${changed(points, 'trace', gbps, 'worse')}.`,
      told(held.length === 1 ? held[0] : undefined, {
        same: say`T = 64 µs does not change the throughput of the paper’s chain.`,
        open: say`Whether T = 64 µs changes the throughput of the paper’s chain is undecided (${held[0]?.span}).`,
      }),
    );
  },
  figures: ['capture-throughput'],
};

export const policyStories: Readonly<Record<string, Story>> = {
  policies,
  keys,
  sensitive,
  'rx-queues': queues,
  captures,
  'capture-chain': captureChain,
};

export const policyCaptions: Readonly<Record<string, Say>> = {
  policies: (f) => {
    const gain = (contender: string): string | undefined =>
      at(f, 'policies', { contender }).change(gbps)?.percent;
    return (
      say`T = 64 µs alone brings ${gain('64us')}; if FIN, RST and PSH end the wait it is ${gain('FIN, RST, PSH end the wait')}, if new flows pass ${gain('new flows pass')}.` ??
      say`Throughput by release policy.`
    );
  },
  keys: (f) => {
    const gain = (contender: string): string | undefined =>
      at(f, 'keys', { chain: 'paper', contender }).change(gbps)?.percent;
    return (
      say`In front of the paper’s chain the 5-tuple brings ${gain('5tuple')}, the destination alone ${gain('destination')}.` ??
      say`Throughput by grouping key.`
    );
  },
  'sensitive-mean': (f) =>
    say`At 70 Gbps, letting UDP pass takes its mean latency from ${classAt(f, 'all wait').told('sensitiveMeanUs')} to ${classAt(f, 'UDP passes').told('sensitiveMeanUs')}.` ??
    say`Mean latency of the class, by who waits.`,
  'rx-queues-slf': (f) =>
    say`64 receive queues take the SLF to ${at(f, 'rx-queues', { queues: 64, contender: 'off' }).bare('slfIn')}; Reframer on eight reaches ${at(f, 'rx-queues', { queues: 8, contender: '64us' }).bare('slfOut')}.` ??
    say`SLF at the chain by the number of receive queues.`,
  'capture-locality': () => say`SLF of each capture by buffering time and replay rate.`,
  'capture-throughput': () => say`Throughput of the paper’s chain on your captures.`,
};
