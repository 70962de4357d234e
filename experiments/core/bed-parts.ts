// What parts on a bed have in common: how long they load it, and what they say where it lacks something.
import type { BedFacts, JsonObject, Metric, Plan, RunOptions } from './types.js';

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

export const needsGenerator = ({ generator, tester }: BedFacts): Lack =>
  generator
    ? undefined
    : `needs a tester that sends the suite's campus traffic; ${tester} sends its own`;

/** The specification of a trial on a bed; with a lack it is left out, and the report says the first. */
export function bedSpec(
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
    source: { profile: 'campus' },
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
  gbps('askedGbps', 'asked of the tester', 'askedBps'),
  gbps('sentGbps', 'sent by the tester', 'offeredBps'),
];
