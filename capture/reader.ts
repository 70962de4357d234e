import {
  cancelled,
  captureFunctions,
  noRoom,
  type CaptureFunctions,
  type NativeCapture,
  type NativeFailure,
} from '../native/binding-capture.js';
import { inspectAs } from '../native/inspect.js';
import { BatchMemory, CaptureBurst } from './burst.js';
import { CaptureError, type CaptureErrorCode } from './errors.js';
import { Pump } from './pump.js';

export interface CaptureOptions {
  /** Packets of a burst at most, 1 to 4096; default 256. */
  burst?: number;
  /** Time that a burst spans at most, ns: what a core that polls that often would get. Default: any. */
  spanNs?: number | bigint;
  /** Bytes kept of each frame; default: all. 128 are enough for keys and hashes, and quicker to read. */
  snaplen?: number;
  /** Ends reading: `for await` throws its reason. */
  signal?: AbortSignal;
}

const known: ReadonlySet<string> = new Set<keyof CaptureOptions>([
  'burst',
  'spanNs',
  'snaplen',
  'signal',
]);

// 256 KiB stay in a second-level cache on their way from file to burst.
const batchBytes = 1 << 18;
const batchFrames = 4096;

// Frees the capture of an object that nobody closed.
const unclosed = new FinalizationRegistry<() => void>((free) => free());

function whole(option: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new CaptureError(
    'bad-option',
    `${option} is ${String(value)}, must be a whole number from ${low} to ${high}`,
    option,
  );
}

function spanOf(span: number | bigint | undefined): bigint | undefined {
  if (span === undefined) return undefined;
  if (typeof span === 'bigint' ? span < 0n : !(Number.isSafeInteger(span) && span >= 0))
    throw new CaptureError(
      'bad-option',
      `spanNs is ${String(span)}: whole nanoseconds from 0`,
      'spanNs',
    );
  return BigInt(span);
}

/** The system would take a name with a NUL byte for the one in front of it. @internal */
export function checkName(option: string, name: unknown): void {
  if (typeof name !== 'string')
    throw new CaptureError('bad-option', `${option} must be the name of a file`, option);
  if (name.includes('\0'))
    throw new CaptureError(
      'bad-option',
      `${option} is ${JSON.stringify(name)}: no file has a name with a NUL byte`,
      option,
    );
}

function checkSource(source: unknown): void {
  const isStream =
    typeof source === 'object' &&
    source !== null &&
    typeof (source as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function';
  if (!isStream && typeof source !== 'string')
    throw new CaptureError(
      'bad-option',
      'source must be the name of a file, or a stream of bytes',
      'source',
    );
  if (!isStream) checkName('source', source);
}

/** What a failure record says, as an error. @internal */
export function captureError({ code, message, offset }: NativeFailure): CaptureError {
  const at = Number(offset);
  return new CaptureError(
    code as CaptureErrorCode,
    message.replace(', or read what comes before the damage with --keep-going', ''),
    undefined,
    at >= 0 ? at : undefined,
  );
}

/**
 * A capture, read once from front to back: a burst at a time, `for await`, while the next one is being
 * read; or, where it is a regular file, with a plain `for`, all in this thread.
 */
export class Capture implements AsyncIterable<CaptureBurst>, Iterable<CaptureBurst> {
  readonly #native: CaptureFunctions;
  readonly #burst: number;
  readonly #spanNs: bigint | undefined;
  readonly #snaplen: number;
  readonly #signal: AbortSignal | undefined;
  readonly #pump: Pump | undefined;
  readonly #name: string;
  readonly #spare: BatchMemory[] = [];
  readonly #onAbort = (): void => this.#cancel();
  #capture: NativeCapture | undefined;
  #current: BatchMemory | undefined;
  #at = 0;
  #filling: Promise<BatchMemory | undefined> | undefined;
  /** The `next()` that is being answered: the ones behind it wait their turn. */
  #turn: Promise<unknown> | undefined;
  #started = false;
  #ended = false;
  #packets = 0;

  /** @internal */
  constructor(source: string | AsyncIterable<Uint8Array>, options: CaptureOptions) {
    for (const name of Object.keys(options)) {
      if (!known.has(name))
        throw new CaptureError(
          'bad-option',
          `${name} is not an option; there are ${[...known].join(', ')}`,
          name,
        );
    }
    this.#burst = whole('burst', options.burst ?? 256, 1, batchFrames);
    this.#snaplen = whole('snaplen', options.snaplen ?? 0, 0, 0xffff_ffff);
    this.#spanNs = spanOf(options.spanNs);
    this.#signal = options.signal;
    this.#native = captureFunctions();
    const { free } = this.#native;
    const out: [NativeCapture | null] = [null];
    checkSource(source);
    this.#name = typeof source === 'string' ? source : 'stream';
    const status = this.#native.create(typeof source === 'string' ? source : null, out);
    const [capture] = out;
    if (status !== 0 || capture === null)
      throw new CaptureError('out-of-memory', 'the capture could not be allocated');
    this.#capture = capture;
    // As long as its source has bytes the pump lives on by itself: it must know that the capture is gone.
    const fed: { pump?: Pump } = {};
    unclosed.register(
      this,
      () => {
        fed.pump?.stop();
        free(capture);
      },
      this,
    );
    if (typeof source !== 'string') this.#pump = fed.pump = new Pump(source, this.#native, capture);
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal?.aborted === true) this.#cancel();
  }

  /** `pcap`, `pcapng` or `erf`; empty before the first burst. */
  get format(): string {
    return this.#native.format(this.#alive());
  }

  /** `none`, `gzip`, `xz` or `zstd`; empty before the first burst. */
  get compression(): string {
    return this.#native.compression(this.#alive());
  }

  /** Packets given out so far. */
  get packets(): number {
    return this.#packets;
  }

  /** @throws CaptureError `capture-*`; what the signal or the stream gives as its reason */
  [Symbol.asyncIterator](): AsyncIterator<CaptureBurst, undefined> {
    this.#start();
    return {
      next: () => {
        const burst = this.#turn === undefined ? this.#cut() : undefined;
        return burst === undefined
          ? this.#inTurn()
          : Promise.resolve({ done: false, value: burst });
      },
      return: async () => {
        this.#ended = true;
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * All in this thread, and it waits for the disk: for programs that do nothing else meanwhile.
   * @throws CaptureError `capture-*`, `not-supported` (a pipe or a stream)
   */
  *[Symbol.iterator](): Generator<CaptureBurst, undefined> {
    if (this.#native.waits(this.#alive()) !== 0)
      throw new CaptureError(
        'not-supported',
        `${this.#name} may wait for somebody to write: use \`for await\``,
      );
    this.#start();
    try {
      for (;;) {
        // One batch will do: what was in it was given out.
        if (this.#current?.kept === false) this.#spare.push(this.#current);
        this.#current = undefined;
        const memory = this.#memory();
        const filled = this.#result(
          memory,
          this.#native.read(this.#alive(), memory.columns.struct),
        );
        if (filled === 'larger') continue;
        if (filled === undefined) return undefined;
        this.#take(filled);
        for (let burst = this.#cut(); burst !== undefined; burst = this.#cut()) yield burst;
      }
    } finally {
      this.#free();
    }
  }

  /** Ends reading, and frees what it took. Closing twice is harmless. */
  async close(): Promise<void> {
    if (this.#capture === undefined) return;
    // A `next()` under way may begin another read when this one ends: no thread may have it then.
    for (let filling = this.#filling; filling !== undefined; filling = this.#filling) {
      this.#cancel();
      await filling.catch(() => undefined);
      if (this.#filling === filling) this.#filling = undefined;
    }
    this.#free();
    this.#pump?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('Capture', this.toJSON());
  }

  toJSON(): { source: string; packets: number; closed: boolean } {
    return { source: this.#name, packets: this.#packets, closed: this.#capture === undefined };
  }

  #alive(): NativeCapture {
    if (this.#capture === undefined) throw new CaptureError('closed', 'this capture was closed');
    return this.#capture;
  }

  #start(): void {
    this.#alive();
    if (this.#started)
      throw new CaptureError('closed', 'a capture is read once: open it again to read it again');
    this.#started = true;
  }

  #cancel(): void {
    if (this.#capture !== undefined) this.#native.cancel(this.#capture);
  }

  #free(): void {
    if (this.#capture === undefined) return;
    this.#native.free(this.#capture);
    this.#capture = undefined;
    this.#current = undefined;
    unclosed.unregister(this);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** The next burst of the batch at hand. */
  #cut(): CaptureBurst | undefined {
    const memory = this.#current;
    if (memory === undefined) return undefined;
    const first = this.#at;
    let end = Math.min(memory.columns.count, first + this.#burst);
    if (end <= first) return undefined;
    if (this.#spanNs !== undefined) {
      const { timesNs } = memory.columns;
      const last = (timesNs[first] ?? 0n) + this.#spanNs;
      let within = first + 1;
      while (within < end && (timesNs[within] ?? 0n) <= last) within++;
      end = within;
    }
    this.#at = end;
    this.#packets += end - first;
    return new CaptureBurst(memory, first, end - first);
  }

  /** One after the other, as an async generator does it. */
  #inTurn(): Promise<IteratorResult<CaptureBurst, undefined>> {
    const turn = (this.#turn ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#advance())
      .finally(() => {
        if (this.#turn === turn) this.#turn = undefined;
      });
    this.#turn = turn;
    return turn;
  }

  async #advance(): Promise<IteratorResult<CaptureBurst, undefined>> {
    const burst = this.#cut();
    if (burst !== undefined) return { done: false, value: burst };
    if (this.#ended) return { done: true, value: undefined };
    try {
      const filled = await (this.#filling ??= this.#fill());
      // Closed meanwhile: nothing of it is given out.
      this.#alive();
      this.#filling = undefined;
      if (filled !== undefined) {
        this.#take(filled);
        this.#filling = this.#fill();
        // Whoever waits for it is told; nobody may.
        this.#filling.catch(() => undefined);
        const first = this.#cut();
        if (first !== undefined) return { done: false, value: first };
      }
    } catch (error) {
      this.#filling = undefined;
      this.#ended = true;
      await this.close();
      throw this.#pump?.failure ?? error;
    }
    this.#ended = true;
    await this.close();
    return { done: true, value: undefined };
  }

  /** What was read before may be filled again, unless packets of it were handed out. */
  #take(filled: BatchMemory): void {
    const old = this.#current;
    if (old !== undefined && !old.kept) this.#spare.push(old);
    this.#current = filled;
    this.#at = 0;
  }

  #memory(): BatchMemory {
    let memory = this.#spare.pop();
    if (memory === undefined || memory.isGone)
      memory = new BatchMemory(batchBytes, batchFrames, this.#snaplen);
    memory.generation++;
    return memory;
  }

  async #fill(): Promise<BatchMemory | undefined> {
    for (;;) {
      const memory = this.#memory();
      this.#pump?.start();
      const count = await this.#native.readLater(this.#alive(), memory.columns.struct);
      this.#pump?.wake();
      const filled = this.#result(memory, count);
      if (filled !== 'larger') return filled;
    }
  }

  #result(memory: BatchMemory, count: number): BatchMemory | 'larger' | undefined {
    if (count > 0) return memory;
    if (count === 0) return undefined;
    if (count === noRoom) {
      this.#spare.push(new BatchMemory(memory.columns.needed, batchFrames, this.#snaplen));
      return 'larger';
    }
    if (count === cancelled) {
      if (this.#signal?.aborted === true) throw this.#signal.reason;
      throw new CaptureError('closed', 'this capture was closed');
    }
    const failure = {} as NativeFailure;
    this.#native.why(this.#alive(), failure);
    throw captureError(failure);
  }
}

/**
 * Opens a capture: pcap, pcapng or ERF, plain or compressed with gzip, xz or zstd, of any size.
 *
 * ```ts
 * for await (const burst of openCapture('campus.pcap')) {
 *   tracker.findOrInsert(burst.keys(), burst.timeNs);
 * }
 * ```
 *
 * @param source a file, `-` for standard input, or a stream of bytes
 * @throws CaptureError `bad-option`; NativeError. What is wrong with the file comes with the first burst.
 */
export function openCapture(
  source: string | AsyncIterable<Uint8Array>,
  options: CaptureOptions = {},
): Capture {
  return new Capture(source, options);
}
