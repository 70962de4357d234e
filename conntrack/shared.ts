import { reasonFrom } from '../native/binding.js';
import {
  conntrackFunctions,
  type NativeParams,
  type NativeStats,
} from '../native/binding-conntrack.js';
import {
  refused,
  registerUpdate,
  sharedFunctions,
  unregisterUpdate,
  type NativeShared,
  type NativeThread,
  type SharedFunctions,
  type UpdateFn,
} from '../native/binding-conntrack-shared.js';
import { inspectAs } from '../native/inspect.js';
import { ConntrackError } from './errors.js';
import { applyOptions, timeoutClasses, type FlowTrackerOptions } from './options.js';
import { readStats, type FlowTrackerStats } from './stats.js';
import { burstFor, checkTime, type FlowBurst, type Time } from './table.js';

/** Without hashes of a NIC, groups and reports of removals; `tickNs` from 10^6. */
export type SharedTrackerOptions = Omit<FlowTrackerOptions, 'groups' | 'nicHash' | 'onRemoved'>;

/** A place at a shared table: `workerData` or a message takes it to another worker, once. */
export interface SharedTicket {
  readonly table: bigint;
  readonly keyBytes: number;
  readonly stateBytes: number;
  /** Users of the table, tickets under way included. */
  readonly users: SharedArrayBuffer;
  /** 1 where the ticket was used. */
  readonly used: SharedArrayBuffer;
}

/**
 * Changes a state: `state` is a copy that becomes the flow's state. It may be kept until the next
 * call, not beyond.
 * @param i of the key in the burst
 * @param state zeros where the flow is new
 * @returns the flow's timeout class from now on; nothing: as it was
 */
export type Update = (
  i: number,
  state: Uint8Array,
  isNew: boolean,
  timeoutClass: number,
) => number | void;

const leastTickNs = 1e6;
const mostFixedLoad = 75; // percent
const unclosed = new FinalizationRegistry<() => void>((close) => close());

/**
 * One flow table that several workers use at a time: where packets of a flow come to more than one of
 * them. Each worker has an instance; `share` on one, `join` on the other. The table lives until the
 * last one is closed.
 *
 * States come and go as copies. What two workers change, such as a counter, is changed in `update`,
 * under the lock of the flow's bucket; `find` and then `store` would lose the other's change.
 *
 * Every operation on a key takes effect at one instant (linearizable); a burst is not one transaction.
 * What it promises beyond that is in native/include/reframer/conntrack_shared.h.
 */
export class SharedFlowTracker {
  readonly #native: SharedFunctions;
  readonly #ticket: SharedTicket;
  #thread: NativeThread | undefined;
  readonly #finish: () => void;
  readonly #callback: bigint;
  // What the native callback leads to during an update.
  readonly #pending: { call?: UpdateFn } = {};

  /** @throws ConntrackError `bad-option`, `out-of-memory`; NativeError */
  constructor(options?: SharedTrackerOptions);
  /** @internal */
  constructor(ticket: SharedTicket, joining: true);
  constructor(given: SharedTrackerOptions | SharedTicket = {}, joining = false) {
    this.#native = sharedFunctions();
    this.#ticket = joining ? (given as SharedTicket) : this.#create(given);
    // The callback and finish() hold these, not `this`, which would never be collected then.
    const native = this.#native;
    const pending = this.#pending;
    const { users, stateBytes } = this.#ticket;
    const table = this.#ticket.table as NativeShared;
    const thread = native.threadCreate(table);
    if (thread === null) {
      leave(native, table, users);
      throw new ConntrackError('busy', 'the table has as many users as it takes, 256');
    }
    this.#thread = thread;
    const callback = registerUpdate(stateBytes, (...change) => pending.call?.(...change));
    this.#callback = callback;
    this.#finish = () => {
      native.threadFree(thread);
      unregisterUpdate(callback);
      leave(native, table, users);
    };
    unclosed.register(this, this.#finish, this);
  }

  /** An instance for this worker, of the table that `share` gave the ticket for. @throws ConntrackError `taken`, `busy`, `bad-option` */
  static join(ticket: SharedTicket): SharedFlowTracker {
    if (!((ticket as Partial<SharedTicket> | undefined)?.used instanceof SharedArrayBuffer))
      throw new ConntrackError('bad-option', 'this is no ticket that share() gave', 'ticket');
    if (Atomics.exchange(new Int32Array(ticket.used), 0, 1) !== 0)
      throw new ConntrackError('taken', 'this ticket was used; share() gives another one');
    return new SharedFlowTracker(ticket, true);
  }

  /** A ticket for one other instance. A ticket that is never used keeps the table from being freed. */
  share(): SharedTicket {
    this.#alive();
    Atomics.add(new Int32Array(this.#ticket.users), 0, 1);
    return { ...this.#ticket, used: new SharedArrayBuffer(4) };
  }

  get keyBytes(): number {
    return this.#ticket.keyBytes;
  }
  get stateBytes(): number {
    return this.#ticket.stateBytes;
  }

  /** Looks keys up, and refreshes the flows that it finds. @throws ConntrackError `bad-burst`, `bad-time`, `closed`, `busy` */
  find(keys: Uint8Array, now: Time, options: { into?: FlowBurst } = {}): FlowBurst {
    const burst = this.#burst(keys, options.into);
    this.#native.find(
      this.#alive(),
      keys,
      null,
      burst.count,
      checkTime(now),
      burst.states,
      burst.found,
    );
    burst.isNew.fill(0, 0, burst.count);
    return burst;
  }

  /**
   * As `find`, and inserts what is missing, in order. Keys with `found` 0 afterwards had no room.
   * @param options `initial`: states that new flows begin with, one behind the other; default zeros
   * @throws ConntrackError `bad-burst`, `bad-time`, `closed`, `busy`
   */
  findOrInsert(
    keys: Uint8Array,
    now: Time,
    options: { into?: FlowBurst; initial?: Uint8Array } = {},
  ): FlowBurst {
    const burst = this.#burst(keys, options.into);
    const { initial } = options;
    if (initial !== undefined) burst.states.set(this.#statesFor(initial, burst.count));
    this.#native.findOrInsert(
      this.#alive(),
      keys,
      null,
      burst.count,
      checkTime(now),
      burst.states,
      burst.isNew,
    );
    return this.#read(burst);
  }

  /**
   * Gives flows these states, whatever they had, and inserts what is missing.
   * @param states one behind the other
   * @returns keys that have a flow now; the others had no room
   */
  store(keys: Uint8Array, states: Uint8Array, now: Time): number {
    const burst = this.#burst(keys, undefined);
    return this.#native.store(
      this.#alive(),
      keys,
      null,
      burst.count,
      checkTime(now),
      this.#statesFor(states, burst.count),
      burst.isNew,
    );
  }

  /**
   * Finds or inserts each key, in order, and runs `change` on its state while nobody else can touch
   * it. Other workers that want this flow, or its bucket, wait: be short, and do not use this tracker
   * in it. When it throws, that key's state stays, the keys behind it are left alone (they are
   * inserted, though), and the error is thrown here.
   * @returns the states afterwards
   * @throws ConntrackError `bad-burst`, `bad-time`, `bad-option` (the class), `closed`, `busy`
   */
  update(
    keys: Uint8Array,
    now: Time,
    change: Update,
    options: { into?: FlowBurst } = {},
  ): FlowBurst {
    const burst = this.#burst(keys, options.into);
    const thread = this.#alive();
    const failures: unknown[] = [];
    this.#pending.call = (i, state, timeoutClass, isNew) => {
      const row = burst.state(i);
      row.set(state);
      if (failures.length > 0) return;
      try {
        const [before = 0] = timeoutClass;
        const after = change(i, row, isNew, before) ?? before;
        if (!Number.isInteger(after) || after < 0 || after >= timeoutClasses)
          throw new ConntrackError(
            'bad-option',
            `timeout class ${after}: there are 0 to ${timeoutClasses - 1}`,
            'timeoutClass',
          );
        timeoutClass[0] = after;
        state.set(row);
      } catch (error) {
        failures.push(error);
        row.set(state);
      }
    };
    try {
      this.#native.update(
        thread,
        keys,
        null,
        burst.count,
        checkTime(now),
        this.#callback,
        null,
        burst.isNew,
      );
    } finally {
      delete this.#pending.call;
    }
    if (failures.length > 0) throw failures[0];
    return this.#read(burst);
  }

  /** @returns one byte a key: 1 where this call removed its flow */
  remove(keys: Uint8Array, now: Time): Uint8Array {
    const { count } = this.#burst(keys, undefined);
    const removed = new Uint8Array(count);
    this.#native.remove(this.#alive(), keys, null, count, checkTime(now), removed);
    return removed;
  }

  /**
   * Sweeps dead flows out; workers that call it share one sweep.
   * @param buckets of 16 flows to look at; default: all
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
    return this.#native.expire(this.#alive(), checkTime(now), budget);
  }

  /** Buckets a call so that calls every `intervalNs` look at each bucket once a `periodNs`. */
  sweepBudget(intervalNs: Time, periodNs: Time): number {
    return this.#native.sweepBudget(
      this.#alive(),
      checkTime(intervalNs, 'intervalNs'),
      checkTime(periodNs, 'periodNs'),
    );
  }

  /** Sums over all workers; exact when none is inside a call. */
  stats(): FlowTrackerStats {
    this.#alive();
    const stats = {} as NativeStats;
    this.#native.getStats(this.#ticket.table as NativeShared, stats);
    return readStats(stats);
  }

  /** The last one frees the table. Closing twice is harmless. @throws ConntrackError `busy`: within `update` */
  close(): void {
    if (this.#thread === undefined) return;
    this.#alive();
    this.#thread = undefined;
    unclosed.unregister(this);
    this.#finish();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('SharedFlowTracker', this.toJSON());
  }

  toJSON(): { closed: true } | { flows: number; keyBytes: number; stateBytes: number } {
    if (this.#thread === undefined) return { closed: true };
    const { keyBytes, stateBytes } = this;
    return { flows: this.stats().flows, keyBytes, stateBytes };
  }

  #create(options: SharedTrackerOptions): SharedTicket {
    for (const name of ['groups', 'nicHash', 'onRemoved']) {
      if (name in options)
        throw new ConntrackError(
          'bad-option',
          `${name} is for a FlowTracker: a shared table has neither groups, nor hashes of a NIC, nor reports of removals`,
          name,
        );
    }
    const defaults = {} as NativeParams;
    conntrackFunctions().defaultParams(defaults);
    const params = applyOptions(
      options,
      defaults,
      options.fixedSize === true ? mostFixedLoad : undefined,
    );
    if (params.tick_ns < leastTickNs)
      throw new ConntrackError(
        'bad-option',
        `tickNs is ${params.tick_ns}, must be at least ${leastTickNs} in a shared table`,
        'tickNs',
      );
    const out: [NativeShared | null] = [null];
    const status = this.#native.create(params, out);
    const [table] = out;
    if (status !== 0 || table === null) {
      throw status === -12
        ? new ConntrackError(
            'out-of-memory',
            `cannot allocate room for ${params.initial_flows} flows`,
          )
        : new ConntrackError(
            'bad-option',
            `the table refused the options: ${reasonFrom((...to) => this.#native.check(params, ...to))}`,
          );
    }
    const users = new SharedArrayBuffer(4);
    new Int32Array(users)[0] = 1;
    return {
      table,
      keyBytes: params.key_size,
      stateBytes: params.state_size,
      users,
      used: new SharedArrayBuffer(4),
    };
  }

  // Zeros where nothing is found, as in bursts of a FlowTracker.
  #burst(keys: Uint8Array, into: FlowBurst | undefined): FlowBurst {
    const burst = burstFor(keys, this.keyBytes, this.stateBytes, into);
    burst.states.fill(0, 0, burst.count * this.stateBytes);
    return burst;
  }

  #statesFor(states: Uint8Array, count: number): Uint8Array {
    if (states.length !== count * this.stateBytes)
      throw new ConntrackError(
        'bad-burst',
        `${count} keys came with ${states.length} bytes of states, not ${count * this.stateBytes}`,
      );
    return states;
  }

  // isNew holds what the call said of each key.
  #read(burst: FlowBurst): FlowBurst {
    for (let i = 0; i < burst.count; i++) {
      const isRefused = burst.isNew[i] === refused;
      burst.found[i] = isRefused ? 0 : 1;
      if (!isRefused) continue;
      burst.isNew[i] = 0;
      burst.state(i).fill(0);
    }
    return burst;
  }

  #alive(): NativeThread {
    if (this.#thread === undefined)
      throw new ConntrackError('closed', 'this SharedFlowTracker was closed');
    if (this.#pending.call !== undefined)
      throw new ConntrackError(
        'busy',
        'this tracker is in the middle of an update: what it changes is locked',
      );
    return this.#thread;
  }
}

function leave(native: SharedFunctions, table: NativeShared, users: SharedArrayBuffer): void {
  if (Atomics.sub(new Int32Array(users), 0, 1) === 1) native.free(table);
}
