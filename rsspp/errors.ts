import { ReframerError } from '../native/error.js';

/** Codes of a RssppError. */
export type RssppErrorCode =
  | 'bad-option'
  | 'bad-problem'
  | 'too-large'
  | 'out-of-memory'
  | 'backend'
  | 'not-supported'
  | 'closed';

/**
 * What can go wrong in the balancer's TypeScript API; `code` is stable.
 *
 * - `bad-option`: an option is out of range; `option` names it
 * - `bad-problem`: the columns of a problem do not fit each other, or a load is negative or no number
 * - `too-large`: the exact method gave up: its search grows exponentially
 * - `out-of-memory`: the native instance could not be allocated
 * - `backend`: the device refused or lost a table write, or its process ended
 * - `not-supported`: this machine, device or user has no such table
 * - `closed`: the instance was closed
 */
export class RssppError extends ReframerError {
  declare readonly code: RssppErrorCode;

  constructor(code: RssppErrorCode, message: string, option?: string) {
    super(code, message, option);
    this.name = 'RssppError';
  }
}

export { ReframerError };
export { NativeError } from '../native/loader.js';
