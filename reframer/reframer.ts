import { addressOf } from '../native/binding.js';
import {
  NativeBurst,
  reframerFunctions,
  runWords,
  type NativeParams,
  type NativeStage,
  type NativeStats,
  type ReframerFunctions,
} from '../native/binding-reframer.js';
import { ReframerError } from './errors.js';
import { applyOptions, choice, maxDelayNs, policies, whole, type Policy, type ReframerOptions } from './options.js';
import { readStats, reasons, type Reason, type ReframerStats } from './stats.js';

/** Nanoseconds of any monotonic clock: `process.hrtime.bigint()`, or a virtual clock's number. */
export type Time = number | bigint;

/** A packet of your own making; what is not named here is yours. */
export interface Packet {
  /** The frame, or its first bytes. Only read during `push`. */
  readonly data: Uint8Array;
  /** Length on the wire; default: that of `data`. */
  readonly wireLength?: number;
  /** The NIC's RSS hash. Every packet of an instance has one, or none has. */
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
  /** The NIC's RSS hashes. */
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

export interface Released<T> {
  packets: T[];
  runs: Run[];
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
      const reason = this.native.strerror(status);
      throw status === -12
        ? new ReframerError('out-of-memory', `cannot allocate room for ${params.max_packets} packets: ${reason}`)
        : new ReframerError('bad-option', `the engine refused the options: ${reason}`);
    }
    const { native } = this;
    const created = stage[0];
    this.stage = created;
    this.maxPackets = params.max_packets;
    // Waiting packets, and as many again that are due but not yet polled.
    this.slots = new SlotPool(2 * params.max_packets, headerBytes);
    // The registry keeps `slots` alive until the engine that reads from it is gone.
    const { slots } = this;
    unclosed.register(this, () => { native.free(created); slots.forget(); }, this);
  }

  /**
   * Takes packets in.
   * @param now never below an earlier one
   * @returns how many were accepted, from the front: all of them if the burst is no longer than
   *   `maxPackets` and every push is followed by a poll
   */
  push(packets: readonly (T & (Uint8Array | Packet))[], now: Time): number {
    const stage = this.alive();
    const time = checkTime(now);
    const { slots } = this;
    const count = Math.min(packets.length, slots.free);
    const withHash = count > 0 && hashOf(packets[0]) !== undefined;
    for (let i = 0; i < count; i++) {
      const packet = packets[i];
      const data = packet instanceof Uint8Array ? packet : packet?.data;
      if (packet === undefined || !(data instanceof Uint8Array)) throw new ReframerError('bad-burst', `packet ${i} has no bytes: pass a Uint8Array, or an object with one in \`data\``);
      const hash = hashOf(packet);
      if ((hash !== undefined) !== withHash) throw new ReframerError('bad-burst', `packet ${i} ${withHash ? 'lacks a hash, others have one' : 'has a hash, others have none'}`);
      const wire = packet instanceof Uint8Array ? undefined : packet.wireLength;
      slots.stage(i, packet, data, 0, data.length, wire ?? data.length, hash ?? 0);
    }
    return this.commit(stage, count, withHash, time);
  }

  /** As `push`, for frames that lie in one buffer. */
  pushPacked(burst: PackedBurst<T>, now: Time): number {
    const stage = this.alive();
    const time = checkTime(now);
    const { data, offsets, handles, wireLengths, hashes } = burst;
    const frames = offsets.length - 1;
    if (frames < 0 || handles.length !== frames || (wireLengths ?? handles).length !== frames || (hashes ?? handles).length !== frames) {
      throw new ReframerError('bad-burst', `${offsets.length} offsets make ${frames} frames: handles, wireLengths and hashes must have as many entries`);
    }
    const { slots } = this;
    const count = Math.min(frames, slots.free);
    for (let i = 0; i < count; i++) {
      const start = offsets[i] ?? 0;
      const end = offsets[i + 1] ?? 0;
      if (end < start || end > data.length) throw new ReframerError('bad-burst', `frame ${i} lies from ${start} to ${end} in a buffer of ${data.length} bytes`);
      slots.stage(i, handles[i] as T, data, start, end, wireLengths?.[i] ?? end - start, hashes?.[i] ?? 0);
    }
    return this.commit(stage, count, hashes !== undefined, time);
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
    const status = this.native.setPolicy(stage, choice('policy', policy, policies), whole('delayNs', delayNs, 0, maxDelayNs));
    if (status !== 0) throw new ReframerError('bad-option', `the engine refused the policy: ${this.native.strerror(status)}`, 'policy');
  }

  /**
   * Makes the groups whose (hash & mask) is `value` due at the next poll, before a bucket of an
   * indirection table moves to another core.
   * @returns groups
   */
  releaseBucket(mask: number, value: number): number {
    return this.native.releaseBucket(this.alive(), whole('mask', mask, 0, 0xffff_ffff), whole('value', value, 0, 0xffff_ffff));
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
    const stats = {} as NativeStats;
    this.native.getStats(this.alive(), stats);
    return readStats(stats);
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

  private commit(stage: NativeStage, count: number, withHash: boolean, now: Time): number {
    const accepted = this.native.push(stage, this.slots.burst.set(count, withHash), now);
    this.slots.commit(accepted);
    return accepted;
  }

  private collect(from: ReframerFunctions['poll'], now: Time): Released<T> {
    const stage = this.alive();
    const time = checkTime(now);
    const released: Released<T> = { packets: [], runs: [] };
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
      const [first = 0, count = 0, hash = 0, reason = 0] = this.runs.subarray(i * runWords, (i + 1) * runWords);
      const last = runs.at(-1);
      // A run that was only cut by the room of one call goes on here.
      if (i === 0 && base > 0 && last?.hash === hash && last.reason === reasons[reason]) last.count += count;
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

  constructor(size: number, private readonly headerBytes: number) {
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

  /** Fills column `i` of the burst with the i-th free slot; nothing is taken before commit(). */
  stage(i: number, handle: T, data: Uint8Array, start: number, end: number, wire: number, hash: number): void {
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

function hashOf(packet: Uint8Array | Packet | undefined): number | undefined {
  return packet === undefined || packet instanceof Uint8Array ? undefined : packet.hash;
}

function checkTime(now: Time): Time {
  if (typeof now === 'bigint' ? now >= 0n : Number.isSafeInteger(now) && now >= 0) return now;
  throw new ReframerError('bad-time', `now is ${now}: nanoseconds from 0; beyond 2^53 pass a bigint`);
}
