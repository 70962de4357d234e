import {
  captureFunctions,
  NativeColumns,
  type CaptureFunctions,
  type NativeCaptureWriter,
  type NativeFailure,
} from '../native/binding-capture.js';
import { inspectAs } from '../native/inspect.js';
import { CaptureBurst } from './burst.js';
import { CaptureError } from './errors.js';
import { captureError, checkName } from './reader.js';

/** A packet to be written; one that was read is one. */
export interface PacketToWrite {
  readonly data: Uint8Array;
  /** Nanoseconds since 1970; default 0. */
  readonly timeNs?: number | bigint;
  /** Default: the length of `data`. */
  readonly wireLength?: number;
  /** LINKTYPE_ number; default 1, Ethernet. */
  readonly linkType?: number;
}

// Packets wait here for one call that writes them all.
const stagingBytes = 1 << 18;
const stagingFrames = 1024;

const unclosed = new FinalizationRegistry<() => void>((free) => free());

/**
 * A capture being written: pcap with nanoseconds; pcapng from the first packet on that pcap cannot
 * hold. A regular file takes its name in `close()`: what ends before leaves no file that looks whole,
 * also where `await using` ends a block that threw. So a block that went well ends with `close()`.
 */
export class CaptureWriter {
  readonly #native: CaptureFunctions;
  readonly #file: string;
  readonly #columns = new NativeColumns(stagingBytes, stagingFrames);
  #writer: NativeCaptureWriter | undefined;
  /** Under way. */
  #closing: Promise<void> | undefined;
  #count = 0;
  #packets = 0;

  /** @internal */
  constructor(file: string) {
    checkName('file', file);
    this.#file = file;
    this.#native = captureFunctions();
    const { writeFree } = this.#native;
    const out: [NativeCaptureWriter | null] = [null];
    const failure = {} as NativeFailure;
    const status = this.#native.writeCreate(file === '-' ? '/dev/stdout' : file, out, failure);
    const [writer] = out;
    if (status !== 0 || writer === null) throw captureError(failure);
    this.#writer = writer;
    unclosed.register(this, () => writeFree(writer), this);
  }

  /** Packets written so far. */
  get packets(): number {
    return this.#packets;
  }

  /**
   * Copies a packet; its bytes may be used again at once.
   * @param timeNs instead of the packet's own time
   * @throws CaptureError `bad-burst`, `capture-write`, `closed`
   */
  write(packet: PacketToWrite, timeNs?: number | bigint): void {
    this.#alive();
    const row = checked(packet, timeNs);
    const { length } = row.data;
    const { bytes, offsets } = this.#columns;
    let at = offsets[this.#count] ?? 0;
    if (this.#count === stagingFrames || at + length > bytes.length) {
      this.#flush();
      at = 0;
    }
    if (length > bytes.length) {
      const columns = new NativeColumns(length, 1);
      put(columns, 0, 0, row);
      columns.count = 1;
      this.#send(columns, 0, 1);
    } else {
      put(this.#columns, this.#count++, at, row);
    }
    this.#packets++;
  }

  /** As `write`, of many; quick where they are a burst that was read. */
  writeAll(packets: Iterable<PacketToWrite>, timeNs?: number | bigint): void {
    if (packets instanceof CaptureBurst && timeNs === undefined) {
      const { columns, first } = packets.range();
      this.#flush();
      this.#send(columns, first, packets.count);
      this.#packets += packets.count;
      return;
    }
    for (const packet of packets) this.write(packet, timeNs);
  }

  /** Writes what is left, and gives the file its name. Closing twice is harmless. @throws CaptureError `capture-write` */
  close(): Promise<void> {
    this.#closing ??= this.#finish().finally(() => (this.#closing = undefined));
    return this.#closing;
  }

  async #finish(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    const failure = {} as NativeFailure;
    try {
      this.#flush();
      // Another thread has it from here on: nobody else may write, or free it.
      this.#release();
      if ((await this.#native.finishLater(writer, failure)) !== 0) throw captureError(failure);
    } finally {
      this.#release();
      this.#native.writeFree(writer);
    }
  }

  /** Gives the file up: nothing is left of it. Once it is being closed, that goes on. */
  abandon(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#release();
    this.#native.writeFree(writer);
  }

  #release(): void {
    this.#writer = undefined;
    unclosed.unregister(this);
  }

  /**
   * `await using` cannot tell whether its block threw, and half of a capture must not look whole: what
   * `close()` has not ended is given up, as in `abandon()`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abandon();
    await this.#closing;
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('CaptureWriter', this.toJSON());
  }

  toJSON(): { file: string; packets: number; closed: boolean } {
    return { file: this.#file, packets: this.#packets, closed: this.#writer === undefined };
  }

  #alive(): NativeCaptureWriter {
    if (this.#writer === undefined)
      throw new CaptureError('closed', `${this.#file}: this writer was closed`);
    return this.#writer;
  }

  #flush(): void {
    if (this.#count === 0) return;
    const count = this.#count;
    this.#columns.count = count;
    this.#count = 0;
    this.#send(this.#columns, 0, count);
  }

  #send({ struct }: NativeColumns, first: number, count: number): void {
    const failure = {} as NativeFailure;
    if (this.#native.write(this.#alive(), struct, first, count, failure) !== 0)
      throw captureError(failure);
  }
}

interface Row {
  data: Uint8Array;
  timeNs: bigint;
  wireLength: number;
  linkType: number;
}

const latest = 2n ** 63n - 1n;

function word(name: string, value: number): number {
  if (value >>> 0 === value) return value;
  throw new CaptureError(
    'bad-burst',
    `${name} is ${String(value)}: a whole number from 0 to 2^32 - 1`,
  );
}

/** Before anything of it is taken: a packet that is refused leaves no trace. */
function checked(
  packet: PacketToWrite | null | undefined,
  given: number | bigint | undefined,
): Row {
  const { data, linkType = 1, timeNs: own = 0 } = packet ?? {};
  if (!(data instanceof Uint8Array))
    throw new CaptureError('bad-burst', 'the packet has no bytes: `data` is no Uint8Array');
  const timeNs = given ?? own;
  const isTime =
    typeof timeNs === 'bigint'
      ? timeNs >= 0n && timeNs <= latest
      : Number.isSafeInteger(timeNs) && timeNs >= 0;
  if (!isTime)
    throw new CaptureError(
      'bad-burst',
      `timeNs is ${String(timeNs)}: whole nanoseconds from 0 to 2^63 - 1; beyond 2^53 pass a bigint`,
    );
  return {
    data,
    timeNs: BigInt(timeNs),
    wireLength: word('wireLength', packet?.wireLength ?? data.length),
    linkType: word('linkType', linkType),
  };
}

function put(
  columns: NativeColumns,
  i: number,
  at: number,
  { data, timeNs, wireLength, linkType }: Row,
): void {
  columns.bytes.set(data, at);
  columns.offsets[i] = at;
  columns.offsets[i + 1] = at + data.length;
  columns.wire[i] = wireLength;
  columns.timesNs[i] = timeNs;
  columns.links[i] = linkType;
}

/**
 * Opens a capture for writing.
 *
 * ```ts
 * const writer = writeCapture('out.pcap');
 * writer.writeAll(burst);
 * await writer.close();
 * ```
 *
 * @param file its name, or `-` for standard output
 * @throws CaptureError `bad-option`, `capture-write`; NativeError
 */
export function writeCapture(file: string): CaptureWriter {
  return new CaptureWriter(file);
}
