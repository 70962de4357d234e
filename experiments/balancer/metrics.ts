// Metrics of the balancer experiment; the jobs in native/src/lab/balancer say what they mean.
import type { Direction, Metric } from '../core/types.js';

const metric = (
  key: string,
  label: string,
  unit: string,
  digits: number,
  direction: Direction = 'lower',
): Metric => ({ key, label, unit, direction, path: key, digits });

export const metrics: readonly Metric[] = [
  { ...metric('nsPerPacket', 'time of a packet', 'ns', 1), gate: true },
  metric('cyclesPerPacket', 'cycles a packet', 'cycles', 0),
  { ...metric('broken', 'connections broken', '', 0), gate: true },
  metric('brokenPercent', 'connections broken', '%', 2),
  metric('worstSecondPercent', 'broken in the worst second, of those that began in it', '%', 1),
  metric('p50Ms', 'median completion', 'ms', 1),
  metric('p99Ms', '99th percentile of completion', 'ms', 1),
  metric('loadVariance', 'variance of load over servers', '%²', 1),
  metric('worstShare', 'most requests of a server over the mean', '', 2),
  metric('coreVariance', 'variance of utilisation over cores', '%²', 2),
  metric('serverVariance', 'variance of utilisation over servers', '%²', 2),
  metric('dropPercent', 'packets dropped', '%', 2),
  metric('goodputPercent', 'packets served, of capacity', '%', 1, 'higher'),
  metric('offeredPercent', 'packets offered, of capacity', '%', 1, 'neutral'),
  metric('moves', 'buckets moved by RSS++', '', 0, 'neutral'),
];
