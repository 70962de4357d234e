// Structs and functions of native/include/reframer/reframer.h.
import { addressOf, ffi, openLibrary, type NativeBuffer } from './binding.js';

declare const nativeStage: unique symbol;
/** A struct reframer_stage; only handed back to the functions below. */
export type NativeStage = { readonly [nativeStage]: true };

ffi.opaque('reframer_stage');

// Members in the order of the header; test/reframer/layout.test.ts compares with a C compiler.
const rule = ffi.struct('reframer_rule', {
  address: ffi.array('uint8_t', 16, 'Typed'),
  prefix_length: 'uint8_t',
  ip_version: 'uint8_t',
  protocol: 'uint8_t',
  dscp_plus_one: 'uint8_t',
  port_low: 'uint16_t',
  port_high: 'uint16_t',
  delay_ns: 'uint64_t',
});

const params = ffi.struct('reframer_params', {
  size: 'size_t',
  policy: 'uint32_t',
  key: 'uint32_t',
  link_type: 'uint32_t',
  max_packets: 'uint32_t',
  max_bytes: 'uint64_t',
  delay_ns: 'uint64_t',
  max_burst: 'uint32_t',
  bypass: 'uint32_t',
  early: 'uint32_t',
  options: 'uint32_t',
  hash_seed: 'uint64_t',
  rules: ffi.pointer(rule),
  nb_rules: 'uint32_t',
  lookahead: 'uint32_t',
});

const packed = ffi.struct('reframer_packed', {
  headers: 'void *',
  free_slots: 'void *',
  packets: 'void *',
  data: 'void *',
  captured: 'void *',
  header_bytes: 'uint32_t',
  nb_slots: 'uint32_t',
});

const nbReasons = 6;
export const histogramBuckets = 512;

const stats = ffi.struct('reframer_stats', {
  packets_in: 'uint64_t',
  packets_out: 'uint64_t',
  packets_thinned: 'uint64_t',
  bytes_in: 'uint64_t',
  bytes_out: 'uint64_t',
  runs_in: 'uint64_t',
  runs_out: 'uint64_t',
  released: ffi.array('uint64_t', nbReasons, 'Array'),
  bypassed: 'uint64_t',
  repaired: 'uint64_t',
  unparsed: 'uint64_t',
  clock_backwards: 'uint64_t',
  groups_held: 'uint32_t',
  packets_held: 'uint32_t',
  bytes_held: 'uint64_t',
  packets_held_max: 'uint32_t',
  hold_max_ns: 'uint64_t',
  delay_ns: 'uint64_t',
  passed: 'uint64_t',
});

const load = ffi.struct('reframer_load', {
  queue_length: 'uint32_t',
  queue_capacity: 'uint32_t',
  busy_cycles: 'uint64_t',
  total_cycles: 'uint64_t',
  packets: 'uint64_t',
});

const run = ffi.struct('reframer_run', {
  first: 'uint32_t',
  count: 'uint32_t',
  hash: 'uint32_t',
  reason: 'uint32_t',
});

export const structs = { rule, params, run, stats, load };
export const packedStructs = { packed };

/** Words of a struct reframer_run where runs are read in place as 32-bit words. */
export const runWords = 4;

export interface NativeRule {
  address: Uint8Array;
  prefix_length: number;
  ip_version: number;
  protocol: number;
  dscp_plus_one: number;
  port_low: number;
  port_high: number;
  delay_ns: number;
}

export interface NativeParams {
  size: number;
  policy: number;
  key: number;
  link_type: number;
  max_packets: number;
  max_bytes: number;
  delay_ns: number;
  max_burst: number;
  bypass: number;
  early: number;
  options: number;
  hash_seed: number | bigint;
  rules: NativeRule[] | null;
  nb_rules: number;
  lookahead: number;
}

export interface NativeStats {
  packets_in: number;
  packets_out: number;
  packets_thinned: number;
  bytes_in: number;
  bytes_out: number;
  runs_in: number;
  runs_out: number;
  released: number[];
  bypassed: number;
  repaired: number;
  unparsed: number;
  clock_backwards: number;
  groups_held: number;
  packets_held: number;
  bytes_held: number;
  packets_held_max: number;
  hold_max_ns: number;
  delay_ns: number;
  passed: number;
}

export interface NativeLoad {
  queue_length: number;
  queue_capacity: number;
  busy_cycles: number;
  total_cycles: number;
  packets: number;
}

type Time = number | bigint;

/** Negative results are errno values. */
export interface ReframerFunctions {
  defaultParams(out: object): void;
  check(params: NativeParams, why: Uint8Array, room: number): number;
  create(params: NativeParams, out: [NativeStage | null]): number;
  free(stage: NativeStage): void;
  push(
    stage: NativeStage,
    slots: Uint8Array,
    nbFree: number,
    data: Uint8Array | null,
    offsets: Uint32Array,
    wire: Uint32Array | null,
    hash: Uint32Array | null,
    count: number,
    now: Time,
  ): number;
  poll(
    stage: NativeStage,
    now: Time,
    drain: number,
    slots: Uint32Array,
    nbSlots: number,
    runs: Uint32Array,
    nbRuns: Uint32Array,
  ): number;
  releaseBucket(stage: NativeStage, mask: number, value: number): number;
  takeThinned(stage: NativeStage, out: BigUint64Array, nbOut: number): number;
  nextDeadline(stage: NativeStage): Time;
  setPolicy(stage: NativeStage, policy: number, delayNs: Time): number;
  reportLoad(stage: NativeStage, load: NativeLoad): void;
  getStats(stage: NativeStage, out: object): void;
  resetStats(stage: NativeStage): void;
  histogramLowNs(bucket: number): number;
  holdHistogram(stage: NativeStage, packets: BigUint64Array, nbBuckets: number): void;
  holdQuantile(packets: BigUint64Array, nbBuckets: number, q: number): number;
  strerror(error: number): string;
}

let functions: ReframerFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function reframerFunctions(): ReframerFunctions {
  functions ??= declare();
  return functions;
}

function declare(): ReframerFunctions {
  const { func } = openLibrary();
  const init = func<(out: object, size: number) => void>(
    'void reframer_params_init(_Out_ reframer_params *params, size_t size)',
  );
  const readStats = func<(stage: NativeStage, out: object, size: number) => void>(
    'void reframer_stats_get(const reframer_stage *r, _Out_ reframer_stats *out, size_t size)',
  );
  return {
    defaultParams: (out) => init(out, ffi.sizeof(params)),
    check: func('int reframer_check(const reframer_params *params, void *why, size_t n)'),
    create: func('int reframer_create(const reframer_params *params, _Out_ reframer_stage **out)'),
    free: func('void reframer_free(reframer_stage *r)'),
    // Columns are passed as addresses of typed arrays: nothing is marshalled on the packet path.
    push: func(
      'uint32_t reframer_push_packed(reframer_stage *r, const void *p, uint32_t nb_free, const void *data, const void *offsets, const void *wire, const void *hash, uint32_t count, uint64_t now)',
    ),
    poll: func(
      'uint32_t reframer_poll_packed(reframer_stage *r, uint64_t now, int drain, void *slots, uint32_t nb_slots, void *runs, void *nb_runs)',
    ),
    releaseBucket: func(
      'uint32_t reframer_release_bucket(reframer_stage *r, uint32_t mask, uint32_t value)',
    ),
    takeThinned: func(
      'uint32_t reframer_take_thinned(reframer_stage *r, void *out, uint32_t nb_out)',
    ),
    nextDeadline: func('uint64_t reframer_next_deadline(const reframer_stage *r)'),
    setPolicy: func(
      'int reframer_set_policy(reframer_stage *r, uint32_t policy, uint64_t delay_ns)',
    ),
    reportLoad: func('void reframer_report_load(reframer_stage *r, const reframer_load *load)'),
    getStats: (stage, out) => readStats(stage, out, ffi.sizeof(stats)),
    resetStats: func('void reframer_reset_stats(reframer_stage *r)'),
    histogramLowNs: func('uint64_t reframer_histogram_low_ns(uint32_t bucket)'),
    holdHistogram: func(
      'void reframer_hold_histogram(const reframer_stage *r, void *packets, uint32_t nb_buckets)',
    ),
    holdQuantile: func(
      'uint64_t reframer_hold_quantile(const void *packets, uint32_t nb_buckets, double q)',
    ),
    strerror: func('const char *reframer_strerror(int error)'),
  };
}

/** Memory of a stage's slots, and the struct reframer_packed that points at it. */
export class NativeSlots {
  readonly struct = new Uint8Array(ffi.sizeof(packed));
  readonly headers: Uint8Array;
  readonly freeSlots: Uint32Array;
  /** For what a push hands on; the native side's own. */
  readonly #columns: readonly NativeBuffer[];

  constructor(nbSlots: number, headerBytes: number) {
    this.headers = new Uint8Array(nbSlots * headerBytes);
    this.freeSlots = Uint32Array.from({ length: nbSlots }, (_, i) => nbSlots - 1 - i);
    const [packets, data, captured] = [
      new BigUint64Array(nbSlots),
      new BigUint64Array(nbSlots),
      new Uint32Array(nbSlots),
    ];
    this.#columns = [packets, data, captured];
    const view = new DataView(this.struct.buffer);
    for (const [member, column] of Object.entries({
      headers: this.headers,
      free_slots: this.freeSlots,
      packets,
      data,
      captured,
    }))
      view.setBigUint64(ffi.offsetof(packed, member), addressOf(column), true);
    view.setUint32(ffi.offsetof(packed, 'header_bytes'), headerBytes, true);
    view.setUint32(ffi.offsetof(packed, 'nb_slots'), nbSlots, true);
  }

  /** Columns that must stay where they are; so that nothing thinks they were not used. */
  get columns(): number {
    return this.#columns.length;
  }
}
