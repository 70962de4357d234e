// Published ratios, and aims of our own.
import { ownTarget, type Claim, type Params } from '../core/types.js';
import { shownName } from '../story/names.js';
import { fajita, ours } from './contenders.js';

const paper = 'FAJITA, CoNEXT’24 result files, eval-v2';
const manyFlows = 2 ** 22;

const published = (id: string, text: string, metric: string, value: number): Claim => ({
  id,
  text,
  source: paper,
  unit: 'times',
  published: value,
  tolerance: 0.25,
  kind: 'near',
  measured: { part: 'styles', metric, at: { flows: manyFlows, contender: fajita } },
});

const aim = (
  id: string,
  text: string,
  value: number,
  unit: string,
  kind: 'at-least' | 'at-most',
  part: string,
  metric: string,
  at: Params,
): Claim => ({
  id,
  text,
  source: ownTarget,
  unit,
  published: value,
  tolerance: 0,
  kind,
  measured: { part, metric, at },
});

export const claims: readonly Claim[] = [
  published(
    'fajita-over-rebuilt',
    'FAJITA style over batches cut and rebuilt, 3 functions',
    'overRebuilt',
    1.8,
  ),
  published(
    'fajita-over-tables',
    'FAJITA style over one table per function, 3 functions',
    'overTables',
    2.57,
  ),
  aim(
    'over-rebuilt',
    'Flow block over batches cut and rebuilt, 4 M flows without locality, 3 functions',
    1.8,
    'times',
    'at-least',
    'styles',
    'overRebuilt',
    { flows: manyFlows, contender: ours },
  ),
  aim(
    'over-fajita',
    'Flow block over the FAJITA style in the same rounds',
    1.3,
    'times',
    'at-least',
    'styles',
    'overPooled',
    { flows: manyFlows, contender: ours },
  ),
  ...[
    [2, 'load balancer'],
    [3, 'rate limiter'],
    [4, 'NAT'],
    [5, 'connection firewall'],
  ].map(([functions, name]) =>
    aim(
      `marginal-${functions}`,
      `Cost of a ${name} per packet, as function ${functions} of a flow block`,
      8,
      'ns',
      'at-most',
      'functions',
      'marginalNs',
      { contender: ours, functions: Number(functions) },
    ),
  ),
  aim(
    'flows',
    'Packet rate that the flow block loses from 16 k to 4 M flows',
    16,
    '%',
    'at-most',
    'styles',
    'lossPercent',
    { contender: ours, flows: manyFlows },
  ),
  ...(['campus', 'trains'] as const).flatMap((locality) =>
    (['T = 16 µs', 'T = 64 µs', 'adaptive'] as const).map((hold) =>
      aim(
        `${locality}-${hold === 'adaptive' ? hold : hold.slice(4, 6)}`,
        `Flow block with runs, ${hold}, over the FAJITA style, ${shownName(locality, 'locality')}`,
        1.5,
        'times',
        'at-least',
        'locality',
        'overPooled',
        { locality, contender: `${ours}, ${hold}` },
      ),
    ),
  ),
  aim(
    'expiry',
    'Cost of expiry per packet of the flow block',
    1,
    'ns',
    'at-most',
    'expiry',
    'expiryNs',
    { contender: ours },
  ),
];
