// `reframer bench reframer`: what the stage costs a packet, beside the bound measured in the same run.
import type { Command } from 'commander';

import { counts, names, registerBench } from '../bench.js';
import { formatCount, formatFixed } from '../units.js';

interface Row {
  traffic: string;
  burst: number;
  stride: number;
  touchedKib: number;
  buffers: number;
  slfIn: number;
  slfOut: number;
  flows: number;
  inFlight: number;
  nicHash: boolean;
  nsPerPacket: number;
  nsLow: number;
  nsHigh: number;
  kernel: string;
  scalarNsPerPacket: number;
  boundNsPerPacket: number;
}

export function register(program: Command): void {
  registerBench<Row>(program, {
    name: 'reframer',
    description:
      'ns per packet of classify, hold and release: trains in bursts of 32, then one thing changed at a time',
    quick: { says: 'fewer rounds: wider intervals', spec: { quick: true } },
    lists: [
      names(
        'traffic',
        'uniform, bursts, trains, campus; with any list: every combination of the lists',
      ),
      counts('flows', 'flows of the traffic: 1k,10k; campus has its own (default 10k)'),
      counts('bursts', 'packets a burst (default 32)'),
      counts('inFlight', 'packets that come within T (default 630)'),
      counts(
        'strides',
        'bytes from buffer to buffer: 2368 as DPDK lays them, the default; at 2048 they share few sets of a cache',
      ),
      counts(
        'touchedKib',
        'KiB of state that a function reads between two bursts, not timed (default 0)',
        0,
      ),
      counts(
        'buffers',
        'packet buffers that go round (default 8k: rings, caches of a mempool, and what is held)',
      ),
    ],
    columns: [
      ['traffic', (row) => row.traffic],
      ['flows', (row) => formatCount(row.flows)],
      ['burst', (row) => String(row.burst)],
      ['in flight', (row) => formatCount(row.inFlight)],
      ['NIC hash', (row) => (row.nicHash ? 'yes' : 'no')],
      ['stride', (row) => String(row.stride)],
      ['touched KiB', (row) => String(row.touchedKib)],
      ['buffers', (row) => formatCount(row.buffers)],
      ['ns/packet', (row) => formatFixed(row.nsPerPacket, 2)],
      ['95 % interval', (row) => `${formatFixed(row.nsLow, 2)} to ${formatFixed(row.nsHigh, 2)}`],
      ['scalar', (row) => formatFixed(row.scalarNsPerPacket, 2)],
      ['bound', (row) => formatFixed(row.boundNsPerPacket, 2)],
      ['times bound', (row) => formatFixed(row.nsPerPacket / row.boundNsPerPacket, 1)],
      ['SLF in', (row) => formatFixed(row.slfIn, 2)],
      ['out', (row) => formatFixed(row.slfOut, 2)],
    ],
    caption:
      'scalar: the same stage by the loops for any processor; bound, same packets, same run: read one word of each header one burst later, copy the pointer in and out; with the NIC hash only the latter',
  });
}
