// Functions of native/include/reframer/conntrack_shared.h; its structs are those of conntrack.h.
import { ffi, openLibrary } from './binding.js';
import { structs, type NativeParams } from './binding-conntrack.js';

declare const nativeShared: unique symbol;
declare const nativeThread: unique symbol;
/** A struct conntrack_shared; an address, so it may travel between threads. */
export type NativeShared = bigint & { readonly [nativeShared]: true };
/** A struct conntrack_thread, of the thread that made it. */
export type NativeThread = bigint & { readonly [nativeThread]: true };

ffi.opaque('conntrack_shared');
ffi.opaque('conntrack_thread');
const updateFn = ffi.pointer(
  ffi.proto(
    'void conntrack_update_fn(void *context, uint32_t index, void *state, void *timeout_class, int is_new)',
  ),
);

type Time = number | bigint;

/** As a result: no room. */
export const refused = 0xff;

/** Negative results are errno values. */
export interface SharedFunctions {
  create(params: NativeParams, out: [NativeShared | null]): number;
  check(params: NativeParams, why: Uint8Array, room: number): number;
  free(table: NativeShared): void;
  threadCreate(table: NativeShared): NativeThread | null;
  threadFree(thread: NativeThread): void;
  find(
    thread: NativeThread,
    keys: Uint8Array,
    digests: null,
    count: number,
    now: Time,
    states: Uint8Array,
    found: Uint8Array,
  ): number;
  findOrInsert(
    thread: NativeThread,
    keys: Uint8Array,
    digests: null,
    count: number,
    now: Time,
    states: Uint8Array,
    results: Uint8Array,
  ): number;
  store(
    thread: NativeThread,
    keys: Uint8Array,
    digests: null,
    count: number,
    now: Time,
    states: Uint8Array,
    results: Uint8Array,
  ): number;
  update(
    thread: NativeThread,
    keys: Uint8Array,
    digests: null,
    count: number,
    now: Time,
    update: bigint,
    context: null,
    results: Uint8Array,
  ): number;
  remove(
    thread: NativeThread,
    keys: Uint8Array,
    digests: null,
    count: number,
    now: Time,
    removed: Uint8Array | null,
  ): number;
  expire(thread: NativeThread, now: Time, nbBuckets: number): number;
  sweepBudget(thread: NativeThread, intervalNs: Time, periodNs: Time): number;
  getStats(table: NativeShared, out: object): void;
}

let functions: SharedFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function sharedFunctions(): SharedFunctions {
  functions ??= declare();
  return functions;
}

function declare(): SharedFunctions {
  const { func } = openLibrary();
  const readStats = func<(table: NativeShared, out: object, size: number) => void>(
    'void conntrack_shared_stats_get(const conntrack_shared *t, _Out_ conntrack_stats *out, size_t size)',
  );
  const burst =
    'conntrack_thread *thread, const void *keys, const void *digests, uint32_t count, uint64_t now';
  return {
    check: func('int conntrack_shared_check(const conntrack_params *params, void *why, size_t n)'),
    create: func(
      'int conntrack_shared_create(const conntrack_params *params, _Out_ conntrack_shared **out)',
    ),
    free: func('void conntrack_shared_free(conntrack_shared *t)'),
    threadCreate: func('conntrack_thread *conntrack_shared_thread_create(conntrack_shared *t)'),
    threadFree: func('void conntrack_shared_thread_free(conntrack_thread *thread)'),
    find: func(`uint32_t conntrack_shared_find_burst(${burst}, void *states, void *found)`),
    findOrInsert: func(
      `uint32_t conntrack_shared_find_or_insert_burst(${burst}, void *states, void *results)`,
    ),
    store: func(
      `uint32_t conntrack_shared_store_burst(${burst}, const void *states, void *results)`,
    ),
    update: func(
      `uint32_t conntrack_shared_update_burst(${burst}, conntrack_update_fn *update, void *context, void *results)`,
    ),
    remove: func(`uint32_t conntrack_shared_remove_burst(${burst}, void *removed)`),
    expire: func(
      'uint32_t conntrack_shared_expire(conntrack_thread *thread, uint64_t now, uint32_t nb_buckets)',
    ),
    sweepBudget: func(
      'uint32_t conntrack_shared_sweep_budget(conntrack_thread *thread, uint64_t interval_ns, uint64_t period_ns)',
    ),
    getStats: (table, out) => readStats(table, out, ffi.sizeof(structs.stats)),
  };
}

/** `index` of the key in its burst; `state` and the word at `timeoutClass` are read and written in place. */
export type UpdateFn = (
  index: number,
  state: Uint8Array,
  timeoutClass: Uint32Array,
  isNew: boolean,
) => void;

/** Registers a callback for `update`; give it back to unregisterUpdate(). It must not throw. */
export function registerUpdate(stateSize: number, update: UpdateFn): bigint {
  return ffi.register(
    (_context: null, index: number, state: bigint, timeoutClass: bigint, isNew: number) => {
      update(
        index,
        new Uint8Array(ffi.view(state, stateSize)),
        new Uint32Array(ffi.view(timeoutClass, 4)),
        isNew !== 0,
      );
    },
    updateFn,
  );
}

export function unregisterUpdate(callback: bigint): void {
  ffi.unregister(callback);
}
