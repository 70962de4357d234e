// The one importer of koffi: opens libreframer.so. Each room declares its own structs and functions
// with what is exported here (binding-reframer.ts and its siblings).
import koffi, { type LibraryHandle } from 'koffi';

import { library, locate, NativeError, packageVersion } from './loader.js';

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
}

let opened: NativeLibrary | undefined;

/** Opens the library at the first call, and sees that it is of this version. @throws NativeError */
export function openLibrary(): NativeLibrary {
  opened ??= open(locate(library));
  return opened;
}

function open(path: string): NativeLibrary {
  let handle: LibraryHandle;
  try {
    handle = koffi.load(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NativeError(
      'native-broken',
      `${path} cannot be loaded: ${reason}\nrebuild it with \`npx reframer setup\``,
      [path],
    );
  }
  const func = <F>(prototype: string): F => handle.func(prototype) as F;
  const version = func<() => string>('const char *reframer_version()')();
  if (version !== packageVersion) {
    throw new NativeError(
      'native-version',
      `${path} is version ${version}, this package is ${packageVersion}\nrebuild it with \`npx reframer setup\``,
      [path],
    );
  }
  return { path, version, func };
}
