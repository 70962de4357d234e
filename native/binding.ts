// The one importer of koffi: opens libreframer.so. Each room declares its own structs and functions
// with what is exported here (binding-reframer.ts and its siblings).
import koffi, { type LibraryHandle } from 'koffi';

import { library, locate, NativeError, packageVersion, type NativeFile } from './loader.js';

export { koffi as ffi };

/** Memory that a call reads or writes in place. V8 never moves what an ArrayBuffer of its own holds. */
export type NativeBuffer = Uint8Array | Uint32Array | BigUint64Array;

/** Address of a buffer's first byte, for a table of pointers. The caller keeps the buffer alive. */
export const addressOf = (buffer: NativeBuffer): bigint => koffi.address(buffer);

/** As `*_check` functions of the library tell it. */
export function reasonFrom(check: (text: Uint8Array, room: number) => number): string {
  const text = Buffer.alloc(256);
  check(text, text.length);
  return text.toString('utf8', 0, Math.max(0, text.indexOf(0)));
}

export interface NativeLibrary {
  readonly path: string;
  readonly version: string;
  /**
   * A function by its C prototype. `F` is its TypeScript shape: the prototype is the truth, and
   * koffi cannot derive the one from the other.
   */
  func<F>(prototype: string): F;
  /** The same, and beside it the call that a thread of libuv's pool makes. */
  funcs<F extends (...args: never[]) => unknown>(prototype: string): [F, Later<F>];
}

type Later<F extends (...args: never[]) => unknown> = (
  ...args: Parameters<F>
) => Promise<ReturnType<F>>;

/** Every C prototype that was bound so far: test/bindings.test.ts compares them with the headers. */
export const prototypes: string[] = [];

const opened = new Map<NativeFile, NativeLibrary>();

/**
 * Opens a library at the first call, and sees that it is of this version.
 * @param version its function that tells
 * @throws NativeError
 */
export function openLibrary(file = library, version = 'reframer_version'): NativeLibrary {
  const found = opened.get(file) ?? open(locate(file), version);
  opened.set(file, found);
  return found;
}

function open(path: string, tellVersion: string): NativeLibrary {
  let handle: LibraryHandle;
  try {
    handle = koffi.load(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const needed = /: (lib[\w.-]+\.so[\w.]*): cannot open/.exec(reason)?.[1];
    const next =
      needed === undefined
        ? 'rebuild it with `npx reframer setup`'
        : `install ${needed} (in Debian: libpcap0.8, zlib1g, liblzma5, libzstd1), or rebuild with \`npx reframer setup\``;
    throw new NativeError('native-broken', `${path} cannot be loaded: ${reason}\n${next}`, [path]);
  }
  const bind = (prototype: string): ReturnType<LibraryHandle['func']> => {
    prototypes.push(prototype);
    return handle.func(prototype);
  };
  const func = <F>(prototype: string): F => bind(prototype) as F;
  const funcs: NativeLibrary['funcs'] = (prototype) => {
    const call = bind(prototype);
    // What the promise brings is what the call returns: koffi cannot derive it.
    const later = (...args: unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        call.async(...args, (error: Error | null, result: unknown) => {
          if (error === null) resolve(result as never);
          else reject(error);
        });
      });
    return [call as never, later];
  };
  const version = func<() => string>(`const char *${tellVersion}()`)();
  if (version !== packageVersion) {
    throw new NativeError(
      'native-version',
      `${path} is version ${version}, this package is ${packageVersion}\nrebuild it with \`npx reframer setup\``,
      [path],
    );
  }
  return { path, version, func, funcs };
}
