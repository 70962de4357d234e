import { reasonFrom } from '../native/binding.js';
import {
  reframerFunctions,
  runWords,
  type NativeParams,
  type NativeStage,
  type ReframerFunctions,
} from '../native/binding-reframer.js';
import { inspectAs } from '../native/inspect.js';
import { isTime, noTime, type Time } from '../native/time.js';
import { ReframerError } from './errors.js';
import {
  applyOptions,
  choice,
  delay,
  policies,
  whole,
  type Policy,
  type ReframerOptions,
} from './options.js';
import {
  bad,
  checkColumns,
  fieldsOf,
  isWord,
  none,
  shown,
  type PackedBurst,
  type Packet,
} from './packet.js';
import { Released, type Run } from './released.js';
import { SlotPool } from './slots.js';
import {
  readHoldHistogram,
  readStats,
  reasons,
  type HoldBucket,
  type ReframerStats,
} from './stats.js';

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
  readonly #native: ReframerFunctions;
  #stage: NativeStage | undefined;
  readonly #slots: SlotPool<T>;
  readonly #out = new Uint32Array(pollRoom);
  readonly #runs = new Uint32Array(pollRoom * runWords);
  readonly #nbRuns = new Uint32Array(1);
  // Whose hash groups the packets of this instance; undefined until the first one came.
  #nicHashes: boolean | undefined;
  // The same of the burst that is being taken in.
  #staged = false;
  #polled = true;
  /** Options in force, defaults filled in. */
  readonly maxPackets: number;

  /** @throws ReframerError `bad-option`, `out-of-memory`; NativeError */
  constructor(options: ReframerOptions = {}) {
    // No function in here may name `this`: all of them share what they hold, and the registry keeps one.
    const native = reframerFunctions();
    this.#native = native;
    const defaults = {} as NativeParams;
    native.defaultParams(defaults);
    const params = applyOptions(options, defaults);
    const headerBytes = whole('headerBytes', options.headerBytes ?? 512, 64, 65536);
    // Waiting packets, and as many again that are due but not yet polled.
    this.#slots = slotsFor<T>(2 * params.max_packets, headerBytes);
    const stage: [NativeStage | null] = [null];
    const status = native.create(params, stage);
    if (status !== 0 || stage[0] === null) {
      throw status === -12
        ? new ReframerError(
            'out-of-memory',
            `cannot allocate room for ${params.max_packets} packets`,
          )
        : new ReframerError(
            'bad-option',
            `the engine refused the options: ${reasonFrom((...to) => native.check(params, ...to))}`,
          );
    }
    const created = stage[0];
    this.#stage = created;
    this.maxPackets = params.max_packets;
    // The registry keeps `slots` alive until the engine that reads from it is gone.
    const slots = this.#slots;
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
    const stage = this.#alive();
    const time = checkTime(now);
    if (!Array.isArray(packets)) throw bad('packets must be an array');
    const slots = this.#slots;
    const count = Math.min(packets.length, this.#room());
    for (let i = 0; i < count; i++) {
      const packet: unknown = packets[i];
      const bytes = packet instanceof Uint8Array;
      const { data, hash, wireLength } = bytes ? { data: packet, ...none } : fieldsOf(packet);
      if (!(data instanceof Uint8Array))
        throw bad(`packet ${i} has no bytes: pass a Uint8Array, or an object with one in \`data\``);
      this.#sameHashes(i, hash !== undefined);
      if (hash !== undefined && !isWord(hash))
        throw bad(
          `packet ${i} has the hash ${shown(hash)}: a hash is a whole number from 0 to 2^32 - 1`,
        );
      if (wireLength !== undefined && !isWord(wireLength))
        throw bad(
          `packet ${i} has the wireLength ${shown(wireLength)}: a whole number from 0 to 2^32 - 1`,
        );
      slots.stage(i, packets[i] as T, data, wireLength ?? data.length, hash ?? 0);
    }
    return this.#commit(stage, count, time);
  }

  /**
   * As `push`, for frames that lie in one buffer: what a capture or a driver gives, and quicker.
   * @throws ReframerError `bad-burst`: nothing of the burst was taken
   */
  pushPacked(burst: PackedBurst<T>, now: Time): number {
    if (typeof burst !== 'object' || burst === null) throw bad('a burst is an object with columns');
    const stage = this.#alive();
    const time = checkTime(now);
    // Of a capture's burst each of these is a view that is made when it is asked for.
    const { data, offsets, handles, wireLengths } = burst;
    const hashes = typeof burst.hashes === 'function' ? undefined : burst.hashes;
    checkColumns({ data, offsets, handles, wireLengths, hashes });
    const slots = this.#slots;
    const count = Math.min(offsets.length - 1, this.#room());
    if (count === 0) return 0;
    this.#sameHashes(0, hashes !== undefined);
    let end = offsets[0] ?? 0;
    for (let i = 0; i < count; i++) {
      const start = end;
      end = offsets[i + 1] ?? 0;
      if (end < start || end > data.length)
        throw bad(`frame ${i} lies from ${start} to ${end} in a buffer of ${data.length} bytes`);
    }
    const accepted = this.#native.push(
      stage,
      slots.native.struct,
      slots.free,
      data,
      offsets,
      wireLengths ?? null,
      hashes ?? null,
      count,
      time,
    );
    slots.take(handles, accepted);
    this.#accepted(accepted);
    return accepted;
  }

  /** Gives out everything that is due, in order of release. */
  poll(now: Time): Released<T> {
    return this.#collect(0, now);
  }

  /** Gives out everything, due or not. */
  drain(now: Time): Released<T> {
    return this.#collect(1, now);
  }

  /** Packets taken out by ACK thinning since the last call. */
  takeThinned(): T[] {
    const stage = this.#alive();
    const thinned: T[] = [];
    const handles = new BigUint64Array(pollRoom);
    for (;;) {
      const count = this.#native.takeThinned(stage, handles, pollRoom);
      // A handle is the slot's number plus one.
      for (let i = 0; i < count; i++) thinned.push(this.#slots.release(Number(handles[i]) - 1));
      if (count < pollRoom) return thinned;
    }
  }

  /** When the next held packet is due, in the clock of `now`; undefined when none is held. */
  nextDeadline(): bigint | undefined {
    const deadline = BigInt(this.#native.nextDeadline(this.#alive()));
    return deadline === 0xffff_ffff_ffff_ffffn ? undefined : deadline;
  }

  /** Changes policy and T. What is held keeps its deadline or gets an earlier one. */
  setPolicy(policy: Policy, delayNs: Time): void {
    const stage = this.#alive();
    const status = this.#native.setPolicy(
      stage,
      choice('policy', policy, policies),
      delay(delayNs),
    );
    if (status !== 0)
      throw new ReframerError(
        'bad-option',
        `the engine refused the policy: ${this.#native.strerror(status)}`,
        'policy',
      );
  }

  /**
   * Makes the groups whose (hash & mask) is `value` due at the next poll, before a bucket of an
   * indirection table moves to another core.
   * @returns groups
   */
  releaseBucket(mask: number, value: number): number {
    return this.#native.releaseBucket(
      this.#alive(),
      whole('mask', mask, 0, 0xffff_ffff),
      whole('value', value, 0, 0xffff_ffff),
    );
  }

  /** Tells the adaptive policy how busy the caller is; once a poll or less often. */
  reportLoad(load: Load): void {
    this.#native.reportLoad(this.#alive(), {
      queue_length: whole('queueLength', load.queueLength, 0, 2 ** 32 - 1),
      queue_capacity: whole('queueCapacity', load.queueCapacity, 0, 2 ** 32 - 1),
      busy_cycles: whole('busyCycles', load.busyCycles, 0, Number.MAX_SAFE_INTEGER),
      total_cycles: whole('totalCycles', load.totalCycles, 0, Number.MAX_SAFE_INTEGER),
      packets: whole('packets', load.packets, 0, Number.MAX_SAFE_INTEGER),
    });
  }

  stats(): ReframerStats {
    return readStats(this.#alive());
  }

  /** Hold times since creation or `resetStats()`: the buckets that are not empty, shortest first. */
  holdHistogram(): HoldBucket[] {
    return readHoldHistogram(this.#alive());
  }

  resetStats(): void {
    this.#native.resetStats(this.#alive());
  }

  /** Frees the native instance; what it still held is given up. Closing twice is harmless. */
  close(): void {
    if (this.#stage === undefined) return;
    this.#native.free(this.#stage);
    this.#stage = undefined;
    unclosed.unregister(this);
    this.#slots.forget();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('Reframer', this.toJSON());
  }

  toJSON(): { closed: true } | { packetsHeld: number; packetsIn: number; packetsOut: number } {
    if (this.#stage === undefined) return { closed: true };
    const { packetsHeld, packetsIn, packetsOut } = this.stats();
    return { packetsHeld, packetsIn, packetsOut };
  }

  #alive(): NativeStage {
    if (this.#stage === undefined) throw new ReframerError('closed', 'this Reframer was closed');
    return this.#stage;
  }

  // Packets that a push may take now.
  #room(): number {
    const slots = this.#slots;
    const { maxPackets } = this;
    return this.#polled ? Math.min(slots.free, maxPackets) : Math.max(0, maxPackets - slots.taken);
  }

  // A flow whose packets are grouped now by the NIC's hash, now by ours, would overtake itself.
  #sameHashes(packet: number, withHash: boolean): void {
    const known = packet === 0 ? (this.#nicHashes ?? withHash) : (this.#nicHashes ?? this.#staged);
    if (packet === 0) this.#staged = known;
    if (known === withHash) return;
    const all = known ? 'others of this instance have one' : 'others of this instance have none';
    throw bad(
      `packet ${packet} ${withHash ? 'has a hash' : 'has no hash'}, ${all}: flows would leave out of order`,
    );
  }

  #commit(stage: NativeStage, count: number, now: Time): number {
    const slots = this.#slots;
    const { native, captured, wire, hash } = slots;
    const hashes = (this.#nicHashes ?? this.#staged) ? hash : null;
    const accepted = this.#native.push(
      stage,
      native.struct,
      slots.free,
      null,
      captured,
      wire,
      hashes,
      count,
      now,
    );
    slots.commit(accepted);
    this.#accepted(accepted);
    return accepted;
  }

  #accepted(packets: number): void {
    if (packets === 0) return;
    this.#nicHashes ??= this.#staged;
    this.#polled = false;
  }

  #collect(drain: 0 | 1, now: Time): Released<T> {
    const stage = this.#alive();
    const time = checkTime(now);
    this.#polled = true;
    const released = new Released<T>();
    const { packets } = released;
    const out = this.#out;
    const runs = this.#runs;
    const nbRuns = this.#nbRuns;
    const slots = this.#slots;
    for (;;) {
      nbRuns[0] = pollRoom;
      const count = this.#native.poll(stage, time, drain, out, pollRoom, runs, nbRuns);
      const base = packets.length;
      for (let i = 0; i < count; i++) packets.push(slots.release(out[i] ?? 0));
      this.#appendRuns(released.runs, base);
      if (count < pollRoom) return released;
    }
  }

  #appendRuns(runs: Run[], base: number): void {
    const words = this.#runs;
    const nbWords = (this.#nbRuns[0] ?? 0) * runWords;
    for (let at = 0; at < nbWords; at += runWords) {
      const first = base + (words[at] ?? 0);
      const count = words[at + 1] ?? 0;
      const hash = words[at + 2] ?? 0;
      const reason = reasons[words[at + 3] ?? 0] ?? 'deadline';
      const last = at === 0 && base > 0 ? runs.at(-1) : undefined;
      // A run that was only cut by the room of one call goes on here.
      if (last?.hash === hash && last.reason === reason) last.count += count;
      else runs.push({ first, count, hash, reason });
    }
  }
}

function slotsFor<T>(size: number, headerBytes: number): SlotPool<T> {
  try {
    return new SlotPool<T>(size, headerBytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ReframerError(
      'out-of-memory',
      `cannot allocate ${size} headers of ${headerBytes} bytes: lower maxPackets or headerBytes`,
    );
  }
}

function checkTime(now: Time): Time {
  if (isTime(now)) return now;
  throw new ReframerError('bad-time', noTime('now', now));
}
