// Structs and functions of native/include/reframer/conntrack.h.
import { ffi, openLibrary } from './binding.js';

declare const nativeTable: unique symbol;
declare const nativeGroup: unique symbol;
/** A struct conntrack_table; only handed back to the functions below. */
export type NativeTable = { readonly [nativeTable]: true };
/** A struct conntrack_group; an address, so it may travel between threads. */
export type NativeGroup = bigint & { readonly [nativeGroup]: true };

ffi.opaque('conntrack_table');
ffi.opaque('conntrack_group');
const removedFn = ffi.pointer(
  ffi.proto('void conntrack_removed_fn(void *context, const void *key, void *state, int reason)'),
);

export const nbClasses = 16;

// Members in the order of the header; test/conntrack/layout.test.ts compares with a C compiler.
const params = ffi.struct('conntrack_params', {
  size: 'size_t',
  key_size: 'uint32_t',
  state_size: 'uint32_t',
  initial_flows: 'uint64_t',
  load_percent: 'uint32_t',
  max_flows: 'uint64_t',
  nb_groups: 'uint32_t',
  flags: 'uint32_t',
  tick_ns: 'uint64_t',
  timeout_ns: ffi.array('uint64_t', nbClasses, 'Array'),
  protected_classes: 'uint16_t',
  seed: 'uint64_t',
  on_removed: removedFn,
  context: 'void *',
});

const stats = ffi.struct('conntrack_stats', {
  flows: 'uint64_t',
  slots: 'uint64_t',
  bytes: 'uint64_t',
  inserted: 'uint64_t',
  removed: 'uint64_t',
  expired: 'uint64_t',
  evicted: 'uint64_t',
  refused: 'uint64_t',
  not_owned: 'uint64_t',
  away: 'uint64_t',
  spilled: 'uint64_t',
  moved: 'uint64_t',
  growing: 'uint32_t',
});

export const structs = { params, stats };

/** Bits of `flags`. */
export const flags = { fixedSize: 1, nicHash: 2, noEviction: 8 } as const;

type Time = number | bigint;

export interface NativeParams {
  size: number;
  key_size: number;
  state_size: number;
  initial_flows: number;
  load_percent: number;
  max_flows: number;
  nb_groups: number;
  flags: number;
  tick_ns: number;
  timeout_ns: number[];
  protected_classes: number;
  seed: Time;
  on_removed: bigint | null;
  context: null;
}

export interface NativeStats {
  flows: number;
  slots: number;
  bytes: number;
  inserted: number;
  removed: number;
  expired: number;
  evicted: number;
  refused: number;
  not_owned: number;
  away: number;
  spilled: number;
  moved: number;
  growing: number;
}

/** Negative results are errno values. `states` are columns of pointers, `digests` of 64-bit words. */
export interface ConntrackFunctions {
  defaultParams(out: object): void;
  check(params: NativeParams, why: Uint8Array, room: number): number;
  create(params: NativeParams, out: [NativeTable | null]): number;
  free(table: NativeTable): void;
  keyIpv4(
    key: Uint8Array,
    source: Uint8Array,
    destination: Uint8Array,
    sourcePort: number,
    destinationPort: number,
    protocol: number,
  ): void;
  keyIpv6(
    key: Uint8Array,
    source: Uint8Array,
    destination: Uint8Array,
    sourcePort: number,
    destinationPort: number,
    protocol: number,
  ): void;
  keySymmetric(key: Uint8Array, keySize: number): number;
  digest(
    table: NativeTable,
    keys: Uint8Array,
    hashes: Uint32Array | null,
    count: number,
    digests: BigUint64Array,
  ): void;
  find(
    table: NativeTable,
    keys: Uint8Array,
    digests: BigUint64Array | null,
    count: number,
    now: Time,
    states: BigUint64Array,
  ): number;
  findOrInsert(
    table: NativeTable,
    keys: Uint8Array,
    digests: BigUint64Array | null,
    count: number,
    now: Time,
    states: BigUint64Array,
    results: Uint8Array,
  ): number;
  remove(
    table: NativeTable,
    keys: Uint8Array,
    digests: BigUint64Array | null,
    count: number,
    now: Time,
  ): number;
  loadStates(table: NativeTable, states: BigUint64Array, count: number, out: Uint8Array): void;
  storeStates(table: NativeTable, states: BigUint64Array, count: number, from: Uint8Array): void;
  addStates(
    table: NativeTable,
    states: BigUint64Array,
    count: number,
    offset: number,
    bytes: number,
    amounts: Uint32Array | null,
    amount: number,
  ): number;
  setClass(table: NativeTable, state: bigint, timeoutClass: number, now: Time): number;
  expire(table: NativeTable, now: Time, nbBuckets: number): number;
  sweepBudget(table: NativeTable, intervalNs: Time, periodNs: Time): number;
  snapshotNext(
    table: NativeTable,
    now: Time,
    cursor: BigUint64Array,
    room: number,
    keys: Uint8Array,
    states: Uint8Array,
    classes: Uint8Array,
  ): number;
  prepare(table: NativeTable): number;
  getStats(table: NativeTable, out: object): void;
  detachGroup(table: NativeTable, group: number, now: Time): NativeGroup | null;
  attachGroup(table: NativeTable, group: NativeGroup, now: Time): number;
  freeGroup(group: NativeGroup): void;
}

let functions: ConntrackFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function conntrackFunctions(): ConntrackFunctions {
  functions ??= declare();
  return functions;
}

function declare(): ConntrackFunctions {
  const { func } = openLibrary();
  const init = func<(out: object, size: number) => void>(
    'void conntrack_params_init(_Out_ conntrack_params *params, size_t size)',
  );
  const readStats = func<(table: NativeTable, out: object, size: number) => void>(
    'void conntrack_stats_get(const conntrack_table *t, _Out_ conntrack_stats *out, size_t size)',
  );
  const tuple =
    '(void *key, const void *source, const void *destination, uint16_t source_port, uint16_t destination_port, uint8_t protocol)';
  const burst =
    'conntrack_table *t, const void *keys, const void *digests, uint32_t count, uint64_t now';
  return {
    defaultParams: (out) => init(out, ffi.sizeof(params)),
    check: func('int conntrack_check(const conntrack_params *params, void *why, size_t n)'),
    create: func(
      'int conntrack_create(const conntrack_params *params, _Out_ conntrack_table **out)',
    ),
    free: func('void conntrack_free(conntrack_table *t)'),
    keyIpv4: func(`void conntrack_key_ipv4${tuple}`),
    keyIpv6: func(`void conntrack_key_ipv6${tuple}`),
    keySymmetric: func('int conntrack_key_symmetric(void *key, uint32_t key_size)'),
    digest: func(
      'void conntrack_digest_burst(conntrack_table *t, const void *keys, const void *nic_hashes, uint32_t count, void *digests)',
    ),
    find: func(`uint32_t conntrack_find_burst(${burst}, void *states)`),
    findOrInsert: func(
      `uint32_t conntrack_find_or_insert_burst(${burst}, void *states, void *results)`,
    ),
    remove: func(`uint32_t conntrack_remove_burst(${burst})`),
    loadStates: func(
      'void conntrack_load_states(const conntrack_table *t, const void *states, uint32_t count, void *out)',
    ),
    storeStates: func(
      'void conntrack_store_states(const conntrack_table *t, const void *states, uint32_t count, const void *in)',
    ),
    addStates: func(
      'int conntrack_add_states(const conntrack_table *t, const void *states, uint32_t count, uint32_t offset, uint32_t bytes, const void *amounts, uint32_t amount)',
    ),
    setClass: func(
      'int conntrack_set_class(conntrack_table *t, void *state, uint32_t timeout_class, uint64_t now)',
    ),
    expire: func(
      'uint32_t conntrack_expire(conntrack_table *t, uint64_t now, uint32_t nb_buckets)',
    ),
    sweepBudget: func(
      'uint32_t conntrack_sweep_budget(const conntrack_table *t, uint64_t interval_ns, uint64_t period_ns)',
    ),
    snapshotNext: func(
      'uint64_t conntrack_snapshot_next(conntrack_table *t, uint64_t now, void *cursor, uint64_t room, void *keys, void *states, void *classes)',
    ),
    prepare: func('int conntrack_prepare(conntrack_table *t)'),
    getStats: (table, out) => readStats(table, out, ffi.sizeof(stats)),
    detachGroup: func(
      'conntrack_group *conntrack_detach_group(conntrack_table *t, uint32_t group, uint64_t now)',
    ),
    attachGroup: func(
      'int conntrack_attach_group(conntrack_table *t, conntrack_group *group, uint64_t now)',
    ),
    freeGroup: func('void conntrack_free_group(conntrack_group *group)'),
  };
}

/** What is called for each entry that leaves: key, state, enum conntrack_reason. */
export type RemovedFn = (key: Uint8Array, state: Uint8Array, reason: number) => void;

/** Registers a callback for `on_removed`; give it back to unregisterRemoved(). Hands on copies. */
export function registerRemoved(keySize: number, stateSize: number, removed: RemovedFn): bigint {
  const copy = (address: bigint, bytes: number): Uint8Array =>
    new Uint8Array(ffi.view(address, bytes)).slice();
  return ffi.register((_context: null, key: bigint, state: bigint, reason: number) => {
    removed(copy(key, keySize), copy(state, stateSize), reason);
  }, removedFn);
}

export function unregisterRemoved(callback: bigint): void {
  ffi.unregister(callback);
}
