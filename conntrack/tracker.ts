import { reasonFrom } from '../native/binding.js';
import {
  conntrackFunctions,
  registerRemoved,
  unregisterRemoved,
  type ConntrackFunctions,
  type NativeParams,
  type NativeStats,
  type NativeTable,
} from '../native/binding-conntrack.js';
import { inspectAs } from '../native/inspect.js';
import { counterOf } from './counters.js';
import { FlowPass } from './entries.js';
import { ConntrackError } from './errors.js';
import { FlowGroup } from './group.js';
import { applyOptions, reasons, timeoutClasses, type FlowTrackerOptions } from './options.js';
import { StateLayout, type CounterOf, type StateSchema } from './schema.js';
import { readStats, type FlowTrackerStats } from './stats.js';
import {
  burstFor,
  checkMemory,
  checkTime,
  countKeys,
  type CallOptions,
  type FlowBurst,
  type FlowTable,
  type Time,
  type TrackedFlow,
} from './table.js';

/** Where the states of a burst lie in the table, until the next call that may move them. */
interface Rows {
  pointers: BigUint64Array;
  epoch: number;
  /** The burst as this tracker filled it: another one may have filled it since. */
  fills: number;
  count: number;
}

type Removed = readonly [key: Uint8Array, state: Uint8Array, reason: number];

// Frees the table of an object that nobody closed.
const unclosed = new FinalizationRegistry<() => void>((free) => free());

/**
 * Flows with state, looked up a burst at a time.
 *
 * States come as copies in a `FlowBurst`; `store` writes changed ones back. A burst can be stored,
 * and its flows put into timeout classes, until the next call other than `store`, `setClass` and
 * `stats`; after that these throw `stale`. No native memory is handed out.
 *
 * What it promises beyond that is in native/include/reframer/conntrack.h.
 *
 * Not safe for use from several threads at a time; each worker has trackers of its own, and hands
 * groups over (`detach`).
 */
export class FlowTracker<S extends StateSchema = StateSchema> implements FlowTable {
  readonly #native: ConntrackFunctions;
  #table: NativeTable | undefined;
  readonly #params: NativeParams;
  readonly #layout: StateLayout | undefined;
  readonly #onRemoved: FlowTrackerOptions['onRemoved'];
  readonly #removed: Removed[] = [];
  readonly #rows = new WeakMap<FlowBurst, Rows>();
  readonly #free: () => void;
  /** Under way in entries(). */
  readonly #passes = new Set<FlowPass>();
  #epoch = 0;
  #digests = new BigUint64Array(32);
  // Of add(), which keeps nothing.
  #pointers = new BigUint64Array(256);
  #results = new Uint8Array(256);

  /** @throws ConntrackError `bad-option`, `out-of-memory`; NativeError */
  constructor(options: FlowTrackerOptions<S> = {}) {
    // No function in here may name `this`: all of them share what they hold, and the registry keeps one.
    const native = conntrackFunctions();
    this.#native = native;
    const removed = this.#removed;
    const defaults = {} as NativeParams;
    native.defaultParams(defaults);
    const params = applyOptions(options, defaults);
    this.#params = params;
    this.#layout = options.state === undefined ? undefined : new StateLayout(options.state);
    this.#onRemoved = options.onRemoved;
    const { key_size: keySize, state_size: stateSize } = params;
    const callback =
      options.onRemoved === undefined
        ? null
        : registerRemoved(keySize, stateSize, (...flow) => removed.push(flow));
    const out: [NativeTable | null] = [null];
    const status = native.create({ ...params, on_removed: callback }, out);
    const [created] = out;
    if (status !== 0 || created === null) {
      if (callback !== null) unregisterRemoved(callback);
      throw status === -12
        ? new ConntrackError(
            'out-of-memory',
            `cannot allocate room for ${params.initial_flows} flows`,
          )
        : new ConntrackError(
            'bad-option',
            `the table refused the options: ${reasonFrom((...to) => native.check({ ...params, on_removed: null }, ...to))}`,
          );
    }
    this.#table = created;
    const free = (): void => {
      native.free(created);
      if (callback !== null) unregisterRemoved(callback);
    };
    this.#free = free;
    unclosed.register(this, free, this);
  }

  /** Bytes of a key and of a state. */
  get keyBytes(): number {
    return this.#params.key_size;
  }
  get stateBytes(): number {
    return this.#params.state_size;
  }

  /** @throws ConntrackError `bad-burst`, `bad-time`, `closed` */
  find(keys: Uint8Array, now: Time, options: CallOptions = {}): FlowBurst<S> {
    const burst = burstFor(keys, this.keyBytes, this.stateBytes, options.into);
    burst.isNew.fill(0, 0, burst.count);
    return this.#fill(
      burst,
      (table, digests, pointers) =>
        this.#native.find(table, keys, digests, burst.count, checkTime(now), pointers),
      keys,
      options,
    );
  }

  /**
   * Keys without a flow afterwards (`found` 0) had no room, or belong to a detached group.
   * @throws ConntrackError `bad-burst`, `bad-time`, `closed`
   */
  findOrInsert(keys: Uint8Array, now: Time, options: CallOptions = {}): FlowBurst<S> {
    const burst = burstFor(keys, this.keyBytes, this.stateBytes, options.into);
    return this.#fill(
      burst,
      (table, digests, pointers) =>
        this.#native.findOrInsert(
          table,
          keys,
          digests,
          burst.count,
          checkTime(now),
          pointers,
          burst.isNew,
        ),
      keys,
      options,
    );
  }

  /**
   * Counts: finds or inserts each key, in order, and adds to numbers of its state. A flow with several
   * packets in the burst gets all of them.
   *
   * ```ts
   * const tracker = new FlowTracker({ state: { packets: 'u64', bytes: 'u64' } });
   * tracker.add(burst.keys(), burst.timeNs, { packets: 1, bytes: burst.wireLengths });
   * ```
   *
   * @param amounts what is added to each number: the same for all keys, or one a key
   * @returns keys that have a flow now; the others had no room, or belong to a detached group
   * @throws ConntrackError `bad-option` (no such number), `bad-burst`, `bad-time`, `closed`
   */
  add(
    keys: Uint8Array,
    now: Time,
    amounts: { readonly [K in CounterOf<S>]?: number | Uint32Array },
    options: Pick<CallOptions, 'hashes'> = {},
  ): number {
    const count = countKeys(keys, this.keyBytes);
    if (this.#pointers.length < count) {
      this.#pointers = new BigUint64Array(count);
      this.#results = new Uint8Array(count);
    }
    const steps = Object.entries(amounts as Record<string, number | Uint32Array>).map(
      ([name, amount]) => counterOf(this.#layout, name, amount, count),
    );
    const pointers = this.#pointers;
    return this.#changing((table) => {
      const digests = this.#digest(table, keys, count, options.hashes);
      const time = checkTime(now);
      const native = this.#native;
      const found = native.findOrInsert(table, keys, digests, count, time, pointers, this.#results);
      for (const { offset, bytes, each, all } of steps)
        native.addStates(table, pointers, count, offset, bytes, each, all);
      return found;
    });
  }

  /** @throws ConntrackError `stale`, `closed` */
  store(burst: FlowBurst): void {
    const table = this.#alive();
    const { pointers, count } = this.#current(burst);
    checkMemory(burst, count);
    this.#native.storeStates(table, pointers, count, burst.states);
  }

  /** @throws ConntrackError `stale`, `bad-burst` (no such key, or it has no flow), `bad-option`, `bad-time`, `closed` */
  setClass(burst: FlowBurst, i: number, timeoutClass: number, now: Time): void {
    const table = this.#alive();
    const { pointers, count } = this.#current(burst);
    const pointer = pointers[i];
    if (i >= count || pointer === undefined || pointer === 0n)
      throw new ConntrackError('bad-burst', `key ${i} of this burst has no flow`);
    if (
      !Number.isInteger(timeoutClass) ||
      timeoutClass < 0 ||
      timeoutClass >= timeoutClasses ||
      this.#native.setClass(table, pointer, timeoutClass, checkTime(now)) !== 0
    ) {
      throw new ConntrackError(
        'bad-option',
        `timeout class ${timeoutClass}: there are 0 to ${timeoutClasses - 1}`,
        'timeoutClass',
      );
    }
  }

  /** @throws ConntrackError `bad-burst`, `bad-time`, `closed` */
  remove(keys: Uint8Array, now: Time, options: Pick<CallOptions, 'hashes'> = {}): number {
    const count = countKeys(keys, this.keyBytes);
    return this.#changing((table) =>
      this.#native.remove(
        table,
        keys,
        this.#digest(table, keys, count, options.hashes),
        count,
        checkTime(now),
      ),
    );
  }

  /**
   * Sweeps dead flows out: once a poll with a budget (`sweepBudget`), or all at once. Flows whose
   * time is over are never found again, swept or not.
   * @param buckets of 16 flows to look at, from where the last call stopped; default: all
   * @returns flows expired
   */
  expire(now: Time, buckets?: number): number {
    const budget = buckets ?? this.sweepBudget(1, 1);
    if (!Number.isInteger(budget) || budget < 0 || budget > 0xffff_ffff)
      throw new ConntrackError(
        'bad-option',
        `buckets is ${budget}, must be a whole number`,
        'buckets',
      );
    return this.#changing((table) => this.#native.expire(table, checkTime(now), budget));
  }

  /** Buckets a call so that calls every `intervalNs` look at each bucket once a `periodNs`. */
  sweepBudget(intervalNs: Time, periodNs: Time): number {
    return this.#native.sweepBudget(
      this.#alive(),
      checkTime(intervalNs, 'intervalNs'),
      checkTime(periodNs, 'periodNs'),
    );
  }

  /** All live flows: copies, taken at the call. */
  flows(now: Time): TrackedFlow<S>[] {
    return [...this.entries(now)];
  }

  /**
   * The same, an object at a time: for millions of flows. They are copied some at a time; a call that
   * may change the table copies the rest first, so that each flow of the beginning comes once.
   */
  *entries(now: Time): Generator<TrackedFlow<S>, undefined> {
    const pass = new FlowPass(this.#native, checkTime(now), this.keyBytes, this.stateBytes);
    // The first piece may sweep out what is over.
    this.#changing((table) => pass.take(table));
    this.#passes.add(pass);
    try {
      yield* pass.flows<S>(() => this.#alive(), this.#layout);
    } finally {
      this.#passes.delete(pass);
    }
    return undefined;
  }

  /** Maps the memory of the next growth step now. @throws ConntrackError `out-of-memory`, `not-supported`, `closed` */
  prepare(): void {
    const status = this.#changing((table) => this.#native.prepare(table));
    if (status === 0) return;
    throw status === -12
      ? new ConntrackError('out-of-memory', 'cannot map the memory of the next growth step')
      : new ConntrackError('not-supported', 'a table of fixed size does not grow');
  }

  stats(): FlowTrackerStats {
    const stats = {} as NativeStats;
    this.#native.getStats(this.#alive(), stats);
    return readStats(stats);
  }

  /**
   * Takes a group out, with all its flows, in constant time; until it is attached somewhere its keys
   * are found nowhere. @throws ConntrackError `detached` (it is out already, or there is no such group)
   */
  detach(group: number, now: Time): FlowGroup {
    const there = Number.isInteger(group) && group >= 0 && group < this.#params.nb_groups;
    // Held by its object before anything else is called: what onRemoved throws must not lose it.
    const out = this.#changing((table) => {
      const native = there ? this.#native.detachGroup(table, group, checkTime(now)) : null;
      return native === null ? undefined : new FlowGroup(native);
    });
    if (out === undefined)
      throw new ConntrackError(
        'detached',
        `group ${group} is not in this tracker, which has ${this.#params.nb_groups}`,
      );
    return out;
  }

  /**
   * Takes a group in that a tracker with equal options and an equal seed gave up. The group is used
   * up by it. @throws ConntrackError `taken`, `other-table`, `detached`, `bad-option`
   */
  attach(group: FlowGroup, now: Time): void {
    if (!((group as unknown) instanceof FlowGroup))
      throw new ConntrackError(
        'bad-option',
        'group is no FlowGroup, which detach() gives',
        'group',
      );
    const native = group.native();
    const status = this.#changing((table) => {
      const result = this.#native.attachGroup(table, native, checkTime(now));
      // The table has it from here on, whatever onRemoved throws: nobody else may free it.
      if (result === 0) group.release();
      return result;
    });
    if (status === -17) throw new ConntrackError('taken', 'the tracker has that group already');
    if (status !== 0)
      throw new ConntrackError(
        'other-table',
        'the group comes from a tracker with other options, or another seed',
      );
  }

  /** Frees the table; nothing is reported to `onRemoved`. Closing twice is harmless. */
  close(): void {
    if (this.#table === undefined) return;
    this.#table = undefined;
    unclosed.unregister(this);
    this.#free();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('FlowTracker', this.toJSON());
  }

  toJSON(): { closed: true } | { flows: number; keyBytes: number; stateBytes: number } {
    if (this.#table === undefined) return { closed: true };
    const { keyBytes, stateBytes } = this;
    return { flows: this.stats().flows, keyBytes, stateBytes };
  }

  #alive(): NativeTable {
    if (this.#table === undefined)
      throw new ConntrackError('closed', 'this FlowTracker was closed');
    return this.#table;
  }

  #fill(
    burst: FlowBurst,
    look: (table: NativeTable, digests: BigUint64Array | null, pointers: BigUint64Array) => number,
    keys: Uint8Array,
    options: CallOptions,
  ): FlowBurst<S> {
    burst.layout = this.#layout;
    const rows: Rows = this.#rows.get(burst) ?? {
      pointers: new BigUint64Array(burst.capacity),
      epoch: 0,
      fills: 0,
      count: 0,
    };
    const { pointers } = rows;
    this.#changing((table) => {
      look(table, this.#digest(table, keys, burst.count, options.hashes), pointers);
      this.#native.loadStates(table, pointers, burst.count, burst.states);
      for (let i = 0; i < burst.count; i++) burst.found[i] = pointers[i] === 0n ? 0 : 1;
      rows.epoch = this.#epoch;
      rows.fills = burst.fills;
      rows.count = burst.count;
      this.#rows.set(burst, rows);
    });
    return burst;
  }

  #digest(
    table: NativeTable,
    keys: Uint8Array,
    count: number,
    hashes: Uint32Array | undefined,
  ): BigUint64Array | null {
    const wanted = (this.#params.flags & 2) !== 0;
    if ((hashes !== undefined) !== wanted)
      throw new ConntrackError(
        'bad-burst',
        wanted
          ? 'this tracker goes by the NIC’s hash: pass hashes'
          : 'hashes are for trackers with nicHash',
      );
    if (hashes === undefined) return null;
    if (!((hashes as unknown) instanceof Uint32Array))
      throw new ConntrackError('bad-burst', 'the hashes are no Uint32Array');
    if (hashes.length < count)
      throw new ConntrackError('bad-burst', `${count} keys came with ${hashes.length} hashes`);
    if (this.#digests.length < count) this.#digests = new BigUint64Array(count);
    this.#native.digest(table, keys, hashes, count, this.#digests);
    return this.#digests;
  }

  #current(burst: FlowBurst): Rows {
    const rows = this.#rows.get(burst);
    if (rows === undefined || rows.epoch !== this.#epoch || rows.fills !== burst.fills)
      throw new ConntrackError(
        'stale',
        'the states of this burst may have moved: look its keys up again',
      );
    return rows;
  }

  // A call after which no older state pointer holds. What left is told when the table is at rest again.
  #changing<R>(call: (table: NativeTable) => R): R {
    const table = this.#alive();
    if (this.#passes.size > 0) {
      for (const pass of this.#passes) pass.takeRest(table);
      this.#passes.clear();
    }
    this.#epoch++;
    const result = call(table);
    if (this.#removed.length > 0) this.#report();
    return result;
  }

  // Each flow that left is told, also behind one for which the callback threw; its first error is thrown.
  #report(): void {
    const failures: unknown[] = [];
    for (const [key, state, reason] of this.#removed.splice(0)) {
      try {
        this.#onRemoved?.(key, state, reasons[reason] ?? 'removed');
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
