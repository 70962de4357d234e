import {
  balancerFunctions,
  frameWords,
  type BalancerFunctions,
  type NativeLoadBalancer,
  type NativeParams,
  type NativeQuic,
  type NativeServer,
  type NativeStats,
} from '../native/binding-balancer.js';
import { addressOf, reasonFrom } from '../native/binding.js';
import { inspectAs } from '../native/inspect.js';
import { isTime, noTime, type Time } from '../native/time.js';
import { LoadBalancerError } from './errors.js';
import {
  bytesOf,
  nativeParams,
  nativeQuic,
  nativeServer,
  type LoadBalancerOptions,
  type QuicOptions,
  type ServerOptions,
} from './options.js';

/**
 * Where a frame goes: it is not for the service (unchanged); to `server`; from `server` to a client; a
 * copy to each server, by `direct()` (unchanged); nowhere.
 */
export type Verdict = 'other' | 'server' | 'client' | 'all' | 'drop';
// As the native side counts them.
const verdicts: readonly Verdict[] = ['other', 'server', 'client', 'all', 'drop'];

export interface FrameResult {
  verdict: Verdict;
  /** Id; undefined where no server has to do with it. */
  server?: number;
}

/** How a server spreads packets over cores, as `ethtool -x` shows it. */
export interface ServerCores {
  /** 40 bytes. */
  key: Uint8Array;
  /** Core of each bucket; a power of two of them, at most 512. */
  table: ArrayLike<number>;
  /** Default: one more than the highest in `table`. */
  cores?: number;
}

/** Counters since creation; see balancer.h. */
export interface LoadBalancerStats {
  active: number;
  draining: number;
  connections: number;
  toServer: number;
  toClient: number;
  toAll: number;
  other: number;
  dropped: number;
  placed: number;
  byCookie: number;
  byTable: number;
  byQuic: number;
  byHash: number;
  wrongCookies: number;
  gone: number;
  strays: number;
  unrestored: number;
  lostFragments: number;
  errorsFollowed: number;
  carriedOn: number;
  refused: number;
  malformed: number;
  uniform: number;
  unroutableIds: number;
}

const noServer = 0xffff_ffff;
const errno = {
  notSupported: -95,
  noEntry: -2,
  noMemory: -12,
  exists: -17,
  invalid: -22,
  noSpace: -28,
} as const;

// Frees the instance of an object that nobody closed.
const unclosed = new FinalizationRegistry<() => void>((free) => free());

/** As ids are passed on; the native side cuts others to 32 bits, and would mean another server. */
const isId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < noServer;

/** Decides which server each frame belongs to, and rewrites it in place. */
export class LoadBalancer {
  readonly #functions: BalancerFunctions;
  readonly #serverDefaults = {} as NativeServer;
  #native: NativeLoadBalancer | undefined;
  #frames = new Uint32Array(64 * frameWords);

  /** @throws LoadBalancerError `bad-option`; NativeError without a native library */
  constructor(options: LoadBalancerOptions) {
    // No function in here may name `this`: all of them share what they hold, and the registry keeps one.
    const functions = balancerFunctions();
    this.#functions = functions;
    const defaults = {} as NativeParams;
    functions.defaultParams(defaults);
    functions.defaultServer(this.#serverDefaults);
    const params = nativeParams(options, defaults);
    const out: [NativeLoadBalancer | null] = [null];
    const result = functions.create(params, out);
    if (result !== 0 || out[0] === null)
      throw result === errno.noMemory
        ? new LoadBalancerError('out-of-memory', 'the balancer could not be allocated')
        : new LoadBalancerError(
            'bad-option',
            reasonFrom((...to) => functions.check(params, ...to)),
          );
    const { free } = functions;
    const [created] = out;
    this.#native = created;
    unclosed.register(this, () => free(created), this);
  }

  /**
   * @param address of each family that the service has
   * @returns the server's id, the same as long as it is in the pool.
   */
  add(address: string | readonly string[], options: ServerOptions = {}): number {
    const id = this.#functions.add(
      this.#open(),
      nativeServer(address, options, this.#serverDefaults),
    );
    if (id >= 0) return id;
    const told = typeof address === 'string' ? address : address.join(', ');
    if (id === errno.exists)
      throw new LoadBalancerError('exists', `${told} is in the pool already`);
    if (id === errno.noSpace)
      throw new LoadBalancerError('full', 'there are as many servers as maxServers allows');
    if (id === errno.noMemory) throw new LoadBalancerError('out-of-memory', 'no memory for tables');
    if ((options.weight ?? 0) > 1000)
      throw new LoadBalancerError(
        'bad-option',
        `weight is ${options.weight}, must be 0 to 1000`,
        'weight',
      );
    throw new LoadBalancerError(
      'bad-option',
      `address is ${told}: a server has the families of the service`,
      'address',
    );
  }
  /** No new connections; those that it has go on. */
  drain(id: number): void {
    this.#checked(this.#functions.drain(this.#open(), this.#known(id)), id);
  }
  /** Takes new connections again. */
  activate(id: number): void {
    this.#checked(this.#functions.activate(this.#open(), this.#known(id)), id);
  }
  /** Ends its connections too. */
  remove(id: number): void {
    this.#checked(this.#functions.remove(this.#open(), this.#known(id)), id);
  }
  /** @param weight 0..1000 */
  setWeight(id: number, weight: number): void {
    if (!Number.isInteger(weight) || weight < 0 || weight > 1000)
      throw new LoadBalancerError('bad-option', `weight is ${weight}, must be 0 to 1000`, 'weight');
    this.#checked(this.#functions.setWeight(this.#open(), this.#known(id), weight), id);
  }
  /** How busy a server is, 0 or more, on any scale that all share. */
  reportLoad(id: number, load: number): void {
    const result = this.#functions.reportLoad(this.#open(), this.#known(id), load);
    this.#checked(result, id, `load is ${load}`, 'load');
  }
  /** For `cross-rss`: how a server spreads packets over its cores. */
  setCores(id: number, of: ServerCores): void {
    const given = Array.from(of.table);
    const table = Uint16Array.from(given);
    // What 16 bits do not hold would come out as another core.
    const odd = given.findIndex((core, i) => table[i] !== core);
    if (odd >= 0)
      throw new LoadBalancerError(
        'bad-option',
        `table[${odd}] is ${given[odd]}, which is no core`,
        'table',
      );
    const cores = of.cores ?? Math.max(0, ...table) + 1;
    if (!Number.isInteger(cores) || cores < 1 || cores > 0xffff)
      throw new LoadBalancerError(
        'bad-option',
        `cores is ${cores}, no whole number from 1`,
        'cores',
      );
    const result = this.#functions.setCores(this.#open(), this.#known(id), {
      key: bytesOf('key', of.key, 40),
      nb_buckets: table.length,
      nb_cores: cores,
      table,
    });
    this.#checked(result, id, `table has ${table.length} buckets for ${cores} cores`, 'table');
  }
  /** Load of each core, on the scale of `connectionLoad`. */
  reportCores(id: number, loads: ArrayLike<number>): void {
    // They are 32-bit floats on the way.
    const odd = Array.from(loads).findIndex((load) => !(load >= 0 && Math.fround(load) < Infinity));
    if (odd >= 0)
      throw new LoadBalancerError('bad-option', `loads[${odd}] is ${loads[odd]}, no load`, 'loads');
    const result = this.#functions.reportCores(
      this.#open(),
      this.#known(id),
      Float32Array.from(loads),
      loads.length,
    );
    this.#checked(
      result,
      id,
      `loads has ${loads.length} entries, which are not its cores`,
      'loads',
    );
  }
  /** Ids of servers in the pool. */
  servers(): number[] {
    const ids = new Uint32Array(4096);
    return [...ids.subarray(0, this.#functions.servers(this.#open(), ids, ids.length))];
  }

  /** Reads QUIC connection ids of this rotation so from now on. */
  setQuic(options: QuicOptions = {}): void {
    const defaults = {} as NativeQuic;
    this.#functions.defaultQuic(defaults);
    const result = this.#functions.setQuic(this.#open(), nativeQuic(options, defaults));
    if (result === errno.notSupported)
      throw new LoadBalancerError('not-supported', 'this CPU has no instructions for AES', 'key');
    if (result === errno.noMemory) throw new LoadBalancerError('out-of-memory', 'no memory for it');
    if (result < 0)
      throw new LoadBalancerError(
        'bad-option',
        "rotation is 0 to 6, serverIdLength 1 to 15, nonceLength 4 to 18, at most 19 together; ids need the memory 'cookie'",
      );
  }
  /** @returns whether there was such a rotation */
  clearQuic(rotation: number): boolean {
    return isId(rotation) && this.#functions.clearQuic(this.#open(), rotation) === 0;
  }
  /** A connection id of a server, as the server itself would make it. */
  quicId(rotation: number, id: number, nonce: Uint8Array): Uint8Array {
    const native = this.#open();
    const padded = new Uint8Array(20); // as long as the longest nonce
    padded.set(nonce.subarray(0, 20));
    const out = new Uint8Array(20);
    const length =
      isId(rotation) && isId(id)
        ? this.#functions.quicId(native, rotation, id, padded, out)
        : errno.noEntry;
    if (length < 0)
      throw new LoadBalancerError(
        'bad-option',
        `there is no rotation ${rotation} whose ids have room for server ${id}`,
      );
    return out.subarray(0, length);
  }

  /** Decides on Ethernet frames, in order, and rewrites them in place. */
  process(frames: readonly Uint8Array[], nowNs: Time): FrameResult[] {
    const native = this.#open();
    if (!isTime(nowNs)) throw new LoadBalancerError('bad-option', noTime('nowNs', nowNs), 'nowNs');
    if (!Array.isArray(frames))
      throw new LoadBalancerError('bad-frame', 'the frames are no array of Uint8Array');
    if (this.#frames.length < frames.length * frameWords)
      this.#frames = new Uint32Array(frames.length * frameWords);
    const words = this.#frames;
    const pointers = new BigUint64Array(words.buffer);
    for (let i = 0; i < frames.length; i++) {
      const frame: unknown = frames[i];
      // All of them before any is rewritten: a gap in the list would leave an earlier call's pointer.
      if (!(frame instanceof Uint8Array))
        throw new LoadBalancerError('bad-frame', `frame ${i} has no bytes: it is no Uint8Array`);
      pointers[(i * frameWords) / 2] = addressOf(frame);
      words[i * frameWords + 2] = frame.length;
    }
    this.#functions.process(native, words, frames.length, nowNs);
    return frames.map((_, i) => {
      const server = words[i * frameWords + 3] ?? noServer;
      const verdict = verdicts[words[i * frameWords + 4] ?? 0] ?? 'other';
      return server === noServer ? { verdict } : { verdict, server };
    });
  }
  /** Rewrites a frame of verdict `all`, or a copy of it, for one server. */
  direct(frame: Uint8Array, id: number): void {
    if (!((frame as unknown) instanceof Uint8Array))
      throw new LoadBalancerError('bad-frame', 'the frame has no bytes: it is no Uint8Array');
    const result = this.#functions.direct(this.#open(), frame, frame.length, this.#known(id));
    if (result === errno.invalid)
      throw new LoadBalancerError('bad-frame', 'this frame cannot be directed to a server');
    this.#checked(result, id);
  }

  stats(): LoadBalancerStats {
    const s: NativeStats = {};
    this.#functions.stats(this.#open(), s);
    const entries = Object.entries(s)
      .filter(([name]) => name !== 'reserved')
      .map(([name, value]) => [
        name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
        Number(value),
      ]);
    return Object.fromEntries(entries) as LoadBalancerStats;
  }

  close(): void {
    if (this.#native === undefined) return;
    this.#functions.free(this.#native);
    this.#native = undefined;
    unclosed.unregister(this);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  [Symbol.for('nodejs.util.inspect.custom')](): object {
    if (this.#native === undefined) return inspectAs('LoadBalancer', { closed: true });
    const { active, draining, connections, placed } = this.stats();
    return inspectAs('LoadBalancer', { active, draining, connections, placed });
  }

  #open(): NativeLoadBalancer {
    if (this.#native === undefined)
      throw new LoadBalancerError('closed', 'this load balancer was closed');
    return this.#native;
  }
  #known(id: number): number {
    if (isId(id)) return id;
    throw noServerWith(id);
  }
  #checked(result: number, id: number, what = 'an option is out of range', option?: string): void {
    if (result === errno.noEntry) throw noServerWith(id);
    if (result === errno.noMemory)
      throw new LoadBalancerError('out-of-memory', 'no memory for tables');
    if (result < 0) throw new LoadBalancerError('bad-option', what, option);
  }
}

const noServerWith = (id: number): LoadBalancerError =>
  new LoadBalancerError('no-server', `no server of the pool has the id ${String(id)}`);
