// dpdk-testpmd between net_pcap and net_null, one forwarding core.
import { spawn } from 'node:child_process';

import { ownPrefix } from '../../testbed/eal-folder.js';
import { CliError } from '../errors.js';
import { lastWords, needProgram, warmUpMs, type ProgramRun, type ProgramTrial } from './trial.js';

/** What it does to a packet: nothing, other Ethernet addresses, all of the five-tuple swapped. */
export const testpmdModes = ['io', 'macswap', '5tswap'] as const;
export type TestpmdMode = (typeof testpmdModes)[number];

export const needTestpmd = (): void => needProgram('dpdk-testpmd', 'dpdk-dev');

export function runTestpmd(mode: TestpmdMode, run: ProgramRun): Promise<ProgramTrial> {
  const child = spawn(
    'dpdk-testpmd',
    [
      '--lcores',
      '0@0,1@1',
      '-m',
      '512',
      '--no-huge',
      '--no-pci',
      '--no-shconf',
      '--no-telemetry',
      '--file-prefix',
      ownPrefix('bench'),
      '--vdev',
      `net_pcap0,rx_pcap=${run.capture},infinite_rx=1`,
      '--vdev',
      'net_null0,no-rx=1',
      '--',
      '--no-flush-rx',
      '--total-num-mbufs=40000',
      `--forward-mode=${mode}`,
      '-i',
      '--record-core-cycles',
    ],
    { env: { ...process.env, ...run.environment }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let output = '';
  let waiting = true;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (!waiting || !output.includes('testpmd>')) return;
      waiting = false;
      // Rates are since the last look.
      child.stdin.write('start\n');
      setTimeout(() => child.stdin.write('show port stats 1\n'), warmUpMs);
      setTimeout(() => child.stdin.end('show port stats 1\nstop\nquit\n'), warmUpMs + run.timeMs);
    });
  }
  child.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(new CliError('testpmd', `dpdk-testpmd does not start: ${error.message}`)),
    );
    child.on('close', () => {
      // Without polls after which there was nothing to forward.
      const [, cycles] = /CPU cycles\/packet=([\d.]+)/.exec(output) ?? [];
      const rate = Number([...output.matchAll(/Tx-pps:\s+(\d+)/g)].at(-1)?.[1]);
      if (cycles === undefined || !(rate > 0)) {
        const said = lastWords(output);
        reject(new CliError('testpmd', `dpdk-testpmd counted nothing; its last words:\n${said}`));
      } else resolve({ nsPerPacket: 1e9 / rate, cyclesPerPacket: Number(cycles) });
    });
  });
}
