import { ReframerError } from '../native/error.js';

/** Codes of a ConntrackError. */
export type ConntrackErrorCode =
  | 'bad-option'
  | 'bad-burst'
  | 'bad-key'
  | 'bad-time'
  | 'out-of-memory'
  | 'not-supported'
  | 'stale'
  | 'detached'
  | 'taken'
  | 'other-table'
  | 'busy'
  | 'closed';

/**
 * What can go wrong in the flow tracker's TypeScript API; `code` is stable.
 *
 * - `bad-option`: an option is out of range, or two exclude each other; `option` names it
 * - `bad-burst`: keys, hashes or an index do not fit the tracker
 * - `bad-key`: an address, port or protocol of a key is none
 * - `bad-time`: `now` is not a time in nanoseconds
 * - `out-of-memory`: a table could not be allocated
 * - `not-supported`: a table of fixed size cannot prepare for growth
 * - `stale`: the states of this burst may have moved since; look its keys up again
 * - `detached`: the group is not in this tracker, or was given away
 * - `taken`: the tracker has that group already, or the ticket was used
 * - `other-table`: the group comes from a tracker with other options or another seed
 * - `busy`: a shared table has no place for another user, or the call came from within `update`
 * - `closed`: the instance was closed
 */
export class ConntrackError extends ReframerError {
  declare readonly code: ConntrackErrorCode;

  constructor(code: ConntrackErrorCode, message: string, option?: string) {
    super(code, message, option);
    this.name = 'ConntrackError';
  }
}

export { ReframerError };
export { NativeError } from '../native/loader.js';
