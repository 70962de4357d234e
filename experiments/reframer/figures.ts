import type { Figure } from '../core/types.js';

const byDelay = { param: 'delayUs', label: 'buffering time T (µs)', scale: 'symlog' } as const;
const sweepFigure = (id: string, title: string, metric: string, part = 'overload'): Figure => ({
  id, title, part, kind: 'line', x: byDelay, metric, series: 'chain', facet: 'chain', levels: ['burst', 'adaptive'],
});

const byLoad = { param: 'offeredGbps', label: 'offered load (Gbps)' } as const;
const loadFigure = (id: string, title: string, metric: string): Figure => ({ id, title, part: 'load', kind: 'line', x: byLoad, metric, series: 'contender' });
const slfFigure = (id: string, title: string, part: string): Figure => ({ id, title, part, kind: 'line', x: { param: 'slf', label: 'packets of a flow in a row', scale: 'log' }, metric: 'nsPerPacket', series: 'contender', facet: 'chain' });
const bars = (id: string, title: string, part: string, metric: string, facet?: string): Figure => ({
  id, title, part, kind: 'bar', category: { param: 'contender', label: 'Reframer' }, metric, ...(facet === undefined ? {} : { facet }),
});

const motivationFigure = (id: string, title: string, metric: string): Figure => ({
  id, title, part: 'motivation', kind: 'line', x: { param: 'slf', label: 'packets of a flow in a row', scale: 'log' }, metric,
  series: 'contender', facet: 'chain',
});

export const figures: readonly Figure[] = [
  motivationFigure('motivation-throughput', 'Throughput by packets of a flow in a row (published: their own chain at 1.2 GHz)', 'throughputGbps'),
  motivationFigure('motivation-latency', 'Mean latency by packets of a flow in a row (published: their own chain at 1.2 GHz)', 'meanUs'),
  motivationFigure('motivation-cost', 'Cycles per packet by packets of a flow in a row', 'cyclesPerPacket'),
  slfFigure('function-cost', 'Cost of functions and chains', 'functions'),
  slfFigure('library-function-cost', 'Cost of functions built on Hyperscan and DPDK', 'library-functions'),
  bars('functions-held', 'Cost of single functions behind Reframer', 'functions-held', 'nsPerPacket', 'chain'),
  {
    id: 'look-ahead', title: 'Cost with and without looking ahead, T = 64 µs', part: 'look-ahead', where: { stage: '64us' }, kind: 'bar',
    category: { param: 'contender', label: 'chain' }, metric: 'nsPerPacket', facet: 'chain',
  },
  sweepFigure('throughput', 'Throughput at overload', 'throughputGbps'),
  sweepFigure('slf', 'Packets of a flow in a row', 'slfOut'),
  sweepFigure('hold-p50', 'Median of the hold that was measured, by T', 'holdP50Us'),
  sweepFigure('hold-p99', '99th percentile of the hold that was measured, by T', 'holdP99Us'),
  sweepFigure('cost', 'Time per packet', 'nsPerPacket'),
  sweepFigure('latency-p50', 'Median latency at overload', 'p50Us'),
  sweepFigure('latency-p99', '99th percentile of latency at overload', 'p99Us'),
  sweepFigure('drops', 'Packets lost at overload', 'dropPercent'),
  bars('modern-throughput', 'Throughput of the modern chain at 1000 Gbps, once a packet', 'overload-modern', 'throughputGbps'),
  bars('runs-throughput', 'Throughput of chains that work once a run', 'overload-runs', 'throughputGbps', 'chain'),
  { id: 'samples', title: 'Every sample', part: 'overload', kind: 'box', series: 'contender', facet: 'chain', metric: 'throughputGbps' },
  sweepFigure('fixed-rate-mean', 'Mean latency at 0.93 of what the chain carries', 'meanUs', 'fixed-rate'),
  sweepFigure('fixed-rate-p99', '99th percentile of latency at 0.93 of what the chain carries', 'p99Us', 'fixed-rate'),
  bars('zero-loss', 'Highest rate without loss', 'zero-loss', 'zeroLossGbps'),
  loadFigure('load-throughput', 'Throughput by offered load', 'throughputGbps'),
  loadFigure('load-p50', 'Median latency by offered load', 'p50Us'),
  loadFigure('load-p99', '99th percentile of latency by offered load', 'p99Us'),
  loadFigure('load-p999', '99.9th percentile of latency by offered load', 'p999Us'),
  loadFigure('load-drops', 'Packets lost by offered load', 'dropPercent'),
  bars('own-cores', 'Throughput with Reframer in the chain and on cores in front', 'own-cores', 'throughputGbps'),
  bars('per-core', 'Throughput per core, cores in front counted', 'own-cores', 'perCoreGbps'),
  { id: 'flows', title: 'Throughput by concurrent flows, uniform traffic', part: 'flows', kind: 'line', x: { param: 'flows', label: 'flows', scale: 'log' }, metric: 'throughputGbps', series: 'contender', facet: 'chain' },
  { id: 'cores', title: 'Throughput by virtual cores', part: 'cores', kind: 'line', x: { param: 'cores', label: 'cores' }, metric: 'throughputGbps', series: 'contender' },
  { id: 'worst', title: 'The paper’s chain under traffic that leaves nothing to gain', part: 'worst', where: { chain: 'paper' }, kind: 'bar', category: { param: 'contender', label: 'Reframer' }, facet: 'traffic', metric: 'throughputGbps' },
  bars('policies', 'Throughput by release policy', 'policies', 'throughputGbps'),
  bars('keys', 'Throughput by grouping key', 'keys', 'throughputGbps', 'chain'),
  bars('sensitive-mean', 'Mean latency of a class that passes', 'sensitive', 'sensitiveMeanUs', 'offeredGbps'),
  bars('sensitive', 'Median latency of a class that passes', 'sensitive', 'sensitiveP50Us', 'offeredGbps'),
  { id: 'rx-queues', title: 'Time per packet by receive queues', part: 'rx-queues', kind: 'line', x: { param: 'queues', label: 'receive queues', scale: 'log' }, metric: 'nsPerPacket', series: 'contender' },
  { id: 'rx-queues-slf', title: 'Packets of a flow in a row at the ring, by receive queues', part: 'rx-queues', kind: 'line', x: { param: 'queues', label: 'receive queues', scale: 'log' }, metric: 'slfIn', series: 'contender', publishedBeyond: true },
  {
    id: 'dpdk-ports', title: 'Time per packet over DPDK ports, once a packet', part: 'dpdk-ports', where: { form: 'packet' }, kind: 'bar',
    category: { param: 'contender', label: 'Reframer' }, metric: 'nsPerPacket', facet: 'port',
  },
  { id: 'capture-locality', title: 'Locality of the captures by buffering time', part: 'captures', kind: 'line', x: byDelay, metric: 'slf', series: 'rate', facet: 'trace' },
  { id: 'capture-gain', title: 'SLF gained by T = 64 µs', part: 'captures', where: { delayUs: 64 }, kind: 'heat', x: { param: 'rate', label: 'rate' }, y: { param: 'trace', label: 'capture' }, metric: 'slfGain' },
  { id: 'capture-throughput', title: 'The captures through the paper’s chain', part: 'capture-chain', where: { chain: 'paper' }, kind: 'bar', category: { param: 'contender', label: 'Reframer' }, facet: 'trace', metric: 'throughputGbps' },
];
