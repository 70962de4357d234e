// A capture replayed by tcpreplay, on an interface of Linux. It tells what it sent; what came back is
// what the interface counts. Order and latency it does not tell.
import { spawn, type ChildProcess } from 'node:child_process';

import { HarnessError } from '../core/errors.js';
import { shellWord } from '../core/shell.js';
import type { TesterRole } from './bed.js';
import type { Host } from './host.js';
import type { Place } from './probe.js';
import { shareOfAsked, sleep, type Figures, type Load, type Tester } from './tester.js';

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

// It ends when our end of its input does: over ssh nothing else tells it that nobody waits any more.
const untilInputEnds =
  'exec 3<&0; "$@" </dev/null & it=$!; (cat <&3; kill $it) >/dev/null 2>&1 & end=$!; wait $it; code=$?; kill $end 2>/dev/null; exit $code';

export async function openTcpreplay({ host }: Place, role: TesterRole): Promise<Tester> {
  const version = await host.shell('tcpreplay --version 2>&1 | head -1');
  if (!/^tcpreplay version/.test(version))
    throw new HarnessError(
      'no-tester',
      `tester: tcpreplay does not run there (${version.trim()}); install it`,
    );
  const capture = role.capture ?? '';
  await host.shell(
    `test -r ${shellWord(capture)} || { echo ${shellWord(`there is no capture ${capture}`)} >&2; false; }`,
  );
  await arrived(host, role.rx);
  let child: ChildProcess | undefined;
  let output = '';
  let ended: Promise<void> = Promise.resolve();
  let before: Counts = { packets: 0, bytes: 0 };
  let load: Load = { bps: 0, warmupMs: 0, windowMs: 0 };
  return {
    about: { tester: version.trim() },
    start: async (asked) => {
      load = asked;
      const { bps, warmupMs, windowMs } = asked;
      before = await arrived(host, role.rx);
      const rate = bps > 0 ? [`--mbps=${bps / 1e6}`] : ['--topspeed'];
      const [command = '', ...args] = host.command([
        'sh',
        '-c',
        untilInputEnds,
        'tcpreplay',
        'tcpreplay',
        '-q',
        '-i',
        role.tx,
        ...rate,
        '--loop=0',
        `--duration=${Math.ceil((warmupMs + windowMs) / 1000)}`,
        capture,
      ]);
      output = '';
      child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
      child.stdin?.on('error', () => undefined);
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
      const offeredBps = (sent.bytes * 8) / sent.seconds;
      // It counts from start to stop: warm-up and window are one.
      return {
        seconds: sent.seconds,
        sent: sent.packets,
        received,
        lost: Math.max(0, sent.packets - received),
        outOfOrder: undefined,
        latencyNs: undefined,
        offeredBps,
        reachedShare: shareOfAsked(load, offeredBps),
        receivedBps: ((after.bytes - before.bytes) * 8) / sent.seconds,
        all: { sent: sent.packets, received },
        details: {},
      };
    },
    close: async () => {
      child?.stdin?.end();
      await ended.catch(() => undefined);
    },
  };
}
