import type { ConntrackFunctions, NativeTable } from '../native/binding-conntrack.js';
import type { StateLayout, StateSchema, StateValues } from './schema.js';
import type { Time, TrackedFlow } from './table.js';

// Flows that are copied out of the table at a time: a call costs little beside so many.
const pieceFlows = 1024;

interface Piece {
  keys: Uint8Array;
  states: Uint8Array;
  classes: Uint8Array;
  count: number;
}

/**
 * One pass over the live flows of a table, a piece at a time. Before the table changes the rest is
 * taken, so that the pass shows what was there when it began. @internal
 */
export class FlowPass {
  readonly #native: ConntrackFunctions;
  readonly #now: Time;
  readonly #keyBytes: number;
  readonly #stateBytes: number;
  readonly #cursor = new BigUint64Array(1);
  #taken: Piece[] = [];
  #ended = false;

  constructor(native: ConntrackFunctions, now: Time, keyBytes: number, stateBytes: number) {
    this.#native = native;
    this.#now = now;
    this.#keyBytes = keyBytes;
    this.#stateBytes = stateBytes;
  }

  /** Copies the next piece. */
  take(table: NativeTable): void {
    if (this.#ended) return;
    const keys = new Uint8Array(pieceFlows * this.#keyBytes);
    const states = new Uint8Array(pieceFlows * this.#stateBytes);
    const classes = new Uint8Array(pieceFlows);
    const count = this.#native.snapshotNext(
      table,
      this.#now,
      this.#cursor,
      pieceFlows,
      keys,
      states,
      classes,
    );
    if (count === 0) this.#ended = true;
    else this.#taken.push({ keys, states, classes, count });
  }

  /** Copies all that is left: the table is about to change. */
  takeRest(table: NativeTable): void {
    while (!this.#ended) this.take(table);
  }

  /** @param table asked when there is nothing taken any more */
  *flows<S extends StateSchema>(
    table: () => NativeTable,
    layout: StateLayout | undefined,
  ): Generator<TrackedFlow<S>, undefined> {
    for (;;) {
      const taken = this.#taken;
      this.#taken = [];
      for (const piece of taken) yield* this.#flowsOf<S>(piece, layout);
      if (this.#taken.length > 0) continue;
      if (this.#ended) return undefined;
      this.take(table());
    }
  }

  *#flowsOf<S extends StateSchema>(
    { keys, states, classes, count }: Piece,
    layout: StateLayout | undefined,
  ): Generator<TrackedFlow<S>, undefined> {
    const view = new DataView(states.buffer);
    for (let i = 0; i < count; i++) {
      const at = i * this.#stateBytes;
      yield {
        key: keys.subarray(i * this.#keyBytes, (i + 1) * this.#keyBytes),
        state: states.subarray(at, at + this.#stateBytes),
        timeoutClass: classes[i] ?? 0,
        get values() {
          return (layout?.values(view, at) ?? {}) as StateValues<S>;
        },
      };
    }
    return undefined;
  }
}
