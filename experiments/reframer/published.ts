// The published values, as points of our parts.
import { readPublished } from '../core/published.js';
import type { Params, ParamValue, PublishedRow } from '../core/types.js';

type Cells = Readonly<Record<string, string | number>>;

const delayed = (us: number): string => (us === 0 ? 'off' : `${us}us`);

/** Every numeric column that is a metric of ours, at the point that `params` gives. */
function rowsOf(
  file: string,
  part: string,
  metricNames: readonly string[],
  params: (row: Cells) => Params | undefined,
): PublishedRow[] {
  return readPublished(file).rows.flatMap((row) => {
    const at = params(row);
    if (at === undefined) return [];
    return metricNames.flatMap((metric) =>
      typeof row[metric] === 'number' ? [{ part, params: at, metric, value: row[metric] }] : [],
    );
  });
}

// What of the published functions has the same structure here; their firewall without a cache has none.
const functionOf: Readonly<Record<string, string>> = {
  nat: 'paper-nat',
  'firewall-cache': 'paper-firewall',
};

const sources: readonly (() => PublishedRow[])[] = [
  () =>
    rowsOf(
      'reframer-motivation-nf.csv',
      'functions',
      ['cyclesPerPacket', 'throughputGbps', 'meanUs'],
      (row) => {
        const chain = functionOf[String(row.function)];
        return chain === undefined
          ? undefined
          : { chain, slf: Number(row.slf), contender: 'per packet' };
      },
    ),
  () =>
    rowsOf('reframer-motivation-chain.csv', 'motivation', ['throughputGbps', 'meanUs'], (row) => ({
      chain: 'paper',
      slf: Number(row.slf),
      contender: 'per packet',
    })),
  // The level T = 0 is our `off`; the paper's chain only.
  () =>
    rowsOf(
      'reframer-in-chain.csv',
      'overload',
      ['throughputGbps', 'slfOut', 'cyclesPerPacket', 'p50Us'],
      (row) => ({ chain: 'paper', contender: delayed(Number(row.delayUs)) }),
    ),
  () =>
    rowsOf(
      'reframer-fixed-rate.csv',
      'fixed-rate',
      ['meanUs', 'p50Us', 'p95Us', 'p99Us'],
      (row) => ({ chain: 'paper', contender: delayed(Number(row.delayUs)) }),
    ),
  // The load sweep that was published stood behind a server of its own: eight cores, six of them for this direction.
  () =>
    rowsOf(
      'reframer-off-chain.csv',
      'own-cores',
      ['throughputGbps', 'cyclesPerPacket', 'dropPercent', 'p50Us', 'p99Us'],
      (row) => {
        const us = Number(row.delayUs);
        return { contender: us === 0 ? 'off' : `${us}us, 8 in front` };
      },
    ),
  // The same at the lowest load: the penalty of holding is the same wherever the holding is done.
  () =>
    rowsOf('reframer-off-chain-low-load.csv', 'load', ['meanUs', 'p50Us'], (row) => ({
      offeredGbps: 10,
      contender: delayed(Number(row.delayUs)),
    })),
  // Throughput is not ours to compare: our queues have a core each, theirs shared eight.
  // Without Reframer the SLF at the chain is that at the ring.
  () =>
    rowsOf('reframer-rx-queues.csv', 'rx-queues', ['slfIn'], (row) =>
      row.delayUs === 0 ? { queues: Number(row.queues), contender: 'off' } : undefined,
    ).map((row) => ({ ...row, metric: 'slfOut' })),
  // Thirty segments are 70 Gbps. Their class is the small flows, ours UDP.
  () =>
    readPublished('reframer-sensitive-flows.csv').rows.flatMap((row) => {
      if (row.segments !== 30) return [];
      const at = (contender: string): Params => ({ offeredGbps: 70, contender });
      if (row.class === 'large')
        return [
          {
            part: 'sensitive',
            params: at('UDP passes'),
            metric: 'meanUs',
            value: Number(row.meanUs),
          },
        ];
      return [
        {
          part: 'sensitive',
          params: at('off'),
          metric: 'sensitiveMeanUs',
          value: Number(row.unbufferedMeanUs),
        },
        {
          part: 'sensitive',
          params: at('UDP passes'),
          metric: 'sensitiveMeanUs',
          value: Number(row.meanUs),
        },
      ];
    }),
  () =>
    readPublished('reframer-scalability.csv').rows.flatMap((row) => {
      const at = (contender: string): Record<string, ParamValue> => ({
        cores: Number(row.cores),
        contender,
      });
      return [
        {
          part: 'cores',
          params: at('off'),
          metric: 'throughputGbps',
          value: Number(row.throughputGbps),
        },
        {
          part: 'cores',
          params: at('128us'),
          metric: 'throughputGbps',
          value: Number(row.reframedGbps),
        },
      ];
    }),
];

export const published = (): readonly PublishedRow[] => sources.flatMap((rows) => rows());
