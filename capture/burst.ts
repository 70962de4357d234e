import { captureFunctions, keyFlags, NativeColumns } from '../native/binding-capture.js';
import { inspectAs } from '../native/inspect.js';
import { CaptureError } from './errors.js';

/**
 * One captured packet. Its bytes are views, and yours to keep. Other packets lie in the same buffer: to
 * give one to another thread, post a copy (`data.slice()`) instead of transferring `data.buffer`.
 */
export interface CapturedPacket {
  /** The frame, or as much of it as was captured. */
  readonly data: Uint8Array;
  /** When it was captured: nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** Length on the wire, bytes. */
  readonly wireLength: number;
  /** LINKTYPE_ number (tcpdump.org/linktypes.html): 1 is Ethernet. Upper bits state a frame check sequence. */
  readonly linkType: number;
}

export interface KeyOptions {
  /** As the tracker's `keys`: `ipv4` (default; 16 bytes) or `ipv6` for both (40 bytes). */
  kind?: 'ipv4' | 'ipv6';
  /** One key for both directions; default false. */
  symmetric?: boolean;
  /** Look into VXLAN, Geneve, GRE, GTP-U and IP in IP; default false. */
  inner?: boolean;
}

export interface HashOptions {
  /** What counts as a flow, as the `key` of a Reframer; default `5tuple`. */
  key?: HashKey;
  /** Key of the hash; default 0. */
  seed?: number | bigint;
}

/** What counts as a flow, as the `key` of a Reframer. */
export type HashKey = '5tuple' | 'symmetric' | 'destination' | 'inner';

/** In the order of enum reframer_key. */
const hashKeys: readonly HashKey[] = ['5tuple', 'symmetric', 'destination', 'inner'];

const sizes = { ipv4: 16, ipv6: 40 } as const;

interface Made<T> {
  memory: T;
  generation: number;
}

type Column = Uint8Array | Uint32Array | BigUint64Array;

/**
 * Views of a column, a burst each. The memory is filled again and bursts are cut alike, so that a view
 * serves for the next batch too: a new one costs as much as the keys of some packets.
 */
class Views<T extends Column> {
  readonly #column: T;
  readonly #unit: number;
  readonly #views: T[] = [];

  /** @param unit entries a packet */
  constructor(column: T, unit = 1) {
    this.#column = column;
    this.#unit = unit;
  }

  /** @param more entries behind those of the packets */
  of(first: number, count: number, more = 0): T {
    const unit = this.#unit;
    const made = this.#views[first];
    if (made?.length === count * unit + more) return made;
    const from = first * unit;
    const view = this.#column.subarray(from, from + count * unit + more) as T;
    this.#views[first] = view;
    return view;
  }
}

/** Memory of a batch of frames, which bursts are cut from. @internal */
export class BatchMemory {
  readonly columns: NativeColumns;
  readonly offsets: Views<Uint32Array>;
  readonly wireLengths: Views<Uint32Array>;
  readonly timesNs: Views<BigUint64Array>;
  readonly linkTypes: Views<Uint32Array>;
  /** Goes up each time that the memory is filled. */
  generation = 0;
  /** Packets were handed out: it is not filled again. */
  kept = false;
  // Of the usual kinds, as most ask for them.
  #plainKeys: Made<Views<Uint8Array>> | undefined;
  #plainHashes: Made<Views<Uint32Array>> | undefined;
  readonly #keys = new Map<number, Made<Uint8Array>>();
  readonly #hashes = new Map<string, Made<Uint32Array>>();

  constructor(nbBytes: number, nbFrames: number, snaplen: number) {
    this.columns = new NativeColumns(nbBytes, nbFrames, snaplen);
    this.offsets = new Views(this.columns.offsets);
    this.wireLengths = new Views(this.columns.wire);
    this.timesNs = new Views(this.columns.timesNs);
    this.linkTypes = new Views(this.columns.links);
  }

  /** Keys of the usual kind. */
  plainKeys(first: number, count: number): Uint8Array {
    const made = this.#plainKeys;
    if (made?.generation === this.generation) return made.memory.of(first, count);
    const keys = this.keys({});
    this.#plainKeys = {
      memory: made?.memory ?? new Views(keys, sizes.ipv4),
      generation: this.generation,
    };
    return this.#plainKeys.memory.of(first, count);
  }

  plainHashes(first: number, count: number): Uint32Array {
    const made = this.#plainHashes;
    if (made?.generation === this.generation) return made.memory.of(first, count);
    const hashes = this.hashes({});
    this.#plainHashes = {
      memory: made?.memory ?? new Views(hashes),
      generation: this.generation,
    };
    return this.#plainHashes.memory.of(first, count);
  }

  /** Keys of the whole batch: one call for all bursts that are cut from it. */
  keys({ kind = 'ipv4', symmetric = false, inner = false }: KeyOptions): Uint8Array {
    const size = (sizes as Partial<Record<string, number>>)[kind];
    if (size === undefined)
      throw new CaptureError('bad-option', `kind is '${kind}', must be ipv4 or ipv6`, 'kind');
    const flags = (symmetric ? keyFlags.symmetric : 0) | (inner ? keyFlags.inner : 0);
    const { struct, nbFrames, count } = this.columns;
    const made = made_(this.#keys, size + flags, () => new Uint8Array(nbFrames * size));
    if (made.generation !== this.generation) {
      captureFunctions().keys(struct, 0, count, size, flags, made.memory);
      made.generation = this.generation;
    }
    return made.memory;
  }

  /** Whether it was transferred, as to a worker: what lies at its addresses is another's now. */
  get isGone(): boolean {
    return this.columns.bytes.buffer.byteLength === 0;
  }

  hashes({ key = '5tuple', seed = 0 }: HashOptions): Uint32Array {
    const kind = hashKeys.indexOf(key);
    if (kind < 0)
      throw new CaptureError(
        'bad-option',
        `key is '${key}', must be one of ${hashKeys.join(', ')}`,
        'key',
      );
    checkSeed(seed);
    const { struct, nbFrames, count } = this.columns;
    const made = made_(this.#hashes, `${kind} ${seed}`, () => new Uint32Array(nbFrames));
    if (made.generation !== this.generation) {
      captureFunctions().hashes(struct, 0, count, kind, seed, made.memory);
      made.generation = this.generation;
    }
    return made.memory;
  }
}

function checkSeed(seed: number | bigint): void {
  const fits =
    typeof seed === 'bigint'
      ? BigInt.asUintN(64, seed) === seed
      : Number.isSafeInteger(seed) && seed >= 0;
  if (!fits)
    throw new CaptureError(
      'bad-option',
      `seed is ${String(seed)}, must be a whole number from 0 to 2^64 - 1`,
      'seed',
    );
}

function made_<K, T>(all: Map<K, Made<T>>, key: K, make: () => T): Made<T> {
  let found = all.get(key);
  if (found === undefined) all.set(key, (found = { memory: make(), generation: -1 }));
  return found;
}

/**
 * Packets that follow one another in a capture, in columns: packet i has the bytes
 * `data[offsets[i]]` up to `data[offsets[i + 1]]`.
 *
 * The columns are views of memory that is filled again: they are good until the next burst is asked
 * for, and reading them from this object later throws `stale`. `packet(i)`, `packets` and iterating
 * give packets that stay: memory that they were taken from is not filled again.
 */
export class CaptureBurst implements Iterable<CapturedPacket> {
  readonly #memory: BatchMemory;
  readonly #generation: number;
  readonly #first: number;
  /** Packets in it. */
  readonly count: number;

  /** @internal */
  constructor(memory: BatchMemory, first: number, count: number) {
    this.#memory = memory;
    this.#generation = memory.generation;
    this.#first = first;
    this.count = count;
  }

  /** Frames of this burst, and of others. */
  get data(): Uint8Array {
    return this.#fresh().columns.bytes;
  }

  /** Where frames begin in `data`; one more entry than packets. */
  get offsets(): Uint32Array {
    return this.#fresh().offsets.of(this.#first, this.count, 1);
  }

  /** Lengths on the wire, bytes. */
  get wireLengths(): Uint32Array {
    return this.#fresh().wireLengths.of(this.#first, this.count);
  }

  /** When each was captured: nanoseconds since 1970. */
  get timesNs(): BigUint64Array {
    return this.#fresh().timesNs.of(this.#first, this.count);
  }

  /** LINKTYPE_ numbers (tcpdump.org/linktypes.html); upper bits state a frame check sequence. */
  get linkTypes(): Uint32Array {
    return this.#fresh().linkTypes.of(this.#first, this.count);
  }

  /** When the last packet was captured. */
  get timeNs(): bigint {
    return this.#fresh().columns.timesNs[this.#first + this.count - 1] ?? 0n;
  }

  /** @throws CaptureError `bad-burst`, `stale` */
  packet(i: number): CapturedPacket {
    if (!Number.isInteger(i) || i < 0 || i >= this.count)
      throw new CaptureError('bad-burst', `there is no packet ${i} in a burst of ${this.count}`);
    const memory = this.#fresh();
    memory.kept = true;
    const { bytes, offsets, timesNs, wire, links } = memory.columns;
    const at = this.#first + i;
    return {
      data: bytes.subarray(offsets[at], offsets[at + 1]),
      timeNs: timesNs[at] ?? 0n,
      wireLength: wire[at] ?? 0,
      linkType: links[at] ?? 1,
    };
  }

  /** All packets. */
  get packets(): CapturedPacket[] {
    return Array.from({ length: this.count }, (_, i) => this.packet(i));
  }

  /** The same, under the name that `Reframer.pushPacked` asks for: what comes back is packets. */
  get handles(): CapturedPacket[] {
    return this.packets;
  }

  *[Symbol.iterator](): Iterator<CapturedPacket> {
    for (let i = 0; i < this.count; i++) yield this.packet(i);
  }

  /**
   * Keys for a `FlowTracker`, one a packet, one behind the other. What has no such key (ARP; IPv6
   * where the kind is `ipv4`) gets zeros, so that all of it is one flow; fragments behind the first
   * have ports 0. Good until the next burst is asked for.
   */
  keys(options?: KeyOptions): Uint8Array {
    const memory = this.#fresh();
    if (options === undefined) return memory.plainKeys(this.#first, this.count);
    const keys = memory.keys(options);
    const size = sizes[options.kind ?? 'ipv4'];
    return keys.subarray(this.#first * size, (this.#first + this.count) * size);
  }

  /**
   * Hashes of flows, one a packet: what a NIC would give, over everything that Reframer can group by.
   * Good until the next burst is asked for.
   */
  hashes(options?: HashOptions): Uint32Array {
    const memory = this.#fresh();
    if (options === undefined) return memory.plainHashes(this.#first, this.count);
    return memory.hashes(options).subarray(this.#first, this.#first + this.count);
  }

  /** Where a call on all of it begins. @internal */
  range(): { columns: NativeColumns; first: number } {
    return { columns: this.#fresh().columns, first: this.#first };
  }

  #fresh(): BatchMemory {
    if (this.#memory.isGone)
      throw new CaptureError(
        'stale',
        'the memory of this burst, and of others, was transferred: post copies of packets',
      );
    if (this.#isStale())
      throw new CaptureError(
        'stale',
        'the memory of this burst was filled again when the next one was asked for; packet(i) keeps packets',
      );
    return this.#memory;
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    const stale = this.#isStale();
    return inspectAs('CaptureBurst', {
      count: this.count,
      ...(stale ? { stale } : { timeNs: this.timeNs }),
    });
  }

  toJSON(): { count: number; timeNs?: string; stale?: true } {
    const { count } = this;
    return this.#isStale() ? { count, stale: true } : { count, timeNs: String(this.timeNs) };
  }

  #isStale(): boolean {
    return this.#memory.isGone || this.#memory.generation !== this.#generation;
  }
}
