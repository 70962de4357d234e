import type { CaptureFunctions, NativeCapture } from '../native/binding-capture.js';
import { CaptureError } from './errors.js';

// Bytes that may wait on the native side before the source is left alone.
const mostWaiting = 1 << 22;
// A reader may take all of it without giving a packet, as from a large block that it skips: it is asked
// again after this time, ms.
const askAgainMs = 20;
// The native side counts the bytes of a call with 32 bits.
const mostAtOnce = 1 << 30;

/** Feeds a stream of the caller's into a capture, not much faster than it is read. @internal */
export class Pump {
  /** What the source threw. */
  failure: unknown;
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #native: CaptureFunctions;
  #capture: NativeCapture | undefined;
  #running = false;
  #wake: () => void = () => undefined;

  constructor(source: AsyncIterable<Uint8Array>, native: CaptureFunctions, capture: NativeCapture) {
    this.#source = source[Symbol.asyncIterator]();
    this.#native = native;
    this.#capture = capture;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  /** Bytes were taken. */
  wake(): void {
    this.#wake();
  }

  /** The capture is gone: the source is told that nobody wants more. */
  stop(): void {
    this.#capture = undefined;
    this.#wake();
    // Not waited for: a source that waits for bytes itself answers when they come.
    void this.#tellSource().catch(() => undefined);
  }

  /** What a source of the caller's own answers need be no promise, as for `for await`. */
  async #tellSource(): Promise<void> {
    await this.#source.return?.(undefined);
  }

  /** Waits until enough of it was read. @returns false where nobody wants more */
  async #hand(bytes: Uint8Array): Promise<boolean> {
    if (this.#capture === undefined) return false;
    let waiting = this.#native.feed(this.#capture, bytes, bytes.length);
    if (waiting < 0)
      throw new CaptureError('out-of-memory', `no memory for ${bytes.length} bytes of the stream`);
    while (waiting > mostWaiting) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, askAgainMs).unref();
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.#capture === undefined) return false;
      waiting = this.#native.feed(this.#capture, null, 1);
    }
    return true;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#source.next();
        if (this.#capture === undefined) return;
        if (next.done === true) {
          this.#native.feed(this.#capture, null, 0);
          return;
        }
        const { value } = next;
        if (!(value instanceof Uint8Array))
          throw new CaptureError('bad-burst', `the stream gave ${typeof value}, not bytes`);
        for (let at = 0; at < value.length; at += mostAtOnce) {
          const piece = value.subarray(at, at + mostAtOnce);
          if (!(await this.#hand(piece))) return;
        }
      }
    } catch (error) {
      this.failure = error;
      if (this.#capture !== undefined) this.#native.cancel(this.#capture);
    }
  }
}
