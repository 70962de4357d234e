import { ReframerError } from '../native/error.js';

/** Codes of a CaptureError. */
export type CaptureErrorCode =
  | 'capture-open'
  | 'capture-format'
  | 'capture-unsupported'
  | 'capture-damaged'
  | 'capture-read'
  | 'capture-write'
  | 'bad-option'
  | 'bad-burst'
  | 'out-of-memory'
  | 'not-supported'
  | 'stale'
  | 'closed';

/**
 * What can go wrong with captures; `code` is stable.
 *
 * - `capture-open`: there is no such file, or it may not be read
 * - `capture-format`: these are not the first bytes of a capture
 * - `capture-unsupported`: a capture of a kind that is not read (a link type that nobody assigned)
 * - `capture-damaged`: the file is cut or damaged at `offset`; every packet before came out
 * - `capture-read`, `capture-write`: the system's word on a file that was open
 * - `bad-option`: an option is out of range; `option` names it
 * - `bad-burst`: there is no such packet, or a packet to be written has no bytes
 * - `out-of-memory`: the native instance could not be allocated
 * - `not-supported`: a pipe or stream was asked for packets without `await`
 * - `stale`: this burst's memory was used again; `packet(i)` of a burst keeps it
 * - `closed`: the capture was closed, or read before
 */
export class CaptureError extends ReframerError {
  declare readonly code: CaptureErrorCode;

  constructor(
    code: CaptureErrorCode,
    message: string,
    option?: string,
    /** Byte of the file, decompressed, where the damage is. */
    readonly offset?: number,
  ) {
    super(code, message, option);
    this.name = 'CaptureError';
  }
}

export { ReframerError };
export { NativeError } from '../native/loader.js';
