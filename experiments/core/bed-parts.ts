// What parts on a bed have in common: how long they load it, and what they say where it lacks something.
import type { BedFacts, Experiment, JsonObject, Metric, Plan, RunOptions } from './types.js';

/**
 * The experiment as a report of a bed tells it. Published values are judged where their conditions are
 * rebuilt, on the virtual NIC: a bed has another link, other cores and another tester.
 */
export function toldOfBed(experiment: Experiment): Experiment {
  const { bed, abstract: _ofTheVirtualNic, ...rest } = experiment;
  if (bed === undefined) return experiment;
  return {
    ...rest,
    title: `${rest.title}, on a bed`,
    claims: [],
    shapes: [],
    ...bed,
    plan: (options) => {
      const plan = rest.plan(options);
      return { ...plan, parts: plan.parts.map(({ story: _story, ...part }) => part) };
    },
  };
}

export interface BedScale {
  warmupMs: number;
  windowMs: number;
}

/** A reason why this bed cannot run the part, in words; undefined where it can. */
export type Lack = string | undefined;

export const needsQueues = ({ queues }: BedFacts, least: number): Lack =>
  queues >= least
    ? undefined
    : `needs ${least} receive queues of the device under test, a core each; the bed has ${queues}`;

export const needsLatency = ({ latency, tester }: BedFacts): Lack =>
  latency ? undefined : `needs a tester that measures latency; ${tester} does not`;

/** The specification of a trial on a bed; with a lack it is left out, and the report says the first. */
export function bedSpec(
  { generator, tester }: BedFacts,
  trial: JsonObject,
  bps: number,
  { warmupMs, windowMs }: BedScale,
  lacks: readonly Lack[],
  more: JsonObject = {},
): JsonObject {
  const lack = lacks.find((each) => each !== undefined);
  return {
    trial,
    load: { bps, warmupMs, windowMs },
    // Testers of others send what they have: figures of two beds differ by that, too.
    source: generator ? { profile: 'campus' } : { tester },
    ...(lack === undefined ? {} : { lack }),
    ...more,
  };
}

/** Of the bed's link: no link carries its own rate of frames, preamble and gap come on top. */
export const shareOfLink = ({ linkGbps }: BedFacts, share: number): number =>
  Math.round(linkGbps * share * 1e9);

export function bedProfile({ profile }: RunOptions): { scale: BedScale; profile: Plan['profile'] } {
  const quick = profile === 'quick';
  return {
    scale: quick ? { warmupMs: 100, windowMs: 300 } : { warmupMs: 1000, windowMs: 5000 },
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.05,
          budgetSeconds: 240,
          trialSeconds: 2,
          oneByOne: true,
          warmup: { max: 0, drift: 0.05 },
        }
      : {
          name: 'full',
          blocks: { min: 5, max: 15 },
          precision: 0.02,
          budgetSeconds: 7200,
          trialSeconds: 9,
          warmup: { max: 1, drift: 0.05 },
        },
  };
}

const gbps = (key: string, label: string, path: string): Metric => ({
  key,
  label,
  unit: 'Gbps',
  direction: 'neutral',
  path,
  scale: 1e-9,
  digits: 2,
});

export const bedMetrics: readonly Metric[] = [
  {
    key: 'lossPercent',
    label: 'lost',
    unit: '%',
    direction: 'lower',
    path: 'lossShare',
    scale: 100,
    digits: 3,
  },
  {
    key: 'notCarried',
    label: 'share not carried',
    unit: '',
    direction: 'lower',
    path: 'notCarriedShare',
    digits: 5,
  },
  gbps('askedGbps', 'asked of the tester', 'askedBps'),
  gbps('sentGbps', 'sent by the tester', 'offeredBps'),
];

export const bedLimitations: readonly string[] = [
  'A trial warms up and measures by time; its packets are those that the tester sent in the window. Counts of both machines, from start to stop, stand in each record as bed.',
  'Latency is the tester’s: from before its send call to behind its receive call, so its own wait for a processor is in it. Where tester and device share processors, figures show that the bed works and tell nothing of the chain.',
  'A rate that the tester did not reach counts as not carried; over ports that push back instead of dropping, such as memif, a slow device makes the tester late and nothing is lost.',
];
