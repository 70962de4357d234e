import { ConntrackError } from './errors.js';
import type { StateLayout } from './schema.js';

/** What `add` adds to one number of each state. @internal */
export interface Counter {
  offset: number;
  bytes: number;
  /** One a key; null: `all` to each. */
  each: Uint32Array | null;
  all: number;
}

/** @internal */
export function counterOf(
  layout: StateLayout | undefined,
  name: string,
  amount: number | Uint32Array,
  count: number,
): Counter {
  if (layout === undefined)
    throw new ConntrackError(
      'bad-option',
      "add() needs numbers with names: give the tracker { state: { packets: 'u64' } }",
      'state',
    );
  const { type, offset, bytes } = layout.member(name);
  if (type !== 'u32' && type !== 'u64')
    throw new ConntrackError('bad-option', `${name} is ${type}; u32 and u64 can be added to`, name);
  if (typeof amount === 'number' && amount >>> 0 !== amount)
    throw new ConntrackError(
      'bad-burst',
      `${name} is to grow by ${amount}: whole numbers from 0 to 2^32 - 1`,
    );
  if (typeof amount !== 'number' && !(amount instanceof Uint32Array && amount.length >= count))
    throw new ConntrackError(
      'bad-burst',
      `${name} is to grow by a Uint32Array with a number for each of ${count} keys`,
    );
  return typeof amount === 'number'
    ? { offset, bytes, each: null, all: amount }
    : { offset, bytes, each: amount, all: 0 };
}
