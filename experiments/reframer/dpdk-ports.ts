// The trial over DPDK: the stage as libreframer_dpdk.so has it, on mbufs from a mempool, between
// virtual ports. In real time, on one core, fed by another.
import type { JsonObject, Part, RunOptions } from '../core/types.js';
import { loadMetrics, overloadBps } from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

const fed: JsonObject = { in: 'net_ring0', feed: 'net_ring0', out: 'net_null0' };

/** A capture that net_pcap can read: libpcap opens nothing that is compressed. */
const readable = (file: string): boolean => /\.(pcap|pcapng)$/.test(file);

/** What is fed over a ring comes by the clock; the other ports have packets of their own, as many as the core takes. */
export function dpdkPorts(options: RunOptions, scale: TrialScale): Part {
  const capture = options.traces.find(({ file }) => readable(file));
  const ports: Readonly<Record<string, { chain: string; port: JsonObject }>> = {
    'net_ring, paper chain': { chain: 'paper', port: fed },
    'net_ring, modern chain': { chain: 'modern', port: fed },
    'net_null, no chain': { chain: 'forward', port: { in: 'net_null0' } },
    ...(capture === undefined
      ? {}
      : {
          'net_pcap, paper chain': {
            chain: 'paper',
            port: { in: `net_pcap0,rx_pcap=${capture.file},infinite_rx=1`, out: 'net_null0' },
          },
        }),
  };
  return {
    name: 'dpdk-ports',
    title: 'Over DPDK ports',
    question: 'Does the gain hold on mbufs, with the stage of the DPDK library?',
    job: 'dpdk:trial',
    axes: [
      { kind: 'list', name: 'port', values: Object.keys(ports) },
      { kind: 'list', name: 'form', values: ['packet', 'run'] },
      {
        kind: 'zip',
        names: ['contender', 'policy', 'delayUs'],
        rows: [
          ['off', 'off', 0],
          ['64us', 'fixed', 64],
          ['adaptive', 'adaptive', 128],
        ],
      },
    ],
    contenders: { axis: 'contender', baseline: 'off' },
    spec: (p) => {
      const { chain, port } = ports[String(p.port)] ?? { chain: 'forward', port: fed };
      const {
        engine: _,
        source,
        offeredBps,
        learnNs,
        ...rest
      } = trialSpec({ ...p, chain }, scale, { offeredBps: overloadBps });
      return { ...rest, port, ...(port.feed === undefined ? {} : { source, offeredBps, learnNs }) };
    },
    headline: 'nsPerPacket',
    metrics: loadMetrics.filter((name) => name !== 'dropPercent' && !name.startsWith('own')),
  };
}
