import { isTime, noTime, type Time } from '../native/time.js';
import { ConntrackError } from './errors.js';
import {
  readMember,
  writeMember,
  type StateLayout,
  type StateSchema,
  type StateValues,
} from './schema.js';

export type { Time } from '../native/time.js';

export function checkTime(now: Time, name = 'now'): Time {
  if (isTime(now)) return now;
  throw new ConntrackError('bad-time', noTime(name, now));
}

/** What a call found about a burst of keys. Row i is about key i; rows from `count` on mean nothing. */
export class FlowBurst<S extends StateSchema = StateSchema> {
  /** @internal */
  layout: StateLayout | undefined;
  /** Goes up with each call that fills it, of whatever tracker. @internal */
  fills = 0;
  /** Keys of the burst. */
  count = 0;
  /** 1 where the key has a flow now. */
  readonly found: Uint8Array;
  /** 1 where this call inserted it. */
  readonly isNew: Uint8Array;
  /** Copies of the states, one behind the other; zeros where there is none. Change and `store` them. */
  readonly states: Uint8Array;
  /** The states as numbers. */
  readonly view: DataView<ArrayBuffer>;

  /**
   * @param capacity most keys that it can hold
   * @param stateBytes of the tracker that will fill it
   * @throws ConntrackError `bad-burst`
   */
  constructor(
    readonly capacity: number,
    readonly stateBytes: number,
  ) {
    // An array of NaN entries has none, yet no number of keys is above NaN: all would seem to fit.
    if (!(Number.isSafeInteger(capacity) && capacity >= 0))
      throw new ConntrackError('bad-burst', `capacity is ${capacity}, no whole number from 0`);
    this.found = new Uint8Array(capacity);
    this.isNew = new Uint8Array(capacity);
    const bytes = new ArrayBuffer(capacity * stateBytes);
    this.states = new Uint8Array(bytes);
    this.view = new DataView(bytes);
  }

  /** The state of key `i`: its bytes in `states`. */
  state(i: number): Uint8Array {
    return this.states.subarray(i * this.stateBytes, (i + 1) * this.stateBytes);
  }

  /** A number of the state of key `i`, by its name in the tracker's `state`. */
  get<K extends keyof S & string>(i: number, name: K): StateValues<S>[K] {
    const value = readMember(this.view, this.#row(i), this.#layout().member(name));
    return value as StateValues<S>[K];
  }

  /** Changes a number of the copy; `store` writes it back. */
  set<K extends keyof S & string>(i: number, name: K, value: StateValues<S>[K]): void {
    writeMember(this.view, this.#row(i), this.#layout().member(name), value);
  }

  #row(i: number): number {
    if (Number.isInteger(i) && i >= 0 && i < this.count) return i * this.stateBytes;
    throw new ConntrackError('bad-burst', `there is no key ${i} in a burst of ${this.count}`);
  }

  #layout(): StateLayout {
    if (this.layout !== undefined) return this.layout;
    throw new ConntrackError(
      'bad-option',
      "states have no names here: give the tracker { state: { packets: 'u64' } }",
      'state',
    );
  }
}

export interface CallOptions {
  /** The NIC's hash of each key; needed with `nicHash`, forbidden without. */
  hashes?: Uint32Array;
  /** A burst of an earlier call to fill again, so that nothing is allocated. */
  into?: FlowBurst;
}

/** A flow and what it holds; copies. */
export interface FlowEntry {
  key: Uint8Array;
  state: Uint8Array;
  timeoutClass: number;
}

/** A flow of a tracker whose `state` was described. */
export interface TrackedFlow<S extends StateSchema> extends FlowEntry {
  /** The state as numbers. */
  readonly values: StateValues<S>;
}

/** What tracker and model have in common. Keys lie one behind the other. */
export interface FlowTable {
  /** Looks keys up, and refreshes the flows that it finds. */
  find(keys: Uint8Array, now: Time, options?: CallOptions): FlowBurst;
  /** As `find`, and inserts what is missing, in order: a key may repeat. */
  findOrInsert(keys: Uint8Array, now: Time, options?: CallOptions): FlowBurst;
  /** Writes the states of a burst back into their flows. */
  store(burst: FlowBurst): void;
  /**
   * Puts the flow of key `i` of a burst into a timeout class, as from a packet at `now`; more than 16383 ticks
   * after the latest call count as 16383.
   */
  setClass(burst: FlowBurst, i: number, timeoutClass: number, now: Time): void;
  /** @returns flows removed */
  remove(keys: Uint8Array, now: Time, options?: Pick<CallOptions, 'hashes'>): number;
  /** Every live flow. */
  flows(now: Time): FlowEntry[];
}

/** How many keys there are. */
export function countKeys(keys: Uint8Array, keyBytes: number): number {
  if (!((keys as unknown) instanceof Uint8Array))
    throw new ConntrackError(
      'bad-burst',
      'the keys are no Uint8Array, in which one lies behind the other',
    );
  const count = keys.length / keyBytes;
  if (Number.isInteger(count)) return count;
  throw new ConntrackError(
    'bad-burst',
    `${keys.length} bytes are no whole number of keys of ${keyBytes}`,
  );
}

/** A burst whose arrays were transferred to another thread has none: nothing would come back in it. */
export function checkMemory(burst: FlowBurst, count: number): void {
  const { states, found, isNew, stateBytes } = burst;
  if (states.length < count * stateBytes || Math.min(found.length, isNew.length) < count)
    throw new ConntrackError(
      'bad-burst',
      'the memory of this burst was transferred: post copies, or take another burst',
    );
}

/** How many keys there are, and a burst for them. */
export function burstFor(
  keys: Uint8Array,
  keyBytes: number,
  stateBytes: number,
  into: FlowBurst | undefined,
): FlowBurst {
  const count = countKeys(keys, keyBytes);
  const burst = into ?? new FlowBurst(count, stateBytes);
  if (burst.capacity < count || burst.stateBytes !== stateBytes) {
    throw new ConntrackError(
      'bad-burst',
      `a burst for ${burst.capacity} states of ${burst.stateBytes} bytes cannot take ${count} of ${stateBytes}`,
    );
  }
  checkMemory(burst, count);
  burst.count = count;
  burst.fills++;
  return burst;
}
