import { ReframerError } from './errors.js';

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
  /**
   * The NIC's RSS hashes. Every burst of an instance brings them, or none does. A function, as the
   * bursts of a capture have, is not asked.
   */
  readonly hashes?: Uint32Array | (() => Uint32Array);
}

/** @internal */
export const bad = (what: string): ReframerError => new ReframerError('bad-burst', what);

/** @internal */
export const none = { hash: undefined, wireLength: undefined };

/** @internal */
export function fieldsOf(packet: unknown): {
  data?: unknown;
  hash?: unknown;
  wireLength?: unknown;
} {
  return typeof packet === 'object' && packet !== null ? packet : {};
}

/** What a caller passed instead, in an error. @internal */
export function shown(value: unknown): string {
  return String(value);
}

/** @internal */
export function isWord(value: unknown): value is number {
  return typeof value === 'number' && value >>> 0 === value;
}

/** @internal */
export function checkColumns(burst: unknown): void {
  const columns = (burst ?? {}) as Partial<Record<keyof PackedBurst<unknown>, unknown>>;
  const { data, offsets, handles, wireLengths } = columns;
  const hashes = typeof columns.hashes === 'function' ? undefined : columns.hashes;
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
