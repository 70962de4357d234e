// Metrics of the robustness experiment; native/src/lab/robustness/trial.cpp and robustness/tables.cpp say what they mean.
import type { Metric } from '../core/types.js';

const us = (key: string, label: string, path: string, gate = false): Metric => ({ key, label, unit: 'µs', direction: 'lower', path, digits: 1, ...(gate ? { gate } : {}) });
const count = (key: string, label: string): Metric => ({ key, label, unit: '', direction: 'lower', path: key, digits: 0 });

export const metrics: readonly Metric[] = [
  us('p50Us', 'median latency of legitimate packets', 'p50Us'),
  us('p99Us', '99th percentile latency of legitimate packets', 'p99Us', true),
  us('p999Us', '99.9th percentile latency of legitimate packets', 'p999Us'),
  us('ownP50Us', 'median latency less the hold', 'ownP50Us'),
  us('ownP99Us', '99th percentile latency less the hold', 'ownP99Us'),
  us('ownP999Us', '99.9th percentile latency less the hold', 'ownP999Us'),
  { key: 'opened', label: 'connections that clients opened', unit: '', direction: 'neutral', path: 'opened', digits: 0 },
  { key: 'connectedPercent', label: 'handshakes that succeeded', unit: '%', direction: 'higher', path: 'connectedShare', scale: 100, digits: 1 },
  us('setupP50Us', 'median time that the box adds to a handshake', 'setupP50Us'),
  us('setupP99Us', '99th percentile time that the box adds to a handshake', 'setupP99Us'),
  us('setupOwnP99Us', 'the same less the hold', 'setupOwnP99Us'),
  count('legitimateDrops', 'legitimate packets dropped'),
  count('establishedEvicted', 'established flows evicted'),
  count('establishedLost', 'established flows unknown at the end'),
  { key: 'evicted', label: 'unproven flows evicted', unit: '', direction: 'neutral', path: 'evicted', digits: 0 },
  { key: 'heldMax', label: 'most packets held', unit: '', direction: 'neutral', path: 'heldMax', digits: 0 },
  { key: 'nsPerPacket', label: 'time a packet, all packets', unit: 'ns', direction: 'lower', path: 'nsPerPacket', digits: 0, backlog: { busyShare: 'loadShare' } },
  { key: 'loadPercent', label: 'load of the core', unit: '%', direction: 'lower', path: 'loadShare', scale: 100, digits: 0 },
  { key: 'grownMiB', label: 'memory grown', unit: 'MiB', direction: 'lower', path: 'grownMiB', digits: 1 },
  { key: 'nsPerInsert', label: 'time an insert', unit: 'ns', direction: 'lower', path: 'nsPerInsert', digits: 1 },
  { key: 'nsPerFind', label: 'time a lookup', unit: 'ns', direction: 'lower', path: 'nsPerFind', digits: 1 },
  { key: 'refused', label: 'keys without room', unit: '', direction: 'lower', path: 'refused', digits: 0 },
];
