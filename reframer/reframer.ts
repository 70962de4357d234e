import { addressOf, reasonFrom } from '../native/binding.js';
import {
  NativeBurst,
  reframerFunctions,
  runWords,
  type NativeParams,
  type NativeStage,
  type ReframerFunctions,
} from '../native/binding-reframer.js';
import { ReframerError } from './errors.js';
import {
  applyOptions,
  choice,
  maxDelayNs,
  policies,
  whole,
  type Policy,
  type ReframerOptions,
} from './options.js';
import {
  readHoldHistogram,
  readStats,
  reasons,
  type HoldBucket,
  type Reason,
  type ReframerStats,
} from './stats.js';

/** Nanoseconds of any monotonic clock: `process.hrtime.bigint()`, or a virtual clock's number. */
export type Time = number | bigint;

/** A packet of your own making; what is not named here is yours. */
export interface Packet {
  /** The frame, or its first bytes. Only read during `push`. */
  readonly data: Uint8Array;
  /** Length on the wire, bytes, up to 2^32 - 1; default: that of `data`. */
  readonly wireLength?: number;
  /** The NIC's RSS hash, 0 to 2^32 - 1. Every packet that an instance ever gets has one, or none has. */
  readonly hash?: number;
}

/** Many frames in one buffer: frame i is data[offsets[i]] up to data[offsets[i + 1]]. */
export interface PackedBurst<T> {
  readonly data: Uint8Array;
  /** One more entry than frames. */
  readonly offsets: Uint32Array;
  /** What `poll` hands back for each frame. */
  readonly handles: ArrayLike<T>;
  /** Lengths on the wire; default: as in `data`. */
  readonly wireLengths?: Uint32Array;
  /** The NIC's RSS hashes. Every burst of an instance brings them, or none does. */
  readonly hashes?: Uint32Array;
}

/** Consecutive released packets of one group: one lookup serves them all. */
export interface Run {
  /** Index of its first packet in `packets`. */
  first: number;
  count: number;
  /** Equal keys have equal hashes; two flows may share one, so compare before you rely on it. */
  hash: number;
  reason: Reason;
}

/** Packets of one run, taken out of what was released. */
export interface Group<T> {
  packets: T[];
  hash: number;
  reason: Reason;
}

/** What a poll gave out: packets in order of release, and the runs that they make. */
export class Released<T> {
  readonly packets: T[] = [];
  readonly runs: Run[] = [];

  /**
   * One run after the other: what does one lookup a flow does it once a group.
   *
   * ```ts
   * for (const { packets } of reframer.poll(now).groups()) rewrite(packets);
   * ```
   */
  *groups(): Generator<Group<T>, undefined> {
    for (const { first, count, hash, reason } of this.runs)
      yield { packets: this.packets.slice(first, first + count), hash, reason };
    return undefined;
  }

  /** All packets. */
  [Symbol.iterator](): Iterator<T> {
    return this.packets[Symbol.iterator]();
  }
}

/** What the caller knows of its own load, for the adaptive policy. */
export interface Load {
  queueLength: number;
  queueCapacity: number;
  /** Useful and all cycles since the last report, any one unit. */
  busyCycles: number;
  totalCycles: number;
  /** Packets processed since the last report. */
  packets: number;
}

// Packets taken from the native side in one call.
const pollRoom = 512;

// Frees the instance of an object that nobody closed.
const unclosed = new FinalizationRegistry<() => void>((free) => free());

/**
 * Holds packets for some microseconds and releases them flow by flow.
 *
 * `T` is what you push and what comes back, the very same objects: `Uint8Array` frames, or objects
 * with their frame in `data` (`push`), or anything at all as handles of a packed burst
 * (`pushPacked`). Headers are copied at push into memory that the instance owns, so your buffers
 * may be reused at once, and nothing the engine reads can be collected under it.
 *
 * What it promises is in native/include/reframer/reframer.h: every packet leaves once, flows keep
 * their order, nothing is dropped, no packet waits longer than T plus one poll.
 *
 * Not safe for use from several threads at a time; each worker has instances of its own.
 */
export class Reframer<T = Uint8Array> {
  private readonly native: ReframerFunctions;
  private stage: NativeStage | undefined;
  private readonly slots: SlotPool<T>;
  private readonly out = new BigUint64Array(pollRoom);
  private readonly runs = new Uint32Array(pollRoom * runWords);
  private readonly nbRuns = new Uint32Array(1);
  // Whose hash groups the packets of this instance; undefined until the first one came.
  private nicHashes: boolean | undefined;
  // The same of the burst that is being taken in.
  private staged = false;
  private polled = true;
  /** Options in force, defaults filled in. */
  readonly maxPackets: number;

  /** @throws ReframerError `bad-option`, `out-of-memory`; NativeError */
  constructor(options: ReframerOptions = {}) {
    this.native = reframerFunctions();
    const defaults = {} as NativeParams;
    this.native.defaultParams(defaults);
    const params = applyOptions(options, defaults);
    const headerBytes = whole('headerBytes', options.headerBytes ?? 512, 64, 65536);
    const stage: [NativeStage | null] = [null];
    const status = this.native.create(params, stage);
    if (status !== 0 || stage[0] === null) {
      throw status === -12
        ? new ReframerError(
            'out-of-memory',
            `cannot allocate room for ${params.max_packets} packets`,
          )
        : new ReframerError(
            'bad-option',
            `the engine refused the options: ${reasonFrom((...to) => this.native.check(params, ...to))}`,
          );
    }
    const { native } = this;
    const created = stage[0];
    this.stage = created;
    this.maxPackets = params.max_packets;
    // Waiting packets, and as many again that are due but not yet polled.
    this.slots = new SlotPool(2 * params.max_packets, headerBytes);
    // The registry keeps `slots` alive until the engine that reads from it is gone.
    const { slots } = this;
    unclosed.register(
      this,
      () => {
        native.free(created);
        slots.forget();
      },
      this,
    );
  }

  /**
   * Takes packets in.
   *
   * `maxPackets` is how many may wait. After a poll a burst of up to that many is taken whole: what is
   * then too much leaves at the next poll, the groups that are due next first. Without a poll in
   * between, no more than `maxPackets` are inside after a push.
   * @param now never below an earlier one
   * @returns how many were accepted, from the front: all of them if the burst is no longer than
   *   `maxPackets` and every push is followed by a poll
   * @throws ReframerError `bad-burst`: nothing of the burst was taken
   */
  push(packets: readonly (T & (Uint8Array | Packet))[], now: Time): number {
    const stage = this.alive();
    const time = checkTime(now);
    if (!Array.isArray(packets)) throw bad('packets must be an array');
    const { slots } = this;
    const count = Math.min(packets.length, this.room());
    for (let i = 0; i < count; i++) {
      const packet: unknown = packets[i];
      const bytes = packet instanceof Uint8Array;
      const { data, hash, wireLength } = bytes ? { data: packet, ...none } : fieldsOf(packet);
      if (!(data instanceof Uint8Array))
        throw bad(`packet ${i} has no bytes: pass a Uint8Array, or an object with one in \`data\``);
      this.sameHashes(i, hash !== undefined);
      if (hash !== undefined && !isWord(hash))
        throw bad(
          `packet ${i} has the hash ${shown(hash)}: a hash is a whole number from 0 to 2^32 - 1`,
        );
      if (wireLength !== undefined && !isWord(wireLength))
        throw bad(
          `packet ${i} has the wireLength ${shown(wireLength)}: a whole number from 0 to 2^32 - 1`,
        );
      slots.stage(i, packets[i] as T, data, 0, data.length, wireLength ?? data.length, hash ?? 0);
    }
    return this.commit(stage, count, time);
  }

  /** As `push`, for frames that lie in one buffer. */
  pushPacked(burst: PackedBurst<T>, now: Time): number {
    const stage = this.alive();
    const time = checkTime(now);
    checkColumns(burst);
    const { data, offsets, handles, wireLengths, hashes } = burst;
    const frames = offsets.length - 1;
    const { slots } = this;
    const count = Math.min(frames, this.room());
    if (count > 0) this.sameHashes(0, hashes !== undefined);
    for (let i = 0; i < count; i++) {
      const start = offsets[i] ?? 0;
      const end = offsets[i + 1] ?? 0;
      if (end < start || end > data.length)
        throw bad(`frame ${i} lies from ${start} to ${end} in a buffer of ${data.length} bytes`);
      slots.stage(
        i,
        handles[i] as T,
        data,
        start,
        end,
        wireLengths?.[i] ?? end - start,
        hashes?.[i] ?? 0,
      );
    }
    return this.commit(stage, count, time);
  }

  /** Gives out everything that is due, in order of release. */
  poll(now: Time): Released<T> {
    return this.collect(this.native.poll, now);
  }

  /** Gives out everything, due or not. */
  drain(now: Time): Released<T> {
    return this.collect(this.native.drain, now);
  }

  /** Packets taken out by ACK thinning since the last call. */
  takeThinned(): T[] {
    const stage = this.alive();
    const thinned: T[] = [];
    for (;;) {
      const count = this.native.takeThinned(stage, this.out, pollRoom);
      for (let i = 0; i < count; i++) thinned.push(this.slots.release(this.out[i] ?? 0n));
      if (count < pollRoom) return thinned;
    }
  }

  /** When the next held packet is due, in the clock of `now`; undefined when none is held. */
  nextDeadline(): bigint | undefined {
    const deadline = BigInt(this.native.nextDeadline(this.alive()));
    return deadline === 0xffff_ffff_ffff_ffffn ? undefined : deadline;
  }

  /** Changes policy and T. What is held keeps its deadline or gets an earlier one. */
  setPolicy(policy: Policy, delayNs: number): void {
    const stage = this.alive();
    const status = this.native.setPolicy(
      stage,
      choice('policy', policy, policies),
      whole('delayNs', delayNs, 0, maxDelayNs),
    );
    if (status !== 0)
      throw new ReframerError(
        'bad-option',
        `the engine refused the policy: ${this.native.strerror(status)}`,
        'policy',
      );
  }

  /**
   * Makes the groups whose (hash & mask) is `value` due at the next poll, before a bucket of an
   * indirection table moves to another core.
   * @returns groups
   */
  releaseBucket(mask: number, value: number): number {
    return this.native.releaseBucket(
      this.alive(),
      whole('mask', mask, 0, 0xffff_ffff),
      whole('value', value, 0, 0xffff_ffff),
    );
  }

  /** Tells the adaptive policy how busy the caller is; once a poll or less often. */
  reportLoad(load: Load): void {
    this.native.reportLoad(this.alive(), {
      queue_length: whole('queueLength', load.queueLength, 0, 2 ** 32 - 1),
      queue_capacity: whole('queueCapacity', load.queueCapacity, 0, 2 ** 32 - 1),
      busy_cycles: whole('busyCycles', load.busyCycles, 0, Number.MAX_SAFE_INTEGER),
      total_cycles: whole('totalCycles', load.totalCycles, 0, Number.MAX_SAFE_INTEGER),
      packets: whole('packets', load.packets, 0, Number.MAX_SAFE_INTEGER),
    });
  }

  stats(): ReframerStats {
    return readStats(this.alive());
  }

  /** Hold times since creation or `resetStats()`: the buckets that are not empty, shortest first. */
  holdHistogram(): HoldBucket[] {
    return readHoldHistogram(this.alive());
  }

  resetStats(): void {
    this.native.resetStats(this.alive());
  }

  /** Frees the native instance; what it still held is given up. Closing twice is harmless. */
  close(): void {
    if (this.stage === undefined) return;
    this.native.free(this.stage);
    this.stage = undefined;
    unclosed.unregister(this);
    this.slots.forget();
  }

  private alive(): NativeStage {
    if (this.stage === undefined) throw new ReframerError('closed', 'this Reframer was closed');
    return this.stage;
  }

  // Packets that a push may take now.
  private room(): number {
    const { slots, maxPackets } = this;
    return this.polled ? Math.min(slots.free, maxPackets) : Math.max(0, maxPackets - slots.taken);
  }

  // A flow whose packets are grouped now by the NIC's hash, now by ours, would overtake itself.
  private sameHashes(packet: number, withHash: boolean): void {
    const known = packet === 0 ? (this.nicHashes ?? withHash) : (this.nicHashes ?? this.staged);
    if (packet === 0) this.staged = known;
    if (known === withHash) return;
    const all = known ? 'others of this instance have one' : 'others of this instance have none';
    throw bad(
      `packet ${packet} ${withHash ? 'has a hash' : 'has no hash'}, ${all}: flows would leave out of order`,
    );
  }

  private commit(stage: NativeStage, count: number, now: Time): number {
    const withHash = this.nicHashes ?? this.staged;
    const accepted = this.native.push(stage, this.slots.burst.set(count, withHash === true), now);
    this.slots.commit(accepted);
    if (accepted > 0) {
      this.nicHashes = withHash;
      this.polled = false;
    }
    return accepted;
  }

  private collect(from: ReframerFunctions['poll'], now: Time): Released<T> {
    const stage = this.alive();
    const time = checkTime(now);
    this.polled = true;
    const released = new Released<T>();
    for (;;) {
      this.nbRuns[0] = pollRoom;
      const count = from(stage, time, this.out, pollRoom, this.runs, this.nbRuns);
      const base = released.packets.length;
      for (let i = 0; i < count; i++) released.packets.push(this.slots.release(this.out[i] ?? 0n));
      this.appendRuns(released.runs, base);
      if (count < pollRoom) return released;
    }
  }

  private appendRuns(runs: Run[], base: number): void {
    const nbRuns = this.nbRuns[0] ?? 0;
    for (let i = 0; i < nbRuns; i++) {
      const [first = 0, count = 0, hash = 0, reason = 0] = this.runs.subarray(
        i * runWords,
        (i + 1) * runWords,
      );
      const last = runs.at(-1);
      // A run that was only cut by the room of one call goes on here.
      if (i === 0 && base > 0 && last?.hash === hash && last.reason === reasons[reason])
        last.count += count;
      else runs.push({ first: base + first, count, hash, reason: reasons[reason] ?? 'deadline' });
    }
  }
}

/**
 * Memory that the engine reads headers from, and what the caller calls each packet. A slot is taken
 * when its packet is accepted and given back when the packet comes out; its number plus one is the
 * handle that the engine sees (0 would be a null pointer).
 */
class SlotPool<T> {
  readonly burst: NativeBurst;
  private readonly headers: Uint8Array;
  private readonly headersAddress: bigint;
  private readonly held: (T | undefined)[];
  private readonly freeSlots: number[];

  constructor(
    size: number,
    private readonly headerBytes: number,
  ) {
    this.headers = new Uint8Array(size * headerBytes);
    this.headersAddress = addressOf(this.headers);
    this.held = new Array<T | undefined>(size).fill(undefined);
    this.freeSlots = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.burst = new NativeBurst({
      packets: new BigUint64Array(size),
      data: new BigUint64Array(size),
      captured: new Uint32Array(size),
      wire: new Uint32Array(size),
      hash: new Uint32Array(size),
    });
  }

  get free(): number {
    return this.freeSlots.length;
  }

  get taken(): number {
    return this.held.length - this.freeSlots.length;
  }

  /** Fills column `i` of the burst with the i-th free slot; nothing is taken before commit(). */
  stage(
    i: number,
    handle: T,
    data: Uint8Array,
    start: number,
    end: number,
    wire: number,
    hash: number,
  ): void {
    const slot = this.freeSlots[this.freeSlots.length - 1 - i] ?? 0;
    const captured = Math.min(end - start, this.headerBytes);
    const at = slot * this.headerBytes;
    this.headers.set(data.subarray(start, start + captured), at);
    this.held[slot] = handle;
    const { columns } = this.burst;
    columns.packets[i] = BigInt(slot + 1);
    columns.data[i] = this.headersAddress + BigInt(at);
    columns.captured[i] = captured;
    columns.wire[i] = wire;
    columns.hash[i] = hash;
  }

  commit(accepted: number): void {
    this.freeSlots.length -= accepted;
  }

  release(handle: bigint): T {
    const slot = Number(handle) - 1;
    const held = this.held[slot] as T;
    this.held[slot] = undefined;
    this.freeSlots.push(slot);
    return held;
  }

  forget(): void {
    this.held.fill(undefined);
  }
}

const bad = (what: string): ReframerError => new ReframerError('bad-burst', what);

const none = { hash: undefined, wireLength: undefined };

function fieldsOf(packet: unknown): { data?: unknown; hash?: unknown; wireLength?: unknown } {
  return typeof packet === 'object' && packet !== null ? packet : {};
}

/** What a caller passed instead, in an error. */
function shown(value: unknown): string {
  return String(value);
}

function isWord(value: unknown): value is number {
  return typeof value === 'number' && value >>> 0 === value;
}

function checkColumns(burst: unknown): void {
  const { data, offsets, handles, wireLengths, hashes } = (burst ?? {}) as Partial<
    Record<keyof PackedBurst<unknown>, unknown>
  >;
  if (!(data instanceof Uint8Array)) throw bad('data must be a Uint8Array');
  if (!(offsets instanceof Uint32Array) || offsets.length === 0)
    throw bad('offsets must be a Uint32Array with one more entry than frames');
  const frames = offsets.length - 1;
  for (const [name, column] of Object.entries({ wireLengths, hashes })) {
    if (column !== undefined && !(column instanceof Uint32Array))
      throw bad(`${name} must be a Uint32Array`);
  }
  for (const [name, column] of Object.entries({ handles, wireLengths, hashes })) {
    const length =
      column === undefined && name !== 'handles'
        ? frames
        : (column as ArrayLike<unknown> | undefined)?.length;
    if (length !== frames)
      throw bad(
        `${offsets.length} offsets make ${frames} frames, ${name} has ${String(length)} entries`,
      );
  }
}

function checkTime(now: Time): Time {
  if (
    typeof now === 'bigint'
      ? now >= 0n && now < 0xffff_ffff_ffff_ffffn
      : Number.isSafeInteger(now) && now >= 0
  )
    return now;
  throw new ReframerError(
    'bad-time',
    `now is ${String(now)}: whole nanoseconds from 0; beyond 2^53 pass a bigint`,
  );
}
