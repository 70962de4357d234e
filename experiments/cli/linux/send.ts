// One trial: segments in an order, sent into a path whose core is always behind.
import { spawn } from 'node:child_process';

import { labProgram, locate } from '../../../native/loader.js';
import { CliError } from '../errors.js';
import type { LinuxPath } from './path.js';

/**
 * In which order segments of the flows are sent: in rows by construction, or as Reframer makes it of SLF 1
 * behind a wire of that rate.
 */
export type Order = { slf: number } | { delayNs: number; offeredBps: number };

export const traffics = ['interleaved', 'campus'] as const;
export type Traffic = (typeof traffics)[number];

export interface Sending {
  /** Flows take turns, or the order of campus traffic; of that, flows are as many as there are. */
  traffic: Traffic;
  flows: number;
  /** Campus: queues that the wire is spread over by hash; this core has one. */
  wireQueues: number;
  /** Of the wire, where an order does not say. */
  offeredBps: number;
  storedHash: boolean;
  checkedByNic: boolean;
  cpu: number;
  seconds: number;
  /** Before what is measured. */
  warmSeconds: number;
  seed: number;
  /** At a pace; otherwise the kernel's core is always behind. */
  packetsPerSecond?: number;
}

export interface Trial {
  flows: number;
  /** Packets of a flow in a row, as sent. */
  slf: number;
  /** That pass on the wire in front of Reframer during T. */
  windowPackets: number;
  /** As measured; the pace that was asked for may not be reached. */
  packetsPerSecond: number;
  /** Of the kernel's core, a segment sent; of one that never sleeps, by the rate that it took. */
  nsPerPacket: number;
  segmentsPerMerged: number;
  /** Times that a ring had no room; at a pace. */
  refused: number;
  sent: number;
  /** Segments whose bytes did not arrive. */
  lost: number;
  /** Frames that begin before the end of one of their flow that came earlier. */
  outOfOrder: number;
  /** From sender to sink, of the first segment of each frame; at a pace. */
  latency?: { p50Us: number; p99Us: number };
  /** Of a box in the path: its own core's time a packet, and the median hold. */
  box?: { nsPerPacket: number; holdUs: number };
}

interface Answer {
  error?: { code: string; message: string };
  sent: number;
  /** That it took. */
  seconds: number;
  all: number;
  /** Times that a ring had no room, at a pace. */
  refused: number;
  cpuNs: number;
  flows: number;
  slf: number;
  windowPackets: number;
}

const payload = 1000;
// Until what the sender left behind in the rings has gone through.
const drainMs = 50;

function runInside(path: LinuxPath, spec: object): Promise<Answer> {
  const [program = '', ...args] = [...path.inside('sender'), locate(labProgram), 'linux-send'];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    let words = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (words += part));
    child.on('error', reject);
    child.on('close', (code) => {
      const line = text.trim().split('\n').at(-1) ?? '';
      const answer = (line === '' ? {} : JSON.parse(line)) as Answer;
      if (code === 0 && answer.error === undefined) return resolve(answer);
      reject(
        new CliError(
          answer.error?.code ?? 'linux-send',
          answer.error?.message ?? `the sender ended with ${code}: ${words.trim()}`,
        ),
      );
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(spec));
  });
}

const sendingOf = ({ offeredBps: _, ...sending }: Sending): object => sending;

export async function send(path: LinuxPath, order: Order, sending: Sending): Promise<Trial> {
  await path.beginCount();
  const answer = await runInside(path, {
    // Campus traffic has the rate of its wire also where nothing holds it.
    ...('slf' in order ? { slf: order.slf, offeredBps: sending.offeredBps } : order),
    ...sendingOf(sending),
    interface: path.interface,
    source: path.source,
    destination: path.destination,
    destinationMac: path.destinationMac,
    threads: path.threads,
    queues: path.options.queues,
    kernelCpu: path.options.cpu,
    payload,
  });
  await new Promise((resolve) => setTimeout(resolve, drainMs));
  const arrived = await path.arrived();
  const segments = arrived.bytes / payload;
  if (segments <= 0) throw new CliError('linux-path', 'nothing came through the router');
  return {
    flows: answer.flows,
    slf: answer.slf,
    windowPackets: answer.windowPackets,
    packetsPerSecond: answer.sent / answer.seconds,
    refused: answer.refused,
    nsPerPacket: (path.options.busyPoll ? 1e9 * answer.seconds : answer.cpuNs) / answer.sent,
    segmentsPerMerged: segments / arrived.frames,
    sent: answer.all,
    lost: answer.all - segments,
    outOfOrder: arrived.outOfOrder,
    ...(sending.packetsPerSecond === undefined
      ? {}
      : { latency: { p50Us: arrived.delayP50Us, p99Us: arrived.delayP99Us } }),
  };
}
