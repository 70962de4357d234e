// Real TCP: nginx sends to many connections of one receiver through a box. Paced, their segments come one
// by one and interleave, as those of many senders behind a switch; unpaced, one program's whole windows.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

import type { NativeSession } from '../../../native/session.js';
import type { Reply } from '../box.js';
import { CliError } from '../errors.js';
import { openBox, portName, type Driver } from './box.js';
import { pinThreads, processorNs, uniqueDevice } from './napi.js';
import { counterOf, missingPrograms, Spaces } from './spaces.js';
import { startWebClient, WebServer, webPrograms, type WebAnswer, type WebClient } from './web.js';

export const senders = ['many', 'windows'] as const;
export type Senders = (typeof senders)[number];

/** Who lets packets wait: nobody, the box for T or for as long as pays, or the receiver's own GRO for T. */
export type Waits = 'none' | 'box' | 'adaptive' | 'kernel';

export interface TcpMode {
  senders: Senders;
  contender: string;
  waits: Waits;
  /** T; of `adaptive` the most. */
  delayNs: number;
}

export interface TcpOptions {
  /** Lengths of the responses; each has its share of the connections. */
  files: readonly number[];
  connections: number;
  seconds: number;
  /** That many senders send together, payload bytes a second. */
  bytesPerSecond: number;
  /** How long the receiver's interface gathers frames before its stack sees them, as NICs coalesce interrupts. */
  gatherNs: number;
  driver: Driver;
  /** Of the receiver's interface; with several, each packet has a hash stored as from a NIC. */
  queues: number;
  /** Of senders, receiver and box. */
  senderCpu: number;
  receiverCpu: number;
  boxCpu: number;
}

export interface TcpTrial extends TcpMode {
  goodputMbps: number;
  /** By length of the response. */
  completion: { bytes: number; medianUs: number; p99Us: number }[];
  /** Of the receiver's NAPI thread and its programs, a frame that came. */
  receiverNs: number;
  /** Share of a core. */
  receiverPercent: number;
  /** Frames over what the receiver's IP layer got of them. */
  framesPerMerged: number;
  framesPerSecond: number;
  /** That came during T. */
  windowPackets: number;
  /** Packets of a flow in a row from senders to receiver, into the box and out of it; where it reframes. */
  slfIn?: number;
  slfOut?: number;
  /** Of the box's core, a packet of either direction. */
  boxNs: number;
  /** Which packets of a full ring the box did not get. */
  boxMissed: number;
  retransmitted: number;
  socketErrors: number;
}

const server = '10.77.0.1';
const client = '10.77.0.2';
const prefix = 'reframer-tcp-';
const places = ['client', 'box', 'server'] as const;
const pacedPort = 80;
const windowsPort = 8080;
// Until connections stand and the congestion windows have opened; the clients go on for as long at the end.
const settleMs = 500;

export const missingForTcp = (): string[] =>
  missingPrograms({ ip: 'iproute2', ethtool: 'ethtool', chrt: 'util-linux', ...webPrograms });

interface Counters {
  at: number;
  frames: number;
  merged: number;
  retransmitted: number;
  receiverNs: number;
}

export class TcpPath {
  private readonly spaces = new Spaces(prefix, places);
  private readonly inbound = uniqueDevice('c');
  private readonly threads: number[] = [];
  private readonly servers: WebServer[] = [];

  constructor(private readonly options: TcpOptions) {
    try {
      this.build();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private build(): void {
    const { spaces, inbound } = this;
    spaces.link('box', 'b0', 'server', 's0');
    spaces.link('box', 'b1', 'client', inbound, this.options.queues);
    spaces.ip('server', 'address', 'add', `${server}/24`, 'dev', 's0');
    spaces.ip('client', 'address', 'add', `${client}/24`, 'dev', inbound);
    spaces.in('client', 'ethtool', '-K', inbound, 'gro', 'on');
    const sys = `/sys/class/net/${inbound}`;
    spaces.write('client', `${sys}/napi_defer_hard_irqs`, '100');
    spaces.write('client', `${sys}/threaded`, '1');
    this.threads.push(...pinThreads(inbound, this.options.queues, this.options.receiverCpu));
    // One that paces by itself (BBR) would do so at rates of its own; this one every namespace may have.
    spaces.write('server', '/proc/sys/net/ipv4/tcp_congestion_control', 'reno');
    // A millisecond here stands for some microseconds of a fast wire: ticks of the timestamp option, one a
    // millisecond, would keep segments apart that share one there.
    spaces.write('server', '/proc/sys/net/ipv4/tcp_timestamps', '0');
    const files = Object.fromEntries(this.options.files.map((bytes) => [fileName(bytes), bytes]));
    // Before the box that polls on the same processor, if it does: a sender that waits is no sender.
    const inside = [
      ...spaces.inside('server'),
      ...['chrt', '-f', '1', 'taskset', '-c', String(this.options.senderCpu)],
    ];
    const common = { inside, address: server, files };
    this.servers.push(
      new WebServer({
        ...common,
        port: pacedPort,
        bytesPerSecond: Math.round(this.options.bytesPerSecond / this.options.connections),
      }),
      new WebServer({ ...common, port: windowsPort }),
    );
  }

  async trial(mode: TcpMode): Promise<TcpTrial> {
    const many = mode.senders === 'many';
    // Else a connection's timer lets go of several segments at once.
    this.spaces.ip('server', 'link', 'set', 's0', 'gso_max_segs', many ? '1' : '65535');
    // Behind a box that holds for T its packets are gathered, too: the kernel that waits gets both.
    const own = mode.waits === 'kernel' ? mode.delayNs : 0;
    this.spaces.write(
      'client',
      `/sys/class/net/${this.inbound}/gro_flush_timeout`,
      String(this.options.gatherNs + own),
    );
    const { driver, boxCpu: cpu, queues } = this.options;
    const box = await openBox(
      {
        ...{ inside: this.spaces.inside('box'), name: 'tcp', driver, in: 'b0', out: 'b1', cpu },
        hashes: queues > 1,
      },
      { bothWays: true, ...reframing(mode) },
    );
    try {
      return await this.ask(mode, box);
    } finally {
      box.end();
    }
  }

  private async ask(mode: TcpMode, box: NativeSession<Reply>): Promise<TcpTrial> {
    const { files, seconds, driver } = this.options;
    const port = mode.senders === 'many' ? pacedPort : windowsPort;
    const inside = [
      ...this.spaces.inside('client'),
      ...['taskset', '-c', String(this.options.receiverCpu)],
    ];
    const whole = Math.ceil(seconds + (3 * settleMs) / 1000);
    const clients = files.map((bytes, i) =>
      startWebClient(inside, `${server}:${port}/${fileName(bytes)}`, this.share(i), whole),
    );
    await wait(settleMs);
    const before = this.counters(clients);
    await wait(seconds * 1000);
    const after = this.counters(clients);
    const answers = await Promise.all(
      clients.map(async ({ answer }, i) => ({ bytes: files[i] ?? 0, ...(await answer) })),
    );
    const { summary } = await box.ask({ do: 'stop' });
    const lanes = summary?.lanes ?? [];
    const lane = lanes.find((each) => each.in === portName(driver, 0));
    const passed = lanes.reduce((sum, { received }) => sum + received, 0);
    if (lane === undefined || passed === 0)
      throw new CliError('linux-box', 'the box received nothing');
    const took = after.at - before.at;
    const frames = after.frames - before.frames;
    const receiverNs = after.receiverNs - before.receiverNs;
    return {
      ...mode,
      goodputMbps: answers.reduce((sum, a) => sum + a.requestsPerSecond * a.bytes * 8e-6, 0),
      completion: answers.map(({ bytes, medianUs, p99Us }) => ({ bytes, medianUs, p99Us })),
      receiverNs: receiverNs / frames,
      receiverPercent: (100 * receiverNs) / (took * 1e6),
      framesPerMerged: frames / Math.max(1, after.merged - before.merged),
      framesPerSecond: (1000 * frames) / took,
      windowPackets: (frames / took) * (mode.delayNs / 1e6),
      ...(lane.slfOut > 0 ? { slfIn: lane.slfIn, slfOut: lane.slfOut } : {}),
      boxNs: (1e3 * lanes.reduce((sum, { workUs }) => sum + workUs, 0)) / passed,
      boxMissed: summary?.missed ?? 0,
      retransmitted: after.retransmitted - before.retransmitted,
      socketErrors: answers.reduce((sum, a: WebAnswer) => sum + a.socketErrors, 0),
    };
  }

  /** Of the connections, for the file of that number. */
  private share(file: number): number {
    const { connections, files } = this.options;
    return Math.floor(connections / files.length) + (file < connections % files.length ? 1 : 0);
  }

  /** Without a program of its own in their namespaces: on these processors it would be in the way. */
  private counters(clients: readonly WebClient[]): Counters {
    const read = (pid: number, file: string): string =>
      readFileSync(`/proc/${pid}/net/${file}`, 'utf8');
    const [first] = clients;
    const [sender] = this.servers;
    if (first === undefined || sender === undefined)
      throw new CliError('tcp-client', 'nobody asks');
    const snmp = read(first.pid, 'snmp');
    const device = read(first.pid, 'dev')
      .split('\n')
      .find((line) => line.trim().startsWith(`${this.inbound}:`));
    return {
      frames: Number(device?.split(':')[1]?.trim().split(/\s+/)[1]),
      merged: counterOf(snmp, 'Ip', 'InReceives'),
      retransmitted: counterOf(read(sender.pid, 'snmp'), 'Tcp', 'RetransSegs'),
      receiverNs: [...this.threads, ...clients.map(({ pid }) => pid)].reduce(
        (sum, pid) => sum + processorNs(pid),
        0,
      ),
      at: performance.now(),
    };
  }

  errors(): string {
    return this.servers
      .map((each) => each.errors())
      .join('\n')
      .trim();
  }

  close(): void {
    for (const each of this.servers) each.close();
    this.spaces.close();
  }
}

const fileName = (bytes: number): string => `file-${bytes}`;

/** The last segment of a request or a response does not wait for more: nothing more comes. */
function reframing({ waits, delayNs }: TcpMode): object {
  if (waits === 'none' || waits === 'kernel') return { reframe: false };
  const policy = waits === 'adaptive' ? 'adaptive' : 'fixed';
  return { reframe: true, policy, delayNs, early: ['psh', 'fin'] };
}
