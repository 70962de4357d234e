// What the report says of the first questions: the chain at overload, and why.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at, pairedChange } from '../story/ask.js';
import { counted } from '../story/counts.js';
import { say, together, told, when } from '../story/say.js';
import { furtherCaptions, furtherStories } from './story-further.js';
import { behindLinux, linuxCaptions, linuxStories } from './story-linux.js';

const gbps = 'throughputGbps';
const paperAt = (f: Facts, contender: string, part = 'overload'): PointFacts =>
  at(f, part, { chain: 'paper', contender });

/** The answer to the paper's question, in one sentence. */
function gainAtOverload(f: Facts): string | undefined {
  const [off, held] = [paperAt(f, 'off'), paperAt(f, '64us')];
  const change = held.change(gbps);
  return told(change, {
    better: say`At 70 Gbps offered, T = 64 µs raises the chain’s throughput from ${off.told(gbps)} to ${held.told(gbps)} (${change?.percent} in the median pair; ${change?.span}).`,
    worse: say`At 70 Gbps offered, T = 64 µs lowers the chain’s throughput from ${off.told(gbps)} to ${held.told(gbps)} (${change?.percent} in the median pair; ${change?.span}).`,
    same: say`At 70 Gbps offered, T = 64 µs does not change the chain’s throughput: ${held.told(gbps)} with it and ${off.told(gbps)} without.`,
    open: say`At 70 Gbps offered, the chain carries ${held.told(gbps)} with T = 64 µs and ${off.told(gbps)} without; this run does not decide whether they differ (${change?.span}).`,
  });
}

function publishedGain(f: Facts): string | undefined {
  const value = (contender: string): string | undefined =>
    f.part('overload').published({ chain: 'paper', contender }, gbps);
  return say`The paper reports ${value('off')} and ${value('64us')} @packet-order.`;
}

const overload: Story = {
  found: (f) => {
    const part = f.part('overload');
    const held = paperAt(f, '64us');
    const [before, after] = [paperAt(f, 'off').bare('slfOut'), held.bare('slfOut')];
    const gain = held.change(gbps);
    const cached = part.at({ chain: 'cached-rules', contender: '64us' }).change(gbps);
    const modern = part.at({ chain: 'modern', contender: '64us' }).change(gbps);
    return together(
      gainAtOverload(f),
      publishedGain(f),
      when(
        gain?.verdict === 'better',
        say`The gain is one of locality: the chain sees runs of ${after} packets of a flow (SLF) instead of ${before}, and only the first packet of a run pays for the look-ups.`,
        say`Runs of a flow (SLF) grow from ${before} to ${after} packets.`,
      ),
      say`At overload T understates the hold, because a busy core releases late: with T = 64 µs the median packet waits ${held.told('holdP50Us')}.`,
      when(
        cached !== undefined &&
          gain !== undefined &&
          cached.verdict === 'better' &&
          cached.ratio > gain.ratio,
        say`A chain that only walks rules behind a last-flow cache gains more (${cached?.percent}): it does nothing else for a packet.`,
      ),
      told(modern, {
        better: say`The modern chain gains ${modern?.size}.`,
        worse: say`The modern chain loses ${modern?.size}.`,
        same: say`The modern chain carries this load unaided and gains nothing.`,
        open: say`The modern chain carries this load unaided; whether it gains is undecided.`,
      }),
    );
  },
  figures: ['throughput'],
  table: {
    caption: 'The paper’s chain at overload: T as set, the hold as measured, and the result.',
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

const motivationAt = (f: Facts, slf: number, contender = 'per packet'): PointFacts =>
  at(f, 'motivation', { chain: 'paper', slf, contender });

/** Throughput at SLF 32 over that at SLF 1. */
const growth = (f: Facts): string | undefined => {
  const [one, many] = [motivationAt(f, 1).value(gbps), motivationAt(f, 32).value(gbps)];
  return one === undefined || many === undefined || one <= 0 ? undefined : (many / one).toFixed(2);
};

const motivation: Story = {
  found: (f) => {
    const [one, many] = [motivationAt(f, 1), motivationAt(f, 32)];
    const runs = motivationAt(f, 32, 'per run').change(gbps);
    return together(
      say`From SLF 1 to SLF 32 the chain’s throughput grows by a factor of ${growth(f)}, from ${one.told(gbps)} to ${many.told(gbps)}.`,
      say`A packet costs ${one.told('cyclesPerPacket')} cycles at SLF 1 and ${many.told('cyclesPerPacket')} at SLF 32: the packets of a run share one walk over rules and tables.`,
      told(runs, {
        better: say`Processing a run at a time adds ${runs?.size} at SLF 32.`,
        worse: say`Processing a run at a time costs ${runs?.size} at SLF 32.`,
        same: say`Processing a run at a time adds nothing at SLF 32.`,
        open: say`Whether processing a run at a time adds anything at SLF 32 is undecided.`,
      }),
    );
  },
  figures: ['motivation-throughput'],
};

const runs: Story = {
  found: (f) => {
    const tell = (chain: string, name: string): string | undefined => {
      const point = (contender: string): PointFacts => at(f, 'overload-runs', { chain, contender });
      const [off, held] = [point('off').told(gbps), point('64us').told(gbps)];
      const change = point('64us').change(gbps);
      const size = pairedChange(point('off'), point('64us'), gbps);
      return told(change, {
        better: say`${name} gains: ${held} with T = 64 µs, ${off} without (${size}).`,
        worse: say`${name} loses: ${held} with T = 64 µs, ${off} without (${size}).`,
        same: say`${name} gains nothing: ${held} with T = 64 µs, ${off} without.`,
        open: say`${name} is undecided: ${held} with T = 64 µs, ${off} without (${change?.span}).`,
      });
    };
    return together(
      tell('paper', 'The paper’s chain'),
      tell('modern', 'The modern chain'),
      say`Both sides process a run at a time, so this is the effect of longer runs alone.`,
    );
  },
  figures: ['runs-throughput'],
};

const modern: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'overload-modern', { contender });
    const [off, held] = [point('off').told(gbps), point('64us').told(gbps)];
    const [fixed, adaptive] = [point('64us').change(gbps), point('adaptive').change(gbps)];
    return together(
      told(fixed, {
        better: say`Beyond its limit the modern chain gains: ${held} with T = 64 µs, ${off} without (${pairedChange(point('off'), point('64us'), gbps)}).`,
        worse: say`T = 64 µs costs the modern chain ${fixed?.size} of its throughput: holding saves less in its hashed tables than the stage takes.`,
        same: say`T = 64 µs changes nothing: ${held} with it and ${off} without.`,
        open: say`Whether T = 64 µs changes anything is undecided: ${held} with it and ${off} without (${fixed?.span}).`,
      }),
      told(adaptive, {
        better: say`The adaptive policy gains ${adaptive?.size}.`,
        worse: say`The adaptive policy, which should step aside here, costs ${adaptive?.size}.`,
        same: say`The adaptive policy steps aside and costs nothing.`,
        open: say`The cost of the adaptive policy is undecided (${adaptive?.span}).`,
      }),
    );
  },
  figures: ['modern-throughput'],
};

export const abstract: Say = (f) => {
  const { counts } = f;
  const modernGain = at(f, 'overload', { chain: 'modern', contender: '64us' }).change(gbps);
  const mixed = at(f, 'worst', {
    chain: 'paper',
    traffic: 'uniform, 100 k flows',
    contender: '64us',
  }).change(gbps);
  const low = (contender: string): string | undefined =>
    at(f, 'load', { offeredGbps: 10, contender }).told('p50Us');
  return together(
    say`Packet Order Matters (NSDI’22) holds packets for tens of microseconds, so that they leave grouped by flow, and finds that service chains then carry more. We rerun its experiments on one machine: polling loop, Reframer and chain are real; the NIC and its clock are simulated.`,
    gainAtOverload(f) ?? behindLinux(f),
    when(
      paperAt(f, 'off').value(gbps) !== undefined,
      say`Published are ${f.part('overload').published({ chain: 'paper', contender: 'off' }, gbps)} and ${f.part('overload').published({ chain: 'paper', contender: '64us' }, gbps)}.`,
    ),
    told(modernGain, {
      same: say`A chain with hashed tables carries this load unaided and gains nothing.`,
      worse: say`A chain with hashed tables loses ${modernGain?.size}.`,
    }),
    say`The price is latency where there is nothing to gain: at 10 Gbps the median rises from ${low('off')} to ${low('64us')}.`,
    told(mixed, {
      worse: say`Uniform traffic loses ${mixed?.size} of its throughput.`,
      same: say`Uniform traffic loses nothing.`,
    }),
    counted(counts.published, 'published values'),
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
  throughput: (f) =>
    together(
      told(paperAt(f, '64us').change(gbps), {
        better: say`At 70 Gbps offered, T = 64 µs raises the paper’s chain from ${paperAt(f, 'off').told(gbps)} to ${paperAt(f, '64us').told(gbps)}.`,
        worse: say`At 70 Gbps offered, T = 64 µs lowers the paper’s chain from ${paperAt(f, 'off').told(gbps)} to ${paperAt(f, '64us').told(gbps)}.`,
      }) ?? say`Throughput by buffering time at 70 Gbps offered, eight queues.`,
      say`Dashed green: grouping within a burst; dashed orange: adaptive T.`,
    ),
  'motivation-throughput': (f) =>
    say`The paper’s chain carries ${growth(f)} times as much at SLF 32 as at SLF 1. Published is another chain, on four cores at 1.2 GHz.` ??
    say`Throughput by the number of packets of a flow in a row.`,
  'runs-throughput': (f) => {
    const change = paperAt(f, '64us', 'overload-runs').change(gbps);
    return (
      say`Chains that process a run at a time: T = 64 µs changes the paper’s by ${change?.percent}.` ??
      say`Throughput of chains that process a run at a time.`
    );
  },
  'modern-throughput': (f) => {
    const change = at(f, 'overload-modern', { contender: '64us' }).change(gbps);
    return (
      told(change, {
        better: say`The modern chain at 1,000 Gbps offered gains ${change?.size} by T = 64 µs.`,
        worse: say`The modern chain at 1,000 Gbps offered loses ${change?.size} by T = 64 µs.`,
        same: say`The modern chain at 1,000 Gbps offered does not gain by holding.`,
      }) ?? say`The modern chain at 1,000 Gbps offered: the gain is undecided.`
    );
  },
  ...furtherCaptions,
  ...linuxCaptions,
};
