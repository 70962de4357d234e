import { conntrackFunctions, type NativeGroup } from '../native/binding-conntrack.js';
import { ConntrackError } from './errors.js';

// Frees the group of an object that nobody attached, handed over or closed.
const unclosed = new FinalizationRegistry<NativeGroup>((group) =>
  conntrackFunctions().freeGroup(group),
);

/** All flows of an entry of the indirection table, between two trackers. */
export class FlowGroup {
  #held: NativeGroup | undefined;

  /** @internal */
  constructor(native: NativeGroup) {
    this.#held = native;
    unclosed.register(this, native, this);
  }

  /**
   * Gives the group up as a number that may be posted to another worker, which calls `takeOver`.
   * Who has the number has the flows: use it once, or they leak.
   */
  handOver(): bigint {
    const native = this.native();
    this.release();
    return native;
  }

  /** @param handle what `handOver` returned in this process, once; anything else crashes it */
  static takeOver(handle: bigint): FlowGroup {
    return new FlowGroup(handle as NativeGroup);
  }

  /** Frees the group and its flows. Closing twice, or after an attach, is harmless. */
  close(): void {
    if (this.#held === undefined) return;
    conntrackFunctions().freeGroup(this.#held);
    this.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  native(): NativeGroup {
    if (this.#held === undefined)
      throw new ConntrackError('detached', 'this group was attached, handed over or closed');
    return this.#held;
  }

  /** @internal */
  release(): void {
    this.#held = undefined;
    unclosed.unregister(this);
  }
}
