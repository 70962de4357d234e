// Metrics of the Reframer experiment; native/src/lab/reframer/trial.cpp and analyze.cpp say what they mean.
import type { Metric } from '../core/types.js';

const us = (key: string, label: string, path: string): Metric => ({ key, label, unit: 'µs', direction: 'lower', path, scale: 1e-3, digits: 1 });

/** Of the chain's cores, and of those in front. */
const backlog = { busyShare: 'busyShare', dropShare: 'drops.ringShare', carriedBps: 'throughputBps' } as const;
const frontBacklog = { busyShare: 'front.busyShare', dropShare: 'front.ringDropShare' } as const;

export const metrics: readonly Metric[] = [
  { key: 'throughputGbps', label: 'throughput', unit: 'Gbps', direction: 'higher', path: 'throughputBps', scale: 1e-9, digits: 2, gate: true },
  { key: 'slfOut', label: 'SLF at the chain', unit: '', direction: 'higher', path: 'slfOut', digits: 2 },
  { key: 'slfIn', label: 'SLF at the ring', unit: '', direction: 'neutral', path: 'slfIn', digits: 2 },
  { key: 'nsPerPacket', label: 'time per packet', unit: 'ns', direction: 'lower', path: 'nsPerPacket', digits: 0, gate: true, backlog },
  { key: 'cyclesPerPacket', label: 'cycles per packet', unit: '', direction: 'lower', path: 'cyclesPerPacket', digits: 0, backlog },
  { key: 'stageNs', label: 'poll and Reframer per packet', unit: 'ns', direction: 'lower', path: 'stageNsPerPacket', digits: 0, backlog },
  us('meanUs', 'mean latency', 'latencyNs.mean'),
  us('p50Us', 'median latency', 'latencyNs.p50'),
  us('p95Us', '95th percentile latency', 'latencyNs.p95'),
  us('p99Us', '99th percentile latency', 'latencyNs.p99'),
  us('p999Us', '99.9th percentile latency', 'latencyNs.p999'),
  us('ownP50Us', 'median latency less the hold', 'ownLatencyNs.p50'),
  us('ownP99Us', '99th percentile latency less the hold', 'ownLatencyNs.p99'),
  { ...us('holdP50Us', 'median hold', 'holdNs.p50'), direction: 'neutral' },
  { ...us('holdP99Us', '99th percentile hold', 'holdNs.p99'), direction: 'neutral' },
  { key: 'saturatedGbps', label: 'what the chain carries alone', unit: 'Gbps', direction: 'neutral', path: 'saturatedBps', scale: 1e-9, digits: 2 },
  us('sensitiveMeanUs', 'mean latency of the class', 'sensitiveLatencyNs.mean'),
  us('sensitiveP50Us', 'median latency of the class', 'sensitiveLatencyNs.p50'),
  us('sensitiveP99Us', '99th percentile latency of the class', 'sensitiveLatencyNs.p99'),
  { key: 'perCoreGbps', label: 'throughput per core', unit: 'Gbps', direction: 'higher', path: 'throughputPerCoreBps', scale: 1e-9, digits: 2 },
  { key: 'cores', label: 'cores', unit: '', direction: 'neutral', path: 'cores', digits: 0 },
  { key: 'frontNs', label: 'time per packet in front', unit: 'ns', direction: 'lower', path: 'front.nsPerPacket', digits: 0, backlog: frontBacklog },
  { key: 'dropPercent', label: 'dropped at the ring', unit: '%', direction: 'lower', path: 'drops.ringShare', scale: 100, digits: 1 },
  { key: 'zeroLossGbps', label: 'highest rate without loss', unit: 'Gbps', direction: 'higher', path: 'offeredGbps', digits: 1, gate: true },
  { key: 'ringDropShare', label: 'share dropped at the ring', unit: '', direction: 'lower', path: 'drops.ringShare', digits: 5 },
  { key: 'packets', label: 'packets', unit: '', direction: 'neutral', path: 'packets', digits: 0 },
  { key: 'flows', label: 'flows', unit: '', direction: 'neutral', path: 'flows', digits: 0 },
  { key: 'slf', label: 'SLF', unit: '', direction: 'neutral', path: 'slf', digits: 2 },
  { key: 'slfGain', label: 'SLF against the capture’s own', unit: 'x', direction: 'neutral', path: 'ratio', digits: 2 },
];
