import { ReframerError } from '../native/error.js';

/** Codes of a LoadBalancerError. */
export type LoadBalancerErrorCode =
  | 'bad-option'
  | 'not-supported'
  | 'bad-frame'
  | 'no-server'
  | 'exists'
  | 'full'
  | 'out-of-memory'
  | 'closed';

/**
 * What can go wrong with a load balancer; `code` is stable.
 *
 * - `bad-option`: an option is out of range; `option` names it
 * - `not-supported`: this CPU lacks what the option needs
 * - `bad-frame`: no frame that could be directed to a server
 * - `no-server`: no server of the pool has this id
 * - `exists`: a server of the pool has this address
 * - `full`: there are as many servers as there are ids (`maxServers`)
 * - `out-of-memory`: the native instance could not be allocated
 * - `closed`: the instance was closed
 */
export class LoadBalancerError extends ReframerError {
  declare readonly code: LoadBalancerErrorCode;

  constructor(code: LoadBalancerErrorCode, message: string, option?: string) {
    super(code, message, option);
    this.name = 'LoadBalancerError';
  }
}

export { ReframerError };
export { NativeError } from '../native/loader.js';
