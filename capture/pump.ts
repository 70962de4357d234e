import type { CaptureFunctions, NativeCapture } from '../native/binding-capture.js';
import { CaptureError } from './errors.js';

// Bytes that may wait on the native side before the source is left alone.
const mostWaiting = 1 << 22;

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
    this.#source.return?.(undefined).catch(() => undefined);
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
        if (value.length === 0) continue;
        let waiting = this.#native.feed(this.#capture, value, value.length);
        while (waiting > mostWaiting) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          if (this.#capture === undefined) return;
          waiting = this.#native.feed(this.#capture, null, 1);
        }
      }
    } catch (error) {
      this.failure = error;
      if (this.#capture !== undefined) this.#native.cancel(this.#capture);
    }
  }
}
