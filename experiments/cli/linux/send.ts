// One trial: segments in an order, sent into the path as fast as its core takes them.
import { spawn } from 'node:child_process';

import { labProgram, locate } from '../../../native/loader.js';
import { CliError } from '../errors.js';
import type { LinuxPath } from './path.js';

/** In which order segments of the flows are sent: in rows by construction, or as Reframer makes it of SLF 1. */
export type Order = { slf: number } | { delayNs: number };

export interface Sending {
  flows: number;
  offeredBps: number;
  storedHash: boolean;
  cpu: number;
  seconds: number;
  seed: number;
}

export interface Trial {
  /** Packets of a flow in a row, as sent. */
  slf: number;
  /** That pass on the wire in front of Reframer during T. */
  windowPackets: number;
  /** Of the kernel's core, a segment sent. */
  nsPerPacket: number;
  kpps: number;
  /** Share of the time that the kernel's threads ran: much below 1, and the sender was the limit. */
  busy: number;
  segmentsPerMerged: number;
  lost: number;
}

interface Answer {
  error?: { code: string; message: string };
  sent: number;
  all: number;
  seconds: number;
  cpuNs: number;
  slf: number;
  frameBytes: number;
  windowPackets: number;
}

const payload = 1000;
// Until what the sender left behind in the rings has gone through.
const drainMs = 50;

function runInside(path: LinuxPath, spec: object): Promise<Answer> {
  const [program = '', ...args] = [...path.inSender, locate(labProgram), 'linux-send'];
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

export async function send(path: LinuxPath, order: Order, sending: Sending): Promise<Trial> {
  const before = path.arrived();
  const answer = await runInside(path, {
    ...order,
    ...sending,
    interface: path.interface,
    source: path.source,
    destination: path.destination,
    destinationMac: path.destinationMac,
    threads: path.threads,
    payload,
  });
  await new Promise((resolve) => setTimeout(resolve, drainMs));
  const after = path.arrived();
  const frames = after.frames - before.frames;
  const headers = answer.frameBytes - payload;
  // A merged frame has one header for all of its segments.
  const segments = (after.bytes - before.bytes - frames * headers) / payload;
  if (frames <= 0 || segments <= 0)
    throw new CliError('linux-path', 'nothing came through the router');
  return {
    slf: answer.slf,
    windowPackets: answer.windowPackets,
    nsPerPacket: answer.cpuNs / answer.sent,
    kpps: answer.sent / answer.seconds / 1e3,
    busy: answer.cpuNs / 1e9 / answer.seconds,
    segmentsPerMerged: segments / frames,
    lost: Math.round(answer.all - segments),
  };
}
