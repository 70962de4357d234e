// A capture replayed by tcpreplay, on an interface of Linux. It tells what it sent; what came back is
// what the interface counts. Order and latency it does not tell.
import { spawn, type ChildProcess } from 'node:child_process';

import { HarnessError } from '../core/errors.js';
import type { TesterRole } from './bed.js';
import type { Host } from './host.js';
import type { Place } from './probe.js';
import { sleep, type Figures, type Load, type Tester } from './tester.js';

interface Counts {
  packets: number;
  bytes: number;
}

/** "Actual: 120 packets (9000 bytes) sent in 1.50 seconds" */
export function parseTcpreplay(text: string): Counts & { seconds: number } {
  const [, packets, bytes, seconds] =
    /Actual:\s+(\d+) packets \((\d+) bytes\) sent in ([\d.]+) seconds/.exec(text) ?? [];
  if (packets === undefined)
    throw new HarnessError(
      'tester',
      `tcpreplay: ${text.trim().split('\n').at(-1) ?? 'it says nothing'}`,
    );
  return { packets: Number(packets), bytes: Number(bytes), seconds: Number(seconds) };
}

const graceMs = 200;

async function arrived(host: Host, name: string): Promise<Counts> {
  const folder = `/sys/class/net/${name}/statistics`;
  const [packets = '0', bytes = '0'] = (
    await host.shell(`cat ${folder}/rx_packets ${folder}/rx_bytes`)
  ).split('\n');
  return { packets: Number(packets), bytes: Number(bytes) };
}

export async function openTcpreplay({ host }: Place, role: TesterRole): Promise<Tester> {
  const version = await host.shell('tcpreplay --version 2>&1 | head -1');
  await arrived(host, role.rx);
  let child: ChildProcess | undefined;
  let output = '';
  let ended: Promise<void> = Promise.resolve();
  let before: Counts = { packets: 0, bytes: 0 };
  return {
    about: { tester: version.trim() },
    start: async ({ bps, warmupMs, windowMs }: Load) => {
      before = await arrived(host, role.rx);
      const rate = bps > 0 ? [`--mbps=${bps / 1e6}`] : ['--topspeed'];
      const [command = '', ...args] = host.command([
        'tcpreplay',
        '-q',
        '-i',
        role.tx,
        ...rate,
        '--loop=0',
        `--duration=${Math.ceil((warmupMs + windowMs) / 1000)}`,
        role.capture ?? '',
      ]);
      output = '';
      child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const add = (part: Buffer): void => {
        output += part.toString();
      };
      child.stdout?.on('data', add);
      child.stderr?.on('data', add);
      ended = new Promise((resolve, reject) => {
        child?.on('close', () => resolve());
        child?.on('error', reject);
      });
      ended.catch(() => undefined);
    },
    stop: async (): Promise<Figures> => {
      await ended;
      const sent = parseTcpreplay(output);
      await sleep(graceMs);
      const after = await arrived(host, role.rx);
      const received = after.packets - before.packets;
      // It counts from start to stop: warm-up and window are one.
      return {
        seconds: sent.seconds,
        sent: sent.packets,
        received,
        lost: Math.max(0, sent.packets - received),
        outOfOrder: undefined,
        latencyNs: undefined,
        offeredBps: (sent.bytes * 8) / sent.seconds,
        receivedBps: ((after.bytes - before.bytes) * 8) / sent.seconds,
        all: { sent: sent.packets, received },
        details: {},
      };
    },
    close: () => {
      child?.kill();
    },
  };
}
