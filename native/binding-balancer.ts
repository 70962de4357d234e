// Structs and functions of native/include/reframer/balancer.h that the TypeScript room uses.
import { ffi, openLibrary } from './binding.js';

declare const nativeLoadBalancer: unique symbol;
/** A struct balancer; only handed back to the functions below. */
export type NativeLoadBalancer = { readonly [nativeLoadBalancer]: true };

ffi.opaque('balancer');

// Members in the order of the header; test/balancer/layout.test.ts compares with a C compiler.
const params = ffi.struct('balancer_params', {
  size: 'size_t',
  service: ffi.array('uint8_t', 4, 'Array'),
  max_servers: 'uint32_t',
  version_bits: 'uint32_t',
  check_bits: 'uint32_t',
  policy: 'uint32_t',
  memory: 'uint32_t',
  flags: 'uint32_t',
  flood_per_second: 'uint32_t',
  max_connections: 'uint64_t',
  opening_ns: 'uint64_t',
  established_ns: 'uint64_t',
  closing_ns: 'uint64_t',
  udp_ns: 'uint64_t',
  connection_load: 'double',
  key: ffi.array('uint8_t', 16, 'Array'),
  quic_port: 'uint32_t',
  reserved: 'uint32_t',
  service6: ffi.array('uint8_t', 16, 'Array'),
});

const quic = ffi.struct('balancer_quic', {
  size: 'size_t',
  rotation: 'uint32_t',
  server_id_length: 'uint32_t',
  nonce_length: 'uint32_t',
  length_encoded: 'uint32_t',
  encrypted: 'uint32_t',
  key: ffi.array('uint8_t', 16, 'Array'),
  reserved: 'uint32_t',
});

const server = ffi.struct('balancer_server', {
  size: 'size_t',
  address: ffi.array('uint8_t', 4, 'Array'),
  mac: ffi.array('uint8_t', 6, 'Array'),
  weight: 'uint32_t',
  clock: 'uint32_t',
  address6: ffi.array('uint8_t', 16, 'Array'),
});

const cores = ffi.struct('balancer_cores', {
  key: ffi.array('uint8_t', 40, 'Array'),
  nb_buckets: 'uint32_t',
  nb_cores: 'uint32_t',
  table: 'void *',
});

const frame = ffi.struct('balancer_frame', {
  data: 'void *',
  length: 'uint32_t',
  server: 'uint32_t',
  verdict: 'uint32_t',
});

const stats = ffi.struct('balancer_stats', {
  active: 'uint32_t',
  draining: 'uint32_t',
  connections: 'uint64_t',
  to_server: 'uint64_t',
  to_client: 'uint64_t',
  to_all: 'uint64_t',
  other: 'uint64_t',
  dropped: 'uint64_t',
  placed: 'uint64_t',
  by_cookie: 'uint64_t',
  by_table: 'uint64_t',
  by_quic: 'uint64_t',
  by_hash: 'uint64_t',
  wrong_cookies: 'uint64_t',
  gone: 'uint64_t',
  strays: 'uint64_t',
  unrestored: 'uint64_t',
  lost_fragments: 'uint64_t',
  errors_followed: 'uint64_t',
  carried_on: 'uint64_t',
  refused: 'uint64_t',
  malformed: 'uint64_t',
  uniform: 'uint32_t',
  reserved: 'uint32_t',
  unroutable_ids: 'uint64_t',
});

export const structs = { params, quic, server, cores, frame, stats };

/** A struct balancer_frame, as 32-bit words: pointer, length, server, verdict, padding. */
export const frameWords = 6;

export interface NativeParams {
  size: number;
  service: number[];
  max_servers: number;
  version_bits: number;
  check_bits: number;
  policy: number;
  memory: number;
  flags: number;
  flood_per_second: number;
  max_connections: number | bigint;
  opening_ns: number | bigint;
  established_ns: number | bigint;
  closing_ns: number | bigint;
  udp_ns: number | bigint;
  connection_load: number;
  key: number[];
  quic_port: number;
  service6: number[];
}

export interface NativeQuic {
  size: number;
  rotation: number;
  server_id_length: number;
  nonce_length: number;
  length_encoded: number;
  encrypted: number;
  key: number[];
}

export interface NativeServer {
  size: number;
  address: number[];
  mac: number[];
  weight: number;
  clock: number;
  address6: number[];
}

export interface NativeCores {
  key: number[];
  nb_buckets: number;
  nb_cores: number;
  table: Uint16Array;
}

/** By the names of the struct's members. */
export type NativeStats = Readonly<Record<string, number | bigint>>;

/** Negative results are errno values. */
export interface BalancerFunctions {
  defaultParams(out: object): void;
  defaultServer(out: object): void;
  defaultQuic(out: object): void;
  check(params: NativeParams, why: Uint8Array, room: number): number;
  create(params: NativeParams, out: [NativeLoadBalancer | null]): number;
  free(b: NativeLoadBalancer): void;
  add(b: NativeLoadBalancer, of: NativeServer): number;
  drain(b: NativeLoadBalancer, id: number): number;
  activate(b: NativeLoadBalancer, id: number): number;
  remove(b: NativeLoadBalancer, id: number): number;
  setWeight(b: NativeLoadBalancer, id: number, weight: number): number;
  reportLoad(b: NativeLoadBalancer, id: number, load: number): number;
  setCores(b: NativeLoadBalancer, id: number, of: NativeCores): number;
  reportCores(b: NativeLoadBalancer, id: number, loads: Float32Array, count: number): number;
  setQuic(b: NativeLoadBalancer, of: NativeQuic): number;
  clearQuic(b: NativeLoadBalancer, rotation: number): number;
  quicId(
    b: NativeLoadBalancer,
    rotation: number,
    id: number,
    nonce: Uint8Array,
    out: Uint8Array,
  ): number;
  process(b: NativeLoadBalancer, frames: Uint32Array, count: number, now: number | bigint): void;
  direct(b: NativeLoadBalancer, data: Uint8Array, length: number, id: number): number;
  servers(b: NativeLoadBalancer, ids: Uint32Array, room: number): number;
  stats(b: NativeLoadBalancer, out: object): void;
}

let functions: BalancerFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function balancerFunctions(): BalancerFunctions {
  functions ??= declare();
  return functions;
}

function declare(): BalancerFunctions {
  const { func } = openLibrary();
  const initParams = func<(out: object, size: number) => void>(
    'void balancer_params_init(_Out_ balancer_params *params, size_t size)',
  );
  const initServer = func<(out: object, size: number) => void>(
    'void balancer_server_init(_Out_ balancer_server *server, size_t size)',
  );
  const initQuic = func<(out: object, size: number) => void>(
    'void balancer_quic_init(_Out_ balancer_quic *quic, size_t size)',
  );
  const getStats = func<(b: NativeLoadBalancer, out: object, size: number) => void>(
    'void balancer_stats_get(const balancer *b, _Out_ balancer_stats *out, size_t size)',
  );
  return {
    defaultParams: (out) => initParams(out, ffi.sizeof(params)),
    defaultServer: (out) => initServer(out, ffi.sizeof(server)),
    defaultQuic: (out) => initQuic(out, ffi.sizeof(quic)),
    check: func('int balancer_check(const balancer_params *params, void *why, size_t n)'),
    create: func('int balancer_create(const balancer_params *params, _Out_ balancer **out)'),
    free: func('void balancer_free(balancer *b)'),
    add: func('int balancer_add(balancer *b, const balancer_server *server)'),
    drain: func('int balancer_drain(balancer *b, uint32_t id)'),
    activate: func('int balancer_activate(balancer *b, uint32_t id)'),
    remove: func('int balancer_remove(balancer *b, uint32_t id)'),
    setWeight: func('int balancer_set_weight(balancer *b, uint32_t id, uint32_t weight)'),
    reportLoad: func('int balancer_report_load(balancer *b, uint32_t id, double load)'),
    setCores: func('int balancer_set_cores(balancer *b, uint32_t id, const balancer_cores *cores)'),
    reportCores: func(
      'int balancer_report_cores(balancer *b, uint32_t id, const void *loads, uint32_t nb)',
    ),
    setQuic: func('int balancer_set_quic(balancer *b, const balancer_quic *quic)'),
    clearQuic: func('int balancer_clear_quic(balancer *b, uint32_t rotation)'),
    quicId: func(
      'int balancer_quic_id(const balancer *b, uint32_t rotation, uint32_t id, const void *nonce, void *out)',
    ),
    process: func(
      'void balancer_process(balancer *b, void *frames, uint32_t count, uint64_t now_ns)',
    ),
    direct: func('int balancer_direct(balancer *b, void *data, uint32_t length, uint32_t id)'),
    servers: func('uint32_t balancer_servers(const balancer *b, void *ids, uint32_t room)'),
    stats: (b, out) => getStats(b, out, ffi.sizeof(stats)),
  };
}
