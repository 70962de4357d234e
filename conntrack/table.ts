import { ConntrackError } from './errors.js';

/** Nanoseconds of any monotonic clock: `process.hrtime.bigint()`, or a virtual clock's number. */
export type Time = number | bigint;

export function checkTime(now: Time): Time {
  if (
    typeof now === 'bigint'
      ? now >= 0n && now < 0xffff_ffff_ffff_ffffn
      : Number.isSafeInteger(now) && now >= 0
  )
    return now;
  throw new ConntrackError(
    'bad-time',
    `now is ${String(now)}: whole nanoseconds from 0; beyond 2^53 pass a bigint`,
  );
}

/** What a call found about a burst of keys. Row i is about key i; rows from `count` on mean nothing. */
export class FlowBurst {
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
   */
  constructor(
    readonly capacity: number,
    readonly stateBytes: number,
  ) {
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

/** How many keys there are, and a burst for them. */
export function burstFor(
  keys: Uint8Array,
  keyBytes: number,
  stateBytes: number,
  into: FlowBurst | undefined,
): FlowBurst {
  const count = keys.length / keyBytes;
  if (!Number.isInteger(count))
    throw new ConntrackError(
      'bad-burst',
      `${keys.length} bytes are no whole number of keys of ${keyBytes}`,
    );
  const burst = into ?? new FlowBurst(count, stateBytes);
  if (burst.capacity < count || burst.stateBytes !== stateBytes) {
    throw new ConntrackError(
      'bad-burst',
      `a burst for ${burst.capacity} states of ${burst.stateBytes} bytes cannot take ${count} of ${stateBytes}`,
    );
  }
  burst.count = count;
  return burst;
}
