// What the report says of the first questions: the chain at overload, and why.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, told, when } from '../story/say.js';
import { furtherCaptions, furtherStories } from './story-further.js';
import { linuxCaptions, linuxStories } from './story-linux.js';

const gbps = 'throughputGbps';
const paperAt = (f: Facts, contender: string, part = 'overload'): PointFacts =>
  f.part(part).at({ chain: 'paper', contender });

function gainAtOverload(f: Facts): string | undefined {
  const [off, held] = [paperAt(f, 'off'), paperAt(f, '64us')];
  const change = held.change(gbps);
  return told(change, {
    better: say`With T = 64 µs the chain carries ${held.told(gbps)} instead of ${off.told(gbps)}, ${change?.times} as much (${change?.span}).`,
    worse: say`With T = 64 µs the chain carries ${held.told(gbps)} instead of ${off.told(gbps)}: less, not more (${change?.span}).`,
    same: say`With T = 64 µs the chain carries ${held.told(gbps)}, no more than the ${off.told(gbps)} without.`,
    open: say`With T = 64 µs the chain carries ${held.told(gbps)} and ${off.told(gbps)} without; the run does not decide whether they differ (${change?.span}).`,
  });
}

const overload: Story = {
  found: (f) => {
    const part = f.part('overload');
    const held = paperAt(f, '64us');
    const theirs = part.published({ chain: 'paper', contender: '64us' }, gbps);
    const without = part.published({ chain: 'paper', contender: 'off' }, gbps);
    const slf = [paperAt(f, 'off').bare('slfOut'), held.bare('slfOut')];
    const gain = paperAt(f, '64us').change(gbps)?.ratio;
    const cached = part.at({ chain: 'cached-rules', contender: '64us' }).change(gbps);
    const modern = part.at({ chain: 'modern', contender: '64us' }).change(gbps);
    return together(
      gainAtOverload(f),
      say`Published are ${without} and ${theirs} @packet-order.`,
      say`The reason is locality: the chain sees ${slf[1]} packets of a flow in a row instead of ${slf[0]}.`,
      say`At overload a core releases late, so T is not the hold: at T = 64 µs the median packet was held for ${held.told('holdP50Us')}.`,
      when(
        cached !== undefined &&
          gain !== undefined &&
          cached.verdict === 'better' &&
          cached.ratio > gain,
        say`A chain whose whole cost is a walk over rules behind a last-flow cache gains ${cached?.size}, more than any that also works on each packet.`,
      ),
      told(modern, {
        same: say`The modern chain carries this load unaided and gains nothing.`,
        open: say`Whether the modern chain, which carries this load unaided, gains anything is not decided.`,
      }),
    );
  },
  figures: ['throughput'],
  table: {
    caption: 'The paper’s chain at overload: what was asked for, what was held, what came out.',
    where: { chain: 'paper' },
    names: { contender: 'T' },
    metrics: {
      throughputGbps: 'throughput',
      slfOut: 'SLF',
      holdP50Us: 'median hold',
      p50Us: 'median latency',
      p99Us: 'p99',
      dropPercent: 'dropped',
    },
  },
};

const motivation: Story = {
  found: (f) => {
    const at = (slf: number): PointFacts =>
      f.part('motivation').at({ chain: 'paper', slf, contender: 'per packet' });
    const [one, many] = [at(1), at(32)];
    const ratio = (many.value(gbps) ?? Number.NaN) / (one.value(gbps) ?? Number.NaN);
    const runs = f
      .part('motivation')
      .at({ chain: 'paper', slf: 32, contender: 'per run' })
      .change(gbps);
    return together(
      Number.isFinite(ratio)
        ? say`From one to 32 packets of a flow in a row throughput grows ${ratio.toFixed(2)} times, from ${one.told(gbps)} to ${many.told(gbps)}.`
        : undefined,
      say`A packet costs ${one.told('cyclesPerPacket')} at SLF 1 and ${many.told('cyclesPerPacket')} at SLF 32: what is saved is the look-ups that a run shares.`,
      told(runs, {
        better: say`Working once a run instead of once a packet adds ${runs?.size} at SLF 32.`,
        same: say`Working once a run instead of once a packet adds nothing there.`,
      }),
    );
  },
  figures: ['motivation-throughput'],
};

const runs: Story = {
  found: (f) => {
    const tell = (chain: string, name: string): string | undefined => {
      const at = (contender: string): PointFacts =>
        f.part('overload-runs').at({ chain, contender });
      const change = at('64us').change(gbps);
      return told(change, {
        better: say`${name} carries ${at('64us').told(gbps)} with T = 64 µs instead of ${at('off').told(gbps)} (${change?.percent}).`,
        worse: say`${name} loses by it: ${at('64us').told(gbps)} with T = 64 µs, ${at('off').told(gbps)} without (${change?.percent}).`,
        same: say`${name} gains nothing: ${at('64us').told(gbps)} with T = 64 µs, ${at('off').told(gbps)} without.`,
        open: say`${name} is undecided: ${at('64us').told(gbps)} with T = 64 µs, ${at('off').told(gbps)} without (${change?.span}).`,
      });
    };
    return together(
      tell('paper', 'The paper’s chain'),
      tell('modern', 'The modern chain'),
      say`Both sides work once a run, without Reframer on the runs that arrive, so the gain is that of longer runs alone.`,
    );
  },
  figures: ['runs-throughput'],
};

const modern: Story = {
  found: (f) => {
    const at = (contender: string): PointFacts => f.part('overload-modern').at({ contender });
    const [held, adaptive] = [at('64us').change(gbps), at('adaptive').change(gbps)];
    return together(
      told(held, {
        better: say`Beyond its limit the modern chain carries ${at('64us').told(gbps)} with T = 64 µs and ${at('off').told(gbps)} without (${held?.percent}).`,
        worse: say`T = 64 µs costs the modern chain ${held?.size} of its throughput: what holding saves in its tables is less than the stage takes.`,
        same: say`T = 64 µs changes nothing: ${at('64us').told(gbps)} against ${at('off').told(gbps)}.`,
        open: say`Whether T = 64 µs changes anything is not decided: ${at('64us').told(gbps)} against ${at('off').told(gbps)} (${held?.span}).`,
      }),
      told(adaptive, {
        better: say`The adaptive policy gains ${adaptive?.size}.`,
        worse: say`The adaptive policy, which should step aside here, costs ${adaptive?.size}.`,
        same: say`The adaptive policy steps aside and costs nothing.`,
      }),
    );
  },
  figures: ['modern-throughput'],
};

export const abstract: Say = (f) => {
  const { counts } = f;
  const all = Object.values(counts.published).reduce((sum, n) => sum + n, 0);
  const failed = [
    ...((counts.published['falls short'] ?? 0) > 0
      ? [`${counts.published['falls short']} fall short`]
      : []),
    ...((counts.published.undecided ?? 0) > 0
      ? [`${counts.published.undecided} are undecided`]
      : []),
    ...((counts.published.exceeds ?? 0) > 0 ? [`${counts.published.exceeds} exceed it`] : []),
  ];
  const front = f.part('own-cores').at({ contender: '64us, 8 in front' }).change(gbps);
  const flood = f
    .part('worst')
    .at({ chain: 'paper', traffic: 'uniform, 100 k flows', contender: '64us' })
    .change(gbps);
  const low = f.part('load').at({ offeredGbps: 10, contender: '64us' });
  return together(
    say`Does a chain of network functions carry more when packets wait some microseconds to leave grouped by flow, as Packet Order Matters found? We repeat its experiments on one machine: the polling loop, Reframer and the chain are real, the network interface and its clock are simulated.`,
    gainAtOverload(f),
    told(front, {
      better: say`On cores of its own in front of the chain it gains ${front?.size}.`,
    }),
    say`At 10 Gbps, where there is nothing to gain, the median latency is ${low.told('p50Us')} with T = 64 µs.`,
    told(flood, {
      worse: say`Traffic without trains of packets loses ${flood?.size}.`,
      same: say`Traffic without trains of packets loses nothing.`,
    }),
    say`Of ${all} published values ${counts.published.reproduced ?? 0} are reproduced${failed.length > 0 ? `; ${String(listed(failed))}` : ''}.`,
  );
};

export const stories: Readonly<Record<string, Story>> = {
  overload,
  motivation,
  'overload-runs': runs,
  'overload-modern': modern,
  ...furtherStories,
  ...linuxStories,
};

export const captions: Readonly<Record<string, Say>> = {
  throughput: (f) => {
    const change = paperAt(f, '64us').change(gbps);
    return together(
      told(change, {
        better: say`Throughput by buffering time at 70 Gbps offered: ${change?.times} as much at T = 64 µs for the paper’s chain.`,
      }) ?? say`Throughput by buffering time at 70 Gbps offered, eight queues.`,
      say`Dashed: release at the end of each burst, and adaptive T.`,
    );
  },
  'motivation-throughput': () =>
    say`Longer rows of packets of a flow let the same chain carry more.`,
  'runs-throughput': () => say`Chains that work once a run, behind Reframer and without it.`,
  'modern-throughput': () => say`The modern chain at 1,000 Gbps offered, working once a packet.`,
  ...furtherCaptions,
  ...linuxCaptions,
};
