// A sender, a router and a sink, each a network namespace of our own, in a row. The router's work runs
// in the kernel's NAPI threads, pinned to one core; the sink counts what comes, and drops it.
import { labProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import { CliError, exitCodes } from '../errors.js';
import type { Driver } from './box.js';
import type { KernelSettings } from './kernels.js';
import { pinThreads, uniqueDevice } from './napi.js';
import { missingPrograms, run, Spaces } from './spaces.js';

export const functions = ['forward', 'firewall', 'bridge'] as const;
export type LinuxFunction = (typeof functions)[number];

export interface PathOptions extends KernelSettings {
  function: LinuxFunction;
  cpu: number;
  /** A box between sender and router, such as live.ts runs; otherwise none. */
  box?: Driver | undefined;
}

/** Names begin with it; the number behind it is the process that they belong to. */
const prefix = 'reframer-linux-';
const names = ['sender', 'box', 'router', 'sink'] as const;
type Place = (typeof names)[number];

const senderAddress = '10.78.0.1';
const routerAddress = '10.78.0.254';
const sinkAddress = '10.78.1.1';
// Long enough that the interrupt stays off while packets come without a pause.
const deferredPolls = '100';
// Of a queue that a program polls: how long after its last look the kernel looks itself.
const watchNs = 200_000;
const busyPort = 9;

const programs = { ip: 'iproute2', ethtool: 'ethtool', nft: 'nftables', taskset: 'util-linux' };

/** What is missing for this; empty: nothing. */
export const missingForLinux = (): string[] => missingPrograms(programs);

export interface Arrived {
  /** One may be several segments merged. */
  frames: number;
  /** Of their payload. */
  bytes: number;
  outOfOrder: number;
  /** From a segment's stamp; 0 where they have none. */
  delayP50Us: number;
  delayP99Us: number;
}

interface SinkReply extends Arrived {
  ready?: object;
  error?: { code: string; message: string };
}

interface PollerReply {
  ready?: { thread: number };
  error?: { code: string; message: string };
  napi?: number;
}

export class LinuxPath {
  readonly destination = sinkAddress;
  readonly source = senderAddress;
  readonly interface = 's0';
  private readonly inbound = uniqueDevice('r');
  threads: number[] = [];
  destinationMac = '';
  private sink: NativeSession<SinkReply> | undefined;
  private poller: NativeSession<PollerReply> | undefined;

  private readonly spaces = new Spaces(prefix, names);

  private constructor(readonly options: PathOptions) {}

  static async open(options: PathOptions): Promise<LinuxPath> {
    const path = new LinuxPath(options);
    try {
      path.build();
      await path.startSink();
      if (options.busyPoll) await path.startPolling();
    } catch (error) {
      path.close();
      throw error;
    }
    return path;
  }

  /** In front of a program that is to run there. */
  inside(place: Place): string[] {
    return this.spaces.inside(place);
  }

  private build(): void {
    const { queues, cpu } = this.options;
    // Both ends have as many queues: a packet of a queue that the other lacks goes past NAPI.
    if (this.options.box === undefined) this.link('s0', 'sender', this.inbound, 'router', queues);
    else {
      this.link('s0', 'sender', 'b0', 'box', queues);
      this.link('b1', 'box', this.inbound, 'router', queues);
      for (const end of ['b0', 'b1'])
        this.spaces.in('box', ...['ethtool', '-K', end, 'tso', 'off', 'gso', 'off', 'tx', 'off']);
    }
    this.link('r1', 'router', 'k0', 'sink', 1);
    // Else whole segments of TSO come through, and the other end does without GRO.
    this.spaces.in('sender', 'ethtool', '-K', 's0', 'tso', 'off', 'gso', 'off');
    if (!this.options.checkedByNic) this.spaces.in('sender', 'ethtool', '-K', 's0', 'tx', 'off');
    this.spaces.in('router', 'ethtool', '-K', this.inbound, 'gro', 'on');
    if (!this.options.merges)
      this.spaces.ip('router', 'link', 'set', this.inbound, 'gro_max_size', '1');
    if (this.options.fraglist)
      this.spaces.in('router', 'ethtool', '-K', this.inbound, 'rx-gro-list', 'on');
    for (const [place, device] of this.devices) this.spaces.ip(place, 'link', 'set', device, 'up');
    this.startFunction();
    const sys = `/sys/class/net/${this.inbound}`;
    const flushNs = this.options.flushNs || (this.options.busyPoll ? watchNs : 0);
    if (flushNs > 0) {
      this.spaces.write('router', `${sys}/gro_flush_timeout`, String(flushNs));
      this.spaces.write('router', `${sys}/napi_defer_hard_irqs`, deferredPolls);
    }
    if (this.options.busyPoll) return;
    this.spaces.write('router', `${sys}/threaded`, '1');
    this.threads = pinThreads(this.inbound, queues, cpu);
    // Beside a box that polls on their processor: else packets wait in the ring for their turn, and it
    // overflows.
    if (this.options.box !== undefined)
      for (const thread of this.threads) run('chrt', '-f', '-p', '1', String(thread));
  }

  private get devices(): (readonly [Place, string])[] {
    return [
      ['sender', 's0'],
      ...(this.options.box === undefined
        ? []
        : ([
            ['box', 'b0'],
            ['box', 'b1'],
          ] as const)),
      ['router', this.inbound],
      ['router', 'r1'],
      ['sink', 'k0'],
    ];
  }

  private link(one: string, here: Place, other: string, there: Place, queues: number): void {
    const count = ['numtxqueues', String(queues), 'numrxqueues', String(queues)];
    this.spaces.ip(
      here,
      'link',
      'add',
      one,
      ...count,
      'type',
      'veth',
      'peer',
      'name',
      other,
      ...count,
      'netns',
      this.spaces.name(there),
    );
  }

  private mac(place: Place, device: string): string {
    const link = JSON.parse(this.spaces.ip(place, '-json', 'link', 'show', device)) as {
      address: string;
    }[];
    return link[0]?.address ?? '';
  }

  private startFunction(): void {
    const sinkMac = this.mac('sink', 'k0');
    if (this.options.function === 'bridge') {
      this.spaces.ip('router', 'link', 'add', 'b0', 'type', 'bridge');
      this.spaces.ip('router', 'link', 'set', this.inbound, 'master', 'b0');
      this.spaces.ip('router', 'link', 'set', 'r1', 'master', 'b0');
      this.spaces.ip('router', 'link', 'set', 'b0', 'up');
      run(
        'bridge',
        '-n',
        this.spaces.name('router'),
        'fdb',
        'replace',
        sinkMac,
        'dev',
        'r1',
        'master',
        'static',
      );
      this.destinationMac = sinkMac;
      return;
    }
    this.destinationMac = this.mac('router', this.inbound);
    this.spaces.ip('router', 'address', 'add', `${routerAddress}/24`, 'dev', this.inbound);
    this.spaces.ip('router', 'address', 'add', '10.78.1.254/24', 'dev', 'r1');
    this.spaces.ip('router', 'neighbour', 'replace', sinkAddress, 'lladdr', sinkMac, 'dev', 'r1');
    this.spaces.write('router', '/proc/sys/net/ipv4/ip_forward', '1');
    if (this.options.function === 'firewall') this.spaces.in('router', 'nft', firewall);
  }

  private async startSink(): Promise<void> {
    this.sink = await NativeSession.open<SinkReply>(
      labProgram,
      'linux-sink',
      { interface: 'k0' },
      this.spaces.inside('sink'),
    );
    const { error } = this.sink.first;
    if (error === undefined) return;
    throw new CliError(
      error.code,
      `counting behind the router: ${error.message}`,
      error.code === 'not-supported' ? exitCodes.notSupported : exitCodes.failed,
    );
  }

  /** A program that polls the queue of the router's interface; which one, a datagram tells it. */
  private async startPolling(): Promise<void> {
    const { cpu } = this.options;
    const spec = { address: routerAddress, port: busyPort, cpu };
    const inside = this.spaces.inside('router');
    this.poller = await NativeSession.open<PollerReply>(labProgram, 'linux-busy', spec, inside);
    const { ready, error } = this.poller.first;
    if (ready === undefined)
      throw new CliError(
        error?.code ?? 'linux-busy',
        `polling the queue: ${error?.message ?? 'the program did not get ready'}`,
        exitCodes.notSupported,
      );
    this.threads = [ready.thread];
    this.spaces.ip('sender', 'address', 'add', `${senderAddress}/24`, 'dev', 's0');
    for (let tries = 0; tries < 20; tries++) {
      this.spaces.in('sender', 'bash', '-c', `echo > /dev/udp/${routerAddress}/${busyPort}`);
      if (((await this.poller.ask({ do: 'read' })).napi ?? 0) > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new CliError('linux-busy', 'no datagram told the program which queue it is to poll');
  }

  /** What arrives counts from here on, and the flows begin anew. */
  async beginCount(): Promise<void> {
    await this.sink?.ask({ do: 'begin' });
  }

  async arrived(): Promise<Arrived> {
    if (this.sink === undefined) throw new CliError('linux-path', 'nobody counts');
    return this.sink.ask({ do: 'read' });
  }

  close(): void {
    this.poller?.end();
    this.sink?.end();
    this.spaces.close();
  }
}

/** Each packet is looked up in the connection table, as in any stateful firewall. */
const firewall = [
  'add table ip f',
  'add chain ip f forward { type filter hook forward priority 0; policy drop; }',
  'add rule ip f forward ct state established accept',
  'add rule ip f forward ct state invalid drop',
  'add rule ip f forward tcp dport 80 ct state new accept',
].join('; ');
