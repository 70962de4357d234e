// Pktgen-DPDK by its Lua socket (pktgen -G): a line is a statement, what it writes comes back. The
// generator is set up by its user; here it is started, stopped and asked for its counters.
import { connect, type Socket } from 'node:net';

import { HarnessError } from '../core/errors.js';
import type { TesterRole } from './bed.js';
import { addressOf } from './address.js';
import { shareOfAsked, sleep, type Figures, type Load, type Tester } from './tester.js';

const answerMs = 5000;
const graceMs = 200;
/** Bytes that a frame takes on the link beside its own: checksum, preamble and gap. Pktgen's rate counts them. */
const linkOverhead = 24;

/** A conversation: statements go out one by one, each with a mark behind it. */
export class PktgenSocket {
  private text = '';
  private failed: Error | undefined;
  private wake: () => void = () => undefined;
  private marks = 0;
  private before: Promise<unknown> = Promise.resolve();

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (part) => {
      this.text += String(part);
      this.wake();
    });
    const end = (error?: Error): void => {
      this.failed = error ?? new Error('it closed the connection');
      this.wake();
    };
    socket.on('error', end).on('close', () => end());
  }

  static open(address: string): Promise<PktgenSocket> {
    const { host, port } = addressOf(address);
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, timeout: answerMs });
      socket.once('connect', () => {
        socket.setTimeout(0);
        resolve(new PktgenSocket(socket));
      });
      const refuse = (error?: Error): void => {
        socket.destroy();
        reject(
          new HarnessError(
            'no-tester',
            `tester: Pktgen does not answer at ${address} (${error?.message ?? 'no answer'}); start it with -G`,
          ),
        );
      };
      socket.once('error', refuse).once('timeout', () => refuse());
    });
  }

  /** What the statement wrote. Answers bear no names: one statement waits for the one before. */
  run(statement: string): Promise<string> {
    const answer = this.before.then(() => this.ask(statement));
    this.before = answer.catch(() => undefined);
    return answer;
  }

  private async ask(statement: string): Promise<string> {
    const mark = `reframer-${++this.marks}`;
    this.text = '';
    this.socket.write(`${statement}\nio.write("${mark}\\n") io.flush()\n`);
    const until = Date.now() + answerMs;
    for (;;) {
      const at = this.text.indexOf(`${mark}\n`);
      if (at >= 0) return this.text.slice(0, at);
      const left = until - Date.now();
      if (this.failed !== undefined || left <= 0)
        throw new HarnessError(
          'tester',
          `tester: Pktgen: ${this.failed?.message ?? `no answer within ${answerMs / 1000} s`}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

interface Counters {
  sent: number;
  sentBytes: number;
  received: number;
  receivedBytes: number;
}

const portNumber = (word: string): number => {
  if (!/^\d+$/.test(word))
    throw new HarnessError('bad-bed', `tester.tx: Pktgen's ports are numbers, not '${word}'`, 2);
  return Number(word);
};

async function counters(socket: PktgenSocket, tx: number, rx: number): Promise<Counters> {
  const text = await socket.run(
    `do local s = pktgen.portStats("all", "port"); for _, p in ipairs({${tx}, ${rx}}) do for _, n in ipairs({"opackets", "obytes", "ipackets", "ibytes"}) do io.write(p, " ", n, " ", tostring(s[p] and s[p][n]), "\\n") end end end`,
  );
  const value = (port: number, name: string): number => {
    const [, found] = new RegExp(`^${port} ${name} (\\d+)`, 'm').exec(text) ?? [];
    if (found === undefined)
      throw new HarnessError(
        'tester',
        `tester: Pktgen tells no ${name} of port ${port}: ${text.trim().split('\n').at(-1) ?? ''}`,
      );
    return Number(found);
  };
  return {
    sent: value(tx, 'opackets'),
    sentBytes: value(tx, 'obytes'),
    received: value(rx, 'ipackets'),
    receivedBytes: value(rx, 'ibytes'),
  };
}

export async function openPktgen(role: TesterRole): Promise<Tester> {
  const [tx, rx] = [portNumber(role.tx), portNumber(role.rx)];
  const socket = await PktgenSocket.open(role.address);
  const none = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 };
  let [first, opened] = [none, none];
  let load: Load = { bps: 0, warmupMs: 0, windowMs: 0 };
  let openedAt = 0;
  let window: Promise<void> = Promise.resolve();
  let sends = false;
  let linkBps = 0;
  /** Pktgen's rate is a share of the link, in percent. */
  const setRate = (bps: number): Promise<string> =>
    socket.run(`pktgen.set("${tx}", "rate", ${Math.min(100, (bps / linkBps) * 100)})`);
  return {
    about: {
      tester: (await socket.run('io.write(pktgen.info.Pktgen_Version or "", "\\n")')).trim(),
    },
    start: async (asked) => {
      load = asked;
      if (load.bps > 0) {
        const speed = /(\d+)/.exec(
          await socket.run(`io.write(pktgen.linkState("${tx}")[${tx}], "\\n")`),
        )?.[1];
        if (speed === undefined)
          throw new HarnessError('tester', `tester: Pktgen tells no speed of port ${tx}'s link`);
        linkBps = Number(speed) * 1e6;
        await setRate(load.bps);
      }
      first = await counters(socket, tx, rx);
      sends = true;
      await socket.run(`pktgen.start("${tx}")`);
      window = sleep(load.warmupMs / 2).then(async () => {
        // How long its frames are only its user knows, and then the counters.
        const { sent, sentBytes } = await counters(socket, tx, rx);
        const frames = sent - first.sent;
        if (load.bps > 0 && frames > 0 && sends)
          await setRate(load.bps * (1 + (linkOverhead * frames) / (sentBytes - first.sentBytes)));
        await sleep(load.warmupMs / 2);
        opened = await counters(socket, tx, rx);
        openedAt = performance.now();
      });
      window.catch(() => undefined);
    },
    stop: async (): Promise<Figures> => {
      await window;
      await sleep(load.windowMs - (performance.now() - openedAt));
      const closed = await counters(socket, tx, rx);
      const seconds = (performance.now() - openedAt) / 1000;
      await socket.run(`pktgen.stop("${tx}")`);
      sends = false;
      await sleep(graceMs);
      const last = await counters(socket, tx, rx);
      // Its packets bear no number of a window: what is lost is known of all of them together.
      const sent = last.sent - first.sent;
      const received = last.received - first.received;
      const offeredBps = ((closed.sentBytes - opened.sentBytes) * 8) / seconds;
      return {
        seconds,
        sent,
        received,
        lost: Math.max(0, sent - received),
        outOfOrder: undefined,
        latencyNs: undefined,
        offeredBps,
        reachedShare: shareOfAsked(load, offeredBps),
        receivedBps: ((closed.receivedBytes - opened.receivedBytes) * 8) / seconds,
        all: { sent, received },
        details: {},
      };
    },
    close: async () => {
      try {
        if (sends) await socket.run(`pktgen.stop("${tx}")`);
      } finally {
        socket.close();
      }
    },
  };
}
