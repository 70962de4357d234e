// Structs and functions of native/include/reframer/capture.h, which lie in a library of their own.
import { addressOf, ffi, openLibrary, type NativeBuffer } from './binding.js';
import { captureLibrary } from './loader.js';

declare const nativeCapture: unique symbol;
declare const nativeWriter: unique symbol;
/** A struct reframer_capture; only handed back to the functions below. */
export type NativeCapture = { readonly [nativeCapture]: true };
/** A struct reframer_capture_writer. */
export type NativeCaptureWriter = { readonly [nativeWriter]: true };

ffi.opaque('reframer_capture');
ffi.opaque('reframer_capture_writer');

// Members in the order of the header; test/capture/layout.test.ts compares with a C compiler.
const burst = ffi.struct('reframer_capture_burst', {
  bytes: 'void *',
  offsets: 'void *',
  wire: 'void *',
  time_ns: 'void *',
  link: 'void *',
  nb_bytes: 'uint32_t',
  nb_frames: 'uint32_t',
  snaplen: 'uint32_t',
  count: 'uint32_t',
  needed: 'uint32_t',
});

const failure = ffi.struct('reframer_capture_failure', {
  code: ffi.array('char', 32, 'String'),
  message: ffi.array('char', 480, 'String'),
  offset: 'int64_t',
});

export const structs = { capture_burst: burst, capture_failure: failure };

export interface NativeFailure {
  code: string;
  message: string;
  offset: number | bigint;
}

/** Bits of enum reframer_capture_key. */
export const keyFlags = { symmetric: 1, inner: 2 } as const;

/** As results. */
export const noRoom = -105;
export const cancelled = -125;

/** Negative results are errno values; bursts are the bytes of a NativeColumns. */
export interface CaptureFunctions {
  create(file: string | null, out: [NativeCapture | null]): number;
  free(capture: NativeCapture): void;
  feed(capture: NativeCapture, bytes: Uint8Array | null, count: number): number;
  cancel(capture: NativeCapture): void;
  read(capture: NativeCapture, burst: Uint8Array): number;
  /** In a thread of libuv's pool. */
  readLater(capture: NativeCapture, burst: Uint8Array): Promise<number>;
  why(capture: NativeCapture, out: object): void;
  format(capture: NativeCapture): string;
  compression(capture: NativeCapture): string;
  waits(capture: NativeCapture): number;
  keys(
    burst: Uint8Array,
    first: number,
    count: number,
    keySize: number,
    flags: number,
    keys: Uint8Array,
  ): number;
  hashes(
    burst: Uint8Array,
    first: number,
    count: number,
    kind: number,
    seed: number | bigint,
    hashes: Uint32Array,
  ): number;
  writeCreate(file: string, out: [NativeCaptureWriter | null], failure: object): number;
  write(
    writer: NativeCaptureWriter,
    burst: Uint8Array,
    first: number,
    count: number,
    failure: object,
  ): number;
  finish(writer: NativeCaptureWriter, failure: object): number;
  /** In a thread of libuv's pool: waits for the disk. */
  finishLater(writer: NativeCaptureWriter, failure: object): Promise<number>;
  writeFree(writer: NativeCaptureWriter): void;
}

let functions: CaptureFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function captureFunctions(): CaptureFunctions {
  functions ??= declare();
  return functions;
}

function declare(): CaptureFunctions {
  const { func, funcs } = openLibrary(captureLibrary, 'reframer_capture_version');
  const frames = 'const void *burst, uint32_t first, uint32_t count';
  const [read, readLater] = funcs<CaptureFunctions['read']>(
    'int reframer_capture_read(reframer_capture *c, void *burst)',
  );
  const [finish, finishLater] = funcs<CaptureFunctions['finish']>(
    'int reframer_capture_finish(reframer_capture_writer *w, _Out_ reframer_capture_failure *failure)',
  );
  return {
    create: func('int reframer_capture_create(const char *file, _Out_ reframer_capture **out)'),
    free: func('void reframer_capture_free(reframer_capture *c)'),
    feed: func(
      'int64_t reframer_capture_feed(reframer_capture *c, const void *bytes, uint32_t nb)',
    ),
    cancel: func('void reframer_capture_cancel(reframer_capture *c)'),
    read,
    readLater,
    why: func(
      'void reframer_capture_why(const reframer_capture *c, _Out_ reframer_capture_failure *out)',
    ),
    format: func('const char *reframer_capture_format(const reframer_capture *c)'),
    compression: func('const char *reframer_capture_compression(const reframer_capture *c)'),
    waits: func('int reframer_capture_waits(const reframer_capture *c)'),
    keys: func(
      `int reframer_capture_keys(${frames}, uint32_t key_size, uint32_t flags, void *keys)`,
    ),
    hashes: func(
      `int reframer_capture_hashes(${frames}, uint32_t kind, uint64_t seed, void *hashes)`,
    ),
    writeCreate: func(
      'int reframer_capture_write_create(const char *file, _Out_ reframer_capture_writer **out, _Out_ reframer_capture_failure *failure)',
    ),
    write: func(
      'int reframer_capture_write(reframer_capture_writer *w, const void *burst, uint32_t first, uint32_t count, _Out_ reframer_capture_failure *failure)',
    ),
    finish,
    finishLater,
    writeFree: func('void reframer_capture_write_free(reframer_capture_writer *w)'),
  };
}

/** Columns in memory of JavaScript's, and the struct reframer_capture_burst that points at them. */
export class NativeColumns {
  readonly struct = new Uint8Array(ffi.sizeof(burst));
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly wire: Uint32Array;
  readonly timesNs: BigUint64Array;
  readonly links: Uint32Array;
  readonly #view = new DataView(this.struct.buffer);

  constructor(
    nbBytes: number,
    readonly nbFrames: number,
    snaplen = 0,
  ) {
    // One allocation, which V8 never moves.
    const memory = new ArrayBuffer(nbFrames * 20 + 8 + nbBytes);
    this.timesNs = new BigUint64Array(memory, 0, nbFrames);
    this.wire = new Uint32Array(memory, nbFrames * 8, nbFrames);
    this.links = new Uint32Array(memory, nbFrames * 12, nbFrames);
    this.offsets = new Uint32Array(memory, nbFrames * 16, nbFrames + 1);
    this.bytes = new Uint8Array(memory, nbFrames * 20 + 8, nbBytes);
    const point = (member: string, to: NativeBuffer): void =>
      this.#view.setBigUint64(ffi.offsetof(burst, member), addressOf(to), true);
    point('bytes', this.bytes);
    point('offsets', this.offsets);
    point('wire', this.wire);
    point('time_ns', this.timesNs);
    point('link', this.links);
    this.#set('nb_bytes', nbBytes);
    this.#set('nb_frames', nbFrames);
    this.#set('snaplen', snaplen);
  }

  /** Frames that are in it. */
  get count(): number {
    return this.#view.getUint32(ffi.offsetof(burst, 'count'), true);
  }
  set count(count: number) {
    this.#set('count', count);
  }
  /** Bytes that the next frame needs, where there was no room. */
  get needed(): number {
    return this.#view.getUint32(ffi.offsetof(burst, 'needed'), true);
  }

  #set(member: string, value: number): void {
    this.#view.setUint32(ffi.offsetof(burst, member), value, true);
  }
}
