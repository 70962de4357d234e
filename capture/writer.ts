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
import { captureError } from './reader.js';

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
 * hold. A regular file takes its name in `close()`: what ends before leaves no file that looks whole.
 */
export class CaptureWriter {
  readonly #native: CaptureFunctions;
  readonly #file: string;
  readonly #columns = new NativeColumns(stagingBytes, stagingFrames);
  #writer: NativeCaptureWriter | undefined;
  #count = 0;
  #packets = 0;

  /** @internal */
  constructor(file: string) {
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
  write(packet: PacketToWrite, timeNs: number | bigint = packet.timeNs ?? 0): void {
    this.#alive();
    const { data, wireLength = data.length, linkType = 1 } = packet;
    if (!(data instanceof Uint8Array))
      throw new CaptureError('bad-burst', 'the packet has no bytes: `data` is no Uint8Array');
    const { bytes, offsets } = this.#columns;
    let at = offsets[this.#count] ?? 0;
    if (this.#count === stagingFrames || at + data.length > bytes.length) {
      this.#flush();
      at = 0;
    }
    if (data.length > bytes.length) {
      const columns = new NativeColumns(data.length, 1);
      put(columns, 0, 0, data, timeNs, wireLength, linkType);
      columns.count = 1;
      this.#send(columns, 0, 1);
    } else {
      put(this.#columns, this.#count++, at, data, timeNs, wireLength, linkType);
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
  async close(): Promise<void> {
    if (this.#writer === undefined) return;
    const failure = {} as NativeFailure;
    try {
      this.#flush();
      if ((await this.#native.finishLater(this.#alive(), failure)) !== 0)
        throw captureError(failure);
    } finally {
      this.abandon();
    }
  }

  /** Gives the file up: nothing is left of it. */
  abandon(): void {
    if (this.#writer === undefined) return;
    this.#native.writeFree(this.#writer);
    this.#writer = undefined;
    unclosed.unregister(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
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

function put(
  columns: NativeColumns,
  i: number,
  at: number,
  data: Uint8Array,
  timeNs: number | bigint,
  wireLength: number,
  linkType: number,
): void {
  if (typeof timeNs === 'number' && !(Number.isSafeInteger(timeNs) && timeNs >= 0))
    throw new CaptureError(
      'bad-burst',
      `timeNs is ${timeNs}: whole nanoseconds from 0; beyond 2^53 pass a bigint`,
    );
  columns.bytes.set(data, at);
  columns.offsets[i] = at;
  columns.offsets[i + 1] = at + data.length;
  columns.wire[i] = wireLength;
  columns.timesNs[i] = BigInt(timeNs);
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
 * @throws CaptureError `capture-write`; NativeError
 */
export function writeCapture(file: string): CaptureWriter {
  return new CaptureWriter(file);
}
