/**
 * Codes of what a `Reframer` throws.
 *
 * - `bad-option`: an option is out of range or of the wrong kind; `option` names it
 * - `bad-burst`: the columns of a burst do not fit each other, or a frame is not bytes
 * - `bad-time`: `now` is negative, not finite, or beyond what a number holds exactly
 * - `out-of-memory`: the native instance could not be allocated
 * - `closed`: the instance was closed
 *
 * A missing or unfit native library is a `NativeError` (`native-missing`, `native-version`,
 * `native-broken`), which lists every place that was looked at.
 */
export type ReframerErrorCode =
  'bad-option' | 'bad-burst' | 'bad-time' | 'out-of-memory' | 'closed';

export { ReframerError } from '../native/error.js';
export { NativeError } from '../native/loader.js';
