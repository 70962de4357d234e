// The published values, as points of our parts.
import { readPublished } from '../core/published.js';
import type { ParamValue, PublishedRow, ShapeClaim } from '../core/types.js';
import { chains } from './chains.js';
import { dropLoads } from './load.js';
import { stateFrameBits } from './state.js';

const contenderOf: Readonly<Record<string, string>> = {
  rss: 'static RSS',
  rsspp: 'RSS++ greedy',
  sprayer: 'sprayer',
  sw_rr_queues: 'software round robin',
  sw_stateful_rr: 'software, flows in turn',
  sw_stateful_load: 'software, least load',
  traffic_class_metron: 'traffic classes, 500 ms',
};

type Cells = Record<string, string | number>;
const number = (row: Cells, name: string): number => Number(row[name]);
const contender = (row: Cells): string => contenderOf[String(row.method)] ?? String(row.method);

function imbalance(): PublishedRow[] {
  return readPublished('rsspp-imbalance.csv').rows.flatMap((row) => {
    const params: Record<string, ParamValue> = {
      trace: String(row.trace),
      contender: contender(row),
    };
    const value = number(row, 'p50Percent');
    const byCores: PublishedRow = {
      part: 'imbalance-cores',
      params: { ...params, cores: number(row, 'cores') },
      metric: 'imbalancePercent',
      value,
    };
    return number(row, 'cores') === 8
      ? [byCores, { part: 'imbalance-methods', params, metric: 'imbalancePercent', value }]
      : [byCores];
  });
}

// Mean load of a core at these speeds, from the published load experiment.
const loadOfSpeed: Readonly<Record<number, number>> = { 90: 0.74, 105: 0.82 };

function latency(): PublishedRow[] {
  return readPublished('rsspp-latency-quantiles.csv').rows.flatMap((row) => {
    const load = loadOfSpeed[number(row, 'replayPercent')];
    // At 105 % the set of one run is the one that the claim rests on.
    if (load === undefined || (load === 0.82 && row.runSet !== 'loadvslatcdf')) return [];
    return (['p50Us', 'p95Us', 'p99Us'] as const).map((metric) => ({
      part: 'latency',
      params: { load, contender: contender(row) },
      metric,
      value: number(row, metric),
    }));
  });
}

function drops(): PublishedRow[] {
  return readPublished('rsspp-drops.csv').rows.flatMap((row) => {
    return dropLoads
      .filter(([speed]) => speed === number(row, 'replayPercent'))
      .map(([, , load]) => ({
        part: 'drops',
        params: { load, contender: contender(row) },
        metric: 'dropKpps',
        value: number(row, 'meanKpps'),
      }));
  });
}

function autoscale(): PublishedRow[] {
  const { rows } = readPublished('rsspp-autoscale.csv');
  const mean = (name: string): number =>
    rows.reduce((sum, row) => sum + number(row, name), 0) / rows.length;
  return [
    {
      part: 'autoscale',
      params: { contender: 'greedy, published rule' },
      metric: 'meanCores',
      value: mean('coresRsspp'),
    },
    {
      part: 'autoscale',
      params: { contender: 'traffic classes, 500 ms' },
      metric: 'meanCores',
      value: mean('coresMetron'),
    },
    { part: 'autoscale', params: { contender: 'fixed RSS' }, metric: 'meanCores', value: 15 },
  ];
}

const chainRows = (chain: string, file: string): Cells[] =>
  readPublished(file).rows.filter((row) => row.chain === chain || row.workload === chain);

export function oneCoreGbps(chain: string): number {
  const [, workload, file] = chains.find(([name]) => name === chain) ?? chains[0];
  const row = chainRows(workload, file).find((r) => r.method === 'rss' && r.cores === 1);
  if (row === undefined) throw new Error(`${file} has no value of one core for ${workload}`);
  return number(row, 'throughputGbps');
}

function throughput(): PublishedRow[] {
  return chains.flatMap(([chain, workload, file]) =>
    chainRows(workload, file).map((row) => ({
      part: 'throughput',
      params: { chain, cores: number(row, 'cores'), contender: contender(row) },
      metric: 'carriedGbps',
      value: number(row, 'throughputGbps'),
    })),
  );
}

const stateOf: Readonly<Record<string, string>> = {
  shared_table: 'shared, locked',
  per_bucket_tables: 'per bucket',
};

function state(): PublishedRow[] {
  return readPublished('rsspp-migration.csv').rows.map((row) => ({
    part: 'state',
    params: {
      cores: number(row, 'cores'),
      call: 1,
      contender: stateOf[String(row.table)] ?? String(row.table),
    },
    metric: 'mpps',
    value: (number(row, 'throughputGbps') * 1e3) / stateFrameBits,
  }));
}

export const published = (): PublishedRow[] => [
  ...imbalance(),
  ...latency(),
  ...drops(),
  ...autoscale(),
  ...throughput(),
  ...state(),
];

// Another draw of the same distributions: a third up or down is the same shape.
const shapeTolerance = 0.33;

function byCores(trace: 'campus' | 'campus4', method: string): ShapeClaim {
  const { rows, source } = readPublished('rsspp-imbalance.csv');
  const value = (cores: number): number =>
    Number(
      rows.find((row) => row.trace === trace && row.method === method && row.cores === cores)
        ?.p50Percent,
    );
  const at = (cores: number): Record<string, ParamValue> => ({
    trace,
    cores,
    contender: contenderOf[method] ?? method,
  });
  const [first, ...rest] = [4, 8, 16] as const;
  return {
    id: `shape-imbalance-${method}-${trace}`,
    text: `Imbalance of ${contenderOf[method]} by cores over that of ${first}, ${trace === 'campus' ? 'Campus' : 'Campus #4'}`,
    source: source.replace(/[.;]\s*\w*\.?$/, ''),
    tolerance: shapeTolerance,
    part: 'imbalance-cores',
    metric: 'imbalancePercent',
    from: { at: at(first), published: value(first) },
    steps: rest.map((cores) => ({
      label: `${cores} cores`,
      at: at(cores),
      published: value(cores),
    })),
  };
}

export const shapes = (): readonly ShapeClaim[] => [
  byCores('campus4', 'rss'),
  byCores('campus4', 'rsspp'),
];

/** Growth from one core to two with state per bucket, over that with a shared table. */
export function publishedGrowth(): number {
  const { rows } = readPublished('rsspp-migration.csv');
  const at = (table: string, cores: number): number =>
    Number(rows.find((row) => row.table === table && row.cores === cores)?.throughputGbps);
  const growth = (table: string): number => at(table, 2) / at(table, 1);
  return growth('per_bucket_tables') / growth('shared_table');
}

/** Drops of RSS++ as a share of those of static RSS, percent. */
export function publishedDropShare(speed: number): number {
  const { rows } = readPublished('rsspp-drops.csv');
  const at = (method: string): number =>
    Number(rows.find((row) => row.method === method && row.replayPercent === speed)?.meanKpps);
  return (at('rsspp') / at('rss')) * 100;
}
