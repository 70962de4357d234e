// What the report says of cores, concurrent flows and traffic chosen against Reframer.
import type { Change, Facts, PointFacts, Say, Story } from '../core/story.js';
import { at, changed, named } from '../story/ask.js';
import { listed, say, together, told, when } from '../story/say.js';

const gbps = 'throughputGbps';

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
      say`Counting the cores in front, that is ${front?.told('perCoreGbps')} a core, against ${inside?.told('perCoreGbps')} with Reframer on the chain’s own cores.`,
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

const flowsAt = (f: Facts, count: number): PointFacts =>
  at(f, 'flows', { chain: 'paper', flows: count, contender: '64us' });

/** "100,000", "ten million". */
const countOf = (count: number): string =>
  count === 1e6 ? 'a million' : count === 1e7 ? 'ten million' : count.toLocaleString('en-US');

const flows: Story = {
  found: (f) => {
    const change = (count: number): Change | undefined => flowsAt(f, count).change(gbps);
    const modern = f.part('flows').points({ chain: 'modern', contender: '64us' });
    const losing = modern.flatMap((point) => {
      const lost = point.change(gbps);
      return lost?.verdict === 'worse'
        ? [`${lost.percent} with ${countOf(Number(point.params.flows))}`]
        : [];
    });
    return together(
      told(change(1e3), {
        better: say`With 1,000 flows T = 64 µs gains ${change(1e3)?.size}, at an SLF of ${flowsAt(f, 1e3).bare('slfOut')}.`,
        worse: say`With 1,000 flows T = 64 µs costs ${change(1e3)?.size}.`,
        same: say`With 1,000 flows T = 64 µs changes nothing.`,
        open: say`With 1,000 flows the change is undecided (${change(1e3)?.span}).`,
      }),
      ...[1e5, 1e7].map((count) =>
        told(change(count), {
          better: say`With ${countOf(count)} it still gains ${change(count)?.size}.`,
          worse: say`With ${countOf(count)} it costs ${change(count)?.size}: the SLF is ${flowsAt(f, count).bare('slfOut')}, so there is nothing to group.`,
          same: say`With ${countOf(count)} it neither gains nor costs.`,
          open: say`With ${countOf(count)}, where the SLF is ${flowsAt(f, count).bare('slfOut')}, the change is undecided (${change(count)?.span}).`,
        }),
      ),
      say`The modern chain loses (${listed(losing)}).`,
    );
  },
  figures: ['flows'],
};

/** The part on cores repeats, on eight, the trial of the first part: what the machine did between them. */
function drifted(f: Facts): string | undefined {
  const here = at(f, 'cores', { cores: 8, contender: 'off' });
  const first = at(f, 'overload', { chain: 'paper', contender: 'off' });
  const [now, before] = [here.value(gbps), first.value(gbps)];
  if (now === undefined || before === undefined) return undefined;
  return when(
    Math.abs(now / before - 1) > 0.1,
    say`Without Reframer the eight cores carry ${here.told(gbps)}, in the part at overload ${first.told(gbps)}: the machine’s speed drifted between parts, so only values of one part compare.`,
  );
}

const cores: Story = {
  found: (f) => {
    const change = (count: number): Change | undefined =>
      at(f, 'cores', { cores: count, contender: '128us' }).change(gbps);
    const slf = (count: number): string | undefined =>
      at(f, 'cores', { cores: count, contender: 'off' }).bare('slfOut');
    return together(
      say`T = 128 µs changes the throughput by ${change(1)?.percent} on one core, by ${change(8)?.percent} on eight and by ${change(16)?.percent} on sixteen.`,
      say`More queues mean fewer flows in each, so runs get longer even without Reframer: the SLF is ${slf(1)} on one core and ${slf(16)} on sixteen.`,
      drifted(f),
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
      say`T = 64 µs gains under ${changed(points('64us'), 'traffic', gbps, 'better')}.`,
      say`T = 64 µs changes nothing under ${named(points('64us'), 'traffic', gbps, 'no change')}.`,
      say`It is undecided whether T = 64 µs costs anything under ${named(points('64us'), 'traffic', gbps, 'open')}.`,
      say`Adaptive T loses under ${changed(points('adaptive'), 'traffic', gbps, 'worse')}.`,
    );
  },
  figures: ['worst'],
};

export const scaleStories: Readonly<Record<string, Story>> = {
  'own-cores': ownCores,
  flows,
  cores,
  worst,
};

const gainAt = (f: Facts, part: string, params: PointFacts['params']): string | undefined =>
  at(f, part, params).change(gbps)?.percent;

export const scaleCaptions: Readonly<Record<string, Say>> = {
  'own-cores': (f) =>
    say`Bars are medians; pair by pair, T = 64 µs brings ${gainAt(f, 'own-cores', { contender: '64us' })} on the chain’s own cores and ${gainAt(f, 'own-cores', { contender: '64us, 8 in front' })} on eight further cores in front.` ??
    say`Throughput with Reframer on the chain’s own cores, and on further cores in front.`,
  flows: (f) => {
    const few = flowsAt(f, 1e3).change(gbps);
    return (
      told(few, {
        better: say`Throughput by the number of concurrent flows; with 1,000 the paper’s chain gains ${few?.size} by T = 64 µs.`,
      }) ?? say`Throughput by the number of concurrent flows.`
    );
  },
  cores: (f) =>
    say`T = 128 µs changes the throughput by ${gainAt(f, 'cores', { cores: 1, contender: '128us' })} on one core and by ${gainAt(f, 'cores', { cores: 8, contender: '128us' })} on eight.` ??
    say`Throughput by the number of cores, 70 Gbps offered.`,
  worst: (f) => {
    const points = f.part('worst').points({ chain: 'paper', contender: '64us' });
    const [lost, gained] = (['worse', 'better'] as const).map((ending) =>
      named(points, 'traffic', gbps, ending),
    );
    const told = listed([
      ...(lost === undefined ? [] : [`loses under ${lost}`]),
      ...(gained === undefined ? [] : [`gains under ${gained}`]),
    ]);
    return (
      say`Throughput under traffic chosen against it: T = 64 µs ${told}.` ??
      say`Throughput under traffic chosen against it: T = 64 µs neither gains nor loses for certain.`
    );
  },
};
