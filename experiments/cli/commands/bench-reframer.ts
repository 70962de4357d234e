// `reframer bench reframer`: what the stage costs a packet, beside the bound measured in the same run.
import type { Command } from 'commander';

import { registerBench } from '../bench.js';
import { formatCount, formatFixed } from '../units.js';

interface Row {
  flows: number;
  inFlight: number;
  nicHash: boolean;
  nsPerPacket: number;
  nsLow: number;
  nsHigh: number;
  boundNsPerPacket: number;
}

export function register(program: Command): void {
  registerBench<Row>(program, {
    name: 'reframer',
    description: 'ns per packet of classify, hold and release, for several windows and numbers of flows',
    quick: { says: 'fewer rounds: wider intervals', spec: { quick: true } },
    columns: [
      ['flows', (row) => formatCount(row.flows)],
      ['in flight', (row) => formatCount(row.inFlight)],
      ['NIC hash', (row) => (row.nicHash ? 'yes' : 'no')],
      ['ns/packet', (row) => formatFixed(row.nsPerPacket, 2)],
      ['95 % interval', (row) => `${formatFixed(row.nsLow, 2)} to ${formatFixed(row.nsHigh, 2)}`],
      ['bound', (row) => formatFixed(row.boundNsPerPacket, 2)],
      ['times bound', (row) => formatFixed(row.nsPerPacket / row.boundNsPerPacket, 1)],
    ],
    caption:
      'bound, same packets, same run: read one word of each header, copy the pointer in and out; with the NIC hash only the latter',
  });
}
