import { inspectAs } from '../native/inspect.js';
import { dpdkProgram, labProgram, type NativeFile } from '../native/loader.js';
import { NativeSession, SessionError } from '../native/session.js';
import type { Backend } from './backend.js';
import type { Epoch } from './balancer.js';
import { RssppError } from './errors.js';

/** Cores on a multi-queue TAP in a network namespace of its own, with traffic of its own. */
export interface TapSpec {
  kind: 'tap';
  cores?: number;
  entries?: number;
  flows?: number;
  /** Zipf exponent of the flows' shares. */
  skew?: number;
  packetsPerSecond?: number;
  /** Rounds of arithmetic a packet, about a nanosecond each. */
  workRounds?: number;
  ringDepth?: number;
  seed?: number;
}

/** The indirection table of an interface of Linux; packets are counted by XDP, loads are those of CPUs. */
export interface EthtoolSpec {
  kind: 'ethtool';
  interface: string;
  /** CPU that serves each queue; default: queue i is CPU i's. */
  cpus?: number[];
}

/**
 * A table in front of an interface that has none: an XDP program gives each packet to the CPU that the
 * table names for its bucket. Needs XDP in the interface's driver and Linux 5.18.
 */
export interface CpumapSpec {
  kind: 'cpumap';
  interface: string;
  /** CPUs that take packets; default: those that this process may use. */
  cpus?: number[];
  /** Of the table, a power of two up to 4096; default 512. */
  entries?: number;
  /** Frames that wait for a CPU at most, 8 to 16384; default 2048. */
  queueDepth?: number;
}

/** Cores that receive, count and free the packets of a DPDK port. Needs a build with DPDK. */
export interface DpdkSpec {
  kind: 'dpdk';
  /** Options of EAL. Unless they allow a PCI device it gets --no-pci. */
  eal: string[];
  /** EAL's name of the port. */
  port: string;
  /** The port's RETA, flow rules, or a dispatching core; default `reta`. */
  table?: 'reta' | 'flow' | 'software';
  cores?: number;
  /** Of flow rules or software; a RETA has its own size. */
  entries?: number;
  workRounds?: number;
}

export type DeviceSpec = TapSpec | EthtoolSpec | CpumapSpec | DpdkSpec;

/** What the device counted; `refused` table entries could not be put back. */
export type DeviceSummary = Readonly<Record<string, number>>;

interface Reply {
  ready?: { name: string; entries: number; queues: number };
  error?: { code: string; message: string } | string;
  failed?: string;
  table?: number[];
  refused?: number[];
  packets?: number[];
  loads?: number[];
  details?: Record<string, number>;
  summary?: Record<string, number>;
}

const jobs: Readonly<Record<DeviceSpec['kind'], { program: NativeFile; job: string }>> = {
  tap: { program: labProgram, job: 'balance-tap' },
  ethtool: { program: labProgram, job: 'balance-ethtool' },
  cpumap: { program: labProgram, job: 'balance-cpumap' },
  dpdk: { program: dpdkProgram, job: 'balance-dpdk' },
};

/**
 * A device that a native process of its own works on. However this process ends, that one puts the
 * first table back.
 */
export class Device implements Backend {
  /** As of the last sample: counters of this kind of device. */
  details: Readonly<Record<string, number>> = {};
  /** As of the last sample: load of each core. */
  loads: readonly number[] = [];
  readonly #session: NativeSession<Reply>;
  #ended = false;

  private constructor(
    readonly name: string,
    readonly entries: number,
    readonly queues: number,
    session: NativeSession<Reply>,
  ) {
    this.#session = session;
  }

  /** @throws RssppError `not-supported`, `bad-option`, `backend` */
  static async open({ kind, ...spec }: DeviceSpec): Promise<Device> {
    if (!Object.hasOwn(jobs, kind))
      throw new RssppError(
        'bad-option',
        `kind is '${String(kind)}', must be one of ${Object.keys(jobs).join(', ')}`,
        'kind',
      );
    const { program, job } = jobs[kind];
    const session = await orBackend(NativeSession.open<Reply>(program, job, spec));
    const { first } = session;
    if (first.ready === undefined) {
      session.end();
      throw openingError(first);
    }
    return new Device(first.ready.name, first.ready.entries, first.ready.queues, session);
  }

  tableSize(): number {
    return this.entries;
  }

  async readTable(): Promise<number[]> {
    const { table } = await this.#ask({ do: 'table' });
    if (table === undefined) throw new RssppError('backend', `${this.name}: no table came`);
    return table;
  }

  async writeTable(table: readonly number[], changed: readonly number[]): Promise<void> {
    const reply = await this.#ask({
      do: 'write',
      entries: changed.map((bucket) => [bucket, table[bucket]]),
    });
    if (typeof reply.error === 'string')
      throw new RssppError('backend', `${this.name}: ${reply.error}`);
  }

  async sample(): Promise<Epoch> {
    const { packets, loads, details } = await this.#ask({ do: 'sample' });
    if (packets === undefined || loads === undefined)
      throw new RssppError('backend', `${this.name}: no counters came`);
    this.details = details ?? {};
    this.loads = loads;
    return { packets, coreLoads: loads };
  }

  /** Puts the first table back and ends the device's process; that ends whatever it answers. */
  async close(): Promise<DeviceSummary> {
    const answer = this.#ask({ do: 'stop' });
    this.#ended = true;
    // Its input ends: it puts the table back by itself, and this process is not kept.
    const { summary } = await answer.finally(() => this.#session.end());
    if (summary === undefined)
      throw new RssppError('backend', `${this.name}: ended without a summary`);
    return summary;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('Device', this.toJSON());
  }

  toJSON(): { name: string; entries: number; queues: number; closed: boolean } {
    return {
      name: this.name,
      entries: this.entries,
      queues: this.queues,
      closed: this.#ended,
    };
  }

  async #ask(command: object): Promise<Reply> {
    if (this.#ended) throw new RssppError('closed', `${this.name}: this device was closed`);
    const reply = await orBackend(this.#session.ask(command));
    if (reply.failed !== undefined)
      throw new RssppError('backend', `${this.name}: ${reply.failed}`);
    return reply;
  }
}

async function orBackend<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof SessionError
      ? new RssppError('backend', `the device: ${error.message}`)
      : error;
  }
}

function openingError({ error }: Reply): RssppError {
  if (error === undefined || typeof error === 'string')
    return new RssppError('backend', error ?? 'the device did not get ready');
  if (error.code === 'not-supported') return new RssppError('not-supported', error.message);
  return new RssppError(error.code === 'bad-spec' ? 'bad-option' : 'backend', error.message);
}
