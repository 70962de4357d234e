// A bed on this machine: a box and a tester, two processes with a memif between them.
import { join } from 'node:path';

import { dpdkProgram } from '../../native/loader.js';
import { NativeSession } from '../../native/session.js';
import { ownPrefix } from './eal-folder.js';

export interface TesterResult {
  seconds: number;
  sent: number;
  received: number;
  lost: number;
  outOfOrder: number;
  duplicates: number;
  foreign: number;
  offeredBps: number;
  receivedBps: number;
  latencyNs: { mean: number; p50: number; p99: number; max: number };
  all: { sent: number; received: number; outOfOrder: number; duplicates: number };
}

export interface BoxSample {
  lanes: { received: number; sent: number; held: number; unsent: number }[];
  flows?: {
    packets: number;
    live: number;
    began: number;
    translated: number;
    denied: number;
    untranslated: number;
    noRoom: number;
  };
  balance?: {
    moves: number;
    coresChanged: number;
    held: number;
    handedOver: number;
    stateErrors: number;
  };
}

export interface Said {
  ready?: { cpus: string[]; threads: number; ports: Record<string, unknown>[] };
  error?: { code: string; message: string };
  failed?: string;
  started?: boolean;
  result?: TesterResult;
  lanes?: BoxSample['lanes'];
  summary?: BoxSample & { lost: number };
}

let beds = 0;

/** EAL's options of one end. */
export function memifEal(
  role: 'server' | 'client',
  socket: string,
  ports: number,
  more = '',
): string[] {
  return [
    '--no-huge',
    '-m',
    '384',
    '--no-shconf',
    '--no-telemetry',
    '--log-level=error',
    '--file-prefix',
    ownPrefix(`bed-${role}-${beds}`),
    ...Array.from(
      { length: ports },
      (_, i) =>
        `--vdev=net_memif${i},role=${role},id=${i},socket=${socket},socket-abstract=no,rsize=11`,
    ),
    ...(more === '' ? [] : more.split(' ')),
  ];
}

export interface Bed {
  box: NativeSession<Said>;
  tester: NativeSession<Said>;
  /** Ends both; what the box counted. */
  end: () => Promise<BoxSample & { lost: number }>;
}

/** @throws Error what either said in place of being ready */
export async function openBed(
  folder: string,
  box: object,
  tester: object,
  { ports = 1 }: { ports?: number } = {},
): Promise<Bed> {
  beds++;
  const socket = join(folder, `memif-${beds}.sock`);
  const out = `net_memif${ports - 1}`;
  const opened = await NativeSession.open<Said>(dpdkProgram, 'forward', {
    eal: memifEal('server', socket, ports),
    in: 'net_memif0',
    out,
    user: 'root',
    ...box,
  });
  if (opened.first.ready === undefined) {
    await opened.close();
    throw new Error(opened.first.error?.message);
  }
  const sender = await NativeSession.open<Said>(dpdkProgram, 'tester', {
    eal: memifEal('client', socket, ports),
    tx: 'net_memif0',
    rx: out,
    ...tester,
  });
  if (sender.first.ready === undefined) {
    await Promise.all([opened.close(), sender.close()]);
    throw new Error(sender.first.error?.message);
  }
  return {
    box: opened,
    tester: sender,
    end: async () => {
      const { summary } = await opened.ask({ do: 'stop' });
      await Promise.all([opened.close(), sender.close()]);
      if (summary === undefined) throw new Error('the box ended without a summary');
      return summary;
    },
  };
}
