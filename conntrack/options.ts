import { flags, nbClasses, type NativeParams } from '../native/binding-conntrack.js';
import { asNumber, type Time } from '../native/time.js';
import { ConntrackError } from './errors.js';
import { keyBytes, type KeyKind } from './keys.js';
import { StateLayout, type StateSchema } from './schema.js';

/** Why an entry left. */
export type Reason = 'removed' | 'expired' | 'evicted';

/** In the order of enum conntrack_reason. */
export const reasons: readonly Reason[] = ['removed', 'expired', 'evicted'];

/** Timeout classes are 0 (new entries) to 15. */
export const timeoutClasses: number = nbClasses;

export interface FlowTrackerOptions<S extends StateSchema = StateSchema> {
  /** Default `ipv4`. */
  keys?: KeyKind;
  /** State of a flow: 8 to 512 bytes, a multiple of 8; default 8. Zero when the flow is new. */
  stateBytes?: number;
  /** The same as numbers with names, `{ packets: 'u64', bytes: 'u64' }`; instead of `stateBytes`. */
  state?: S;
  /** Flows there is room for at once, 64 to 2^26; default 65536. */
  initialFlows?: number;
  /** Most flows; default 2^24, with `fixedSize` the same as `initialFlows`. */
  maxFlows?: number;
  /** How full the table is with `initialFlows`, percent, 25 to 95, in a shared table with `fixedSize` to 75; default 70. */
  loadPercent?: number;
  /** Never grow; a full table evicts or refuses. Default false. */
  fixedSize?: boolean;
  /**
   * Movable groups, a power of two up to 4096; default 1. Above 1 needs `nicHash`: as many as the
   * indirection table has entries makes each entry's flows one group.
   */
  groups?: number;
  /** Every call brings the NIC's hash of each key, always the same for the same key. Default false. */
  nicHash?: boolean;
  /** Whether a full table gives up the unprotected flow that would expire first; default true. */
  evict?: boolean;
  /** Resolution of timeouts, 1000 to 10^10 ns; default 10 ms. */
  tickNs?: Time;
  /** Of all classes, or of class 0, 1, ...; ns, 0 is never; default 5 s. Others keep the default. */
  timeoutsNs?: Time | readonly Time[];
  /** Classes whose flows are never evicted; default none. */
  protectedClasses?: readonly number[];
  /** Key of the hash; default: drawn. Trackers that hand groups to each other need the same. */
  seed?: number | bigint;
  /** Called with copies for each flow that left, after the call in which it left. */
  onRemoved?: (key: Uint8Array, state: Uint8Array, reason: Reason) => void;
}

const known: ReadonlySet<string> = new Set<keyof FlowTrackerOptions>([
  'keys',
  'stateBytes',
  'state',
  'initialFlows',
  'maxFlows',
  'loadPercent',
  'fixedSize',
  'groups',
  'nicHash',
  'evict',
  'tickNs',
  'timeoutsNs',
  'protectedClasses',
  'seed',
  'onRemoved',
]);

const bad = (option: string, what: string): ConntrackError =>
  new ConntrackError('bad-option', `${option} ${what}`, option);

function whole(option: string, value: number, low: number, high: number): number {
  if (!Number.isSafeInteger(value) || value < low || value > high)
    throw bad(option, `is ${String(value)}, must be a whole number from ${low} to ${high}`);
  return value;
}

const mostFlows = 2 ** 26;
// Timeouts are counted in ticks of 26 bits, less the room that two deadlines take.
const mostTicks = 2 ** 26 - 2 ** 15;

function timeouts(
  given: FlowTrackerOptions['timeoutsNs'],
  defaults: readonly number[],
  tickNs: number,
): number[] {
  if (typeof given === 'object' && given.length > nbClasses)
    throw bad('timeoutsNs', `has ${given.length} entries, there are ${nbClasses} classes`);
  return defaults.map((fallback, i) => {
    const value = typeof given === 'object' ? (given[i] ?? fallback) : (given ?? fallback);
    return whole(
      typeof given === 'object' ? `timeoutsNs[${i}]` : 'timeoutsNs',
      asNumber(value),
      0,
      Math.min(mostTicks * tickNs - 1, Number.MAX_SAFE_INTEGER),
    );
  });
}

/** Checks what TypeScript cannot, so that an error names the option, and fills the C struct. */
export function applyOptions(
  options: FlowTrackerOptions,
  params: NativeParams,
  mostLoadPercent = 95,
): NativeParams {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw bad(name, `is not an option; there are ${[...known].join(', ')}`);
  }
  const kind = options.keys ?? 'ipv4';
  if (!Object.hasOwn(keyBytes, kind))
    throw bad('keys', `is '${String(kind)}', must be ipv4 or ipv6`);
  if (options.state !== undefined && options.stateBytes !== undefined)
    throw bad('stateBytes', 'is what state says: give one of the two');
  const described = options.state === undefined ? undefined : new StateLayout(options.state);
  const stateBytes = whole(
    'stateBytes',
    described?.bytes ?? options.stateBytes ?? params.state_size,
    8,
    512,
  );
  if (stateBytes % 8 !== 0) throw bad('stateBytes', `is ${stateBytes}, must be a multiple of 8`);
  const initial = whole(
    'initialFlows',
    options.initialFlows ?? params.initial_flows,
    64,
    mostFlows,
  );
  const groups = whole('groups', options.groups ?? params.nb_groups, 1, 4096);
  if ((groups & (groups - 1)) !== 0) throw bad('groups', `is ${groups}, must be a power of two`);
  if (groups > 1 && options.nicHash !== true)
    throw bad('groups', 'above 1 needs nicHash: groups follow the NIC’s hash');
  const tickNs = whole('tickNs', asNumber(options.tickNs ?? params.tick_ns), 1000, 1e10);
  const seed = options.seed ?? 0;
  if (
    (typeof seed === 'number' && !Number.isSafeInteger(seed)) ||
    BigInt.asUintN(64, BigInt(seed)) !== BigInt(seed)
  )
    throw bad('seed', 'must be a whole number from 0 to 2^64 - 1');
  return {
    ...params,
    key_size: keyBytes[kind],
    state_size: stateBytes,
    initial_flows: initial,
    max_flows: whole(
      'maxFlows',
      options.maxFlows ?? Math.max(params.max_flows, initial),
      initial,
      mostFlows,
    ),
    load_percent: whole(
      'loadPercent',
      options.loadPercent ?? params.load_percent,
      25,
      mostLoadPercent,
    ),
    nb_groups: groups,
    flags:
      (options.fixedSize === true ? flags.fixedSize : 0) |
      (options.nicHash === true ? flags.nicHash : 0) |
      (options.evict === false ? flags.noEviction : 0),
    tick_ns: tickNs,
    timeout_ns: timeouts(options.timeoutsNs, params.timeout_ns, tickNs),
    protected_classes: (options.protectedClasses ?? []).reduce(
      (sum, c) => sum | (1 << whole('protectedClasses', c, 0, nbClasses - 1)),
      0,
    ),
    seed,
  };
}
