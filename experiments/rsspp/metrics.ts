// Metrics of the RSS++ experiment; native/src/lab/rsspp/trial_job.cpp and rsspp/bench.cpp say what they mean.
import type { Metric } from '../core/types.js';

const us = (key: string, label: string, path: string): Metric => ({ key, label, unit: 'µs', direction: 'lower', path, digits: 1 });

export const metrics: readonly Metric[] = [
  us('p50Us', 'median latency', 'latencyP50Us'),
  us('p95Us', '95th percentile latency', 'latencyP95Us'),
  us('p99Us', '99th percentile latency', 'latencyP99Us'),
  { key: 'imbalancePercent', label: '(max − min) / min of packets a second', unit: '%', direction: 'lower', path: 'imbalancePercent', digits: 1, gate: true },
  { key: 'floorPercent', label: 'least that the heaviest bucket allows', unit: '%', direction: 'neutral', path: 'floorPercent', digits: 1 },
  { key: 'dropKpps', label: 'packets dropped', unit: '1000/s', direction: 'lower', path: 'dropsPerSecond', scale: 1e-3, digits: 2 },
  { key: 'dropFreePercent', label: 'runs without a drop', unit: '%', direction: 'higher', path: 'dropFree', scale: 100, digits: 0 },
  { key: 'warmedSeconds', label: 'warm-up', unit: 's', direction: 'neutral', path: 'warmedSeconds', digits: 0 },
  { key: 'stillSeconds', label: 'of it, with as many cores as at its end', unit: 's', direction: 'neutral', path: 'stillSeconds', digits: 0 },
  { key: 'growth', label: 'two cores over one', unit: 'times', direction: 'higher', path: 'growth', digits: 3 },
  { key: 'meanCores', label: 'cores in use, mean', unit: '', direction: 'lower', path: 'meanCores', digits: 2, gate: true },
  { key: 'reversals', label: 'turns between adding and giving back', unit: '', direction: 'lower', path: 'reversals', digits: 0 },
  { key: 'goodputPercent', label: 'offered packets served', unit: '%', direction: 'higher', path: 'goodputShare', scale: 100, digits: 2 },
  { key: 'settledOverBoundPercent', label: 'worst core above the bound, settled', unit: '%', direction: 'lower', path: 'settledOverBoundPercent', digits: 2 },
  { key: 'settledMoves', label: 'moves until settled', unit: '', direction: 'lower', path: 'settledMoves', digits: 0 },
  { key: 'movesPerEpoch', label: 'moves an epoch', unit: '', direction: 'lower', path: 'movesPerEpoch', digits: 1 },
  { key: 'moves', label: 'moves', unit: '', direction: 'neutral', path: 'moves', digits: 0 },
  { key: 'overBoundPercent', label: 'worst core above the lower bound', unit: '%', direction: 'lower', path: 'worstOverBoundPercent', digits: 2, gate: true },
  { key: 'solveUs', label: 'solve time', unit: 'µs', direction: 'lower', path: 'solveUs', digits: 1 },
  { key: 'packets', label: 'packets', unit: '', direction: 'neutral', path: 'processed', digits: 0 },
  { key: 'lost', label: 'packets lost', unit: '', direction: 'lower', path: 'lost', digits: 0 },
  { key: 'reordered', label: 'packets out of order', unit: '', direction: 'lower', path: 'reordered', digits: 0 },
  { key: 'held', label: 'packets held', unit: '', direction: 'neutral', path: 'held', digits: 0 },
  { key: 'forwarded', label: 'packets forwarded', unit: '', direction: 'neutral', path: 'forwarded', digits: 0 },
  { key: 'holdMaxUs', label: 'longest hold', unit: 'µs', direction: 'lower', path: 'holdMaxUs', digits: 1 },
  { key: 'writeLosses', label: 'packets lost to table writes', unit: '', direction: 'lower', path: 'lostToWrites', digits: 0 },
  { key: 'mpps', label: 'packets', unit: 'M/s', direction: 'higher', path: 'mpps', digits: 2 },
  { key: 'carriedGbps', label: 'throughput', unit: 'Gbps', direction: 'higher', path: 'goodputShare', scale: 99.5, digits: 1 },
];
