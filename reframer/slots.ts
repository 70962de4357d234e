import { NativeSlots } from '../native/binding-reframer.js';

/**
 * Memory that the engine reads headers from, and what the caller calls each packet. A slot is taken
 * when its packet is accepted and given back when the packet comes out. @internal
 */
export class SlotPool<T> {
  readonly native: NativeSlots;
  /** Of packets whose headers are in their slots: lengths of headers and on the wire, NIC hashes. */
  readonly captured: Uint32Array;
  readonly wire: Uint32Array;
  readonly hash: Uint32Array;
  readonly #headerBytes: number;
  readonly #held: (T | undefined)[];
  #free: number;

  constructor(size: number, headerBytes: number) {
    this.native = new NativeSlots(size, headerBytes);
    this.captured = new Uint32Array(size);
    this.wire = new Uint32Array(size);
    this.hash = new Uint32Array(size);
    this.#headerBytes = headerBytes;
    this.#held = new Array<T | undefined>(size).fill(undefined);
    this.#free = size;
  }

  get free(): number {
    return this.#free;
  }

  get taken(): number {
    return this.#held.length - this.#free;
  }

  /** Puts a packet into the i-th free slot; nothing is taken before commit(). */
  stage(i: number, handle: T, data: Uint8Array, wire: number, hash: number): void {
    const slot = this.native.freeSlots[this.#free - 1 - i] ?? 0;
    const captured = Math.min(data.length, this.#headerBytes);
    const header = data.length === captured ? data : data.subarray(0, captured);
    this.native.headers.set(header, slot * this.#headerBytes);
    this.#held[slot] = handle;
    this.captured[i] = captured;
    this.wire[i] = wire;
    this.hash[i] = hash;
  }

  commit(accepted: number): void {
    this.#free -= accepted;
  }

  /** As commit(), of packets whose headers the native side copies. */
  take(handles: ArrayLike<T>, accepted: number): void {
    const { freeSlots } = this.native;
    let free = this.#free;
    for (let i = 0; i < accepted; i++) this.#held[freeSlots[--free] ?? 0] = handles[i];
    this.#free = free;
  }

  release(slot: number): T {
    const held = this.#held[slot] as T;
    this.#held[slot] = undefined;
    this.native.freeSlots[this.#free++] = slot;
    return held;
  }

  forget(): void {
    this.#held.fill(undefined);
  }
}
