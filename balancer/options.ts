import type { NativeParams, NativeQuic, NativeServer } from '../native/binding-balancer.js';
import { addressBytes } from '../native/address.js';
import { isTime, noTime, type Time } from '../native/time.js';
import { LoadBalancerError } from './errors.js';

/** In the order of the header's enum balancer_policy. */
export const policies = [
  'round-robin',
  'weighted',
  'adaptive',
  'power-of-two',
  'least',
  'maglev',
  'ring',
  'hash',
  'cross-rss',
] as const;
/**
 * Which server a new connection goes to: in turn; in turn by weight; the same with weights that fall
 * as loads rise; the less loaded of two; the least loaded; by consistent hash (`maglev`, `ring`); by
 * hash modulo servers; where the core that it will land on is least loaded.
 */
export type LoadBalancerPolicy = (typeof policies)[number];

/** In the order of enum balancer_memory. */
export const memories = ['cookie', 'track', 'forget'] as const;
/** How later packets find their server: cookie and flow table; flow table alone; hash of each packet. */
export type Memory = (typeof memories)[number];

/** In the order of enum balancer_clock. */
export const clocks = ['detect', 'uniform', 'differing'] as const;
/** What is known of a server's TCP timestamps: to be found out, one clock for all clients, or not. */
export type ServerClock = (typeof clocks)[number];

export interface LoadBalancerOptions {
  /** The service's address, as clients see it; IPv4, IPv6, or one of each. */
  service: string | readonly string[];
  /** Server ids, 1..4096; default 256. */
  maxServers?: number;
  /** Bits of the cookie's version, 2..8; default 3. */
  versionBits?: number;
  /** Bits by which forged cookies are found, 0..8; default 0. */
  checkBits?: number;
  /** Default `round-robin`. */
  policy?: LoadBalancerPolicy;
  /** Default `cookie`. */
  memory?: Memory;
  /** Count a new connection at once, as `connectionLoad`, until its server reports; default true. */
  book?: boolean;
  /** What a connection adds to a load; default 1. */
  connectionLoad?: number;
  /** Frames a second that may go to all servers, 0..1e6; default 1000. */
  floodPerSecond?: number;
  /** Entries of the flow table at most, 64..2^26; default 2^20. */
  maxConnections?: number;
  /** Idle time of entries: before the client's second packet; default 30 s. */
  openingNs?: Time;
  /** Of connections; default 2 h 4 min. */
  establishedNs?: Time;
  /** After FIN or RST; default 2 min. */
  closingNs?: Time;
  /** Of UDP; default 2 min. */
  udpNs?: Time;
  /** 16 secret bytes; default: drawn. */
  key?: Uint8Array;
  /** UDP port whose packets are QUIC, once `setQuic()` was called; default 443. */
  quicPort?: number;
}

/** How QUIC servers make connection ids: draft-ietf-quic-load-balancers-21. */
export interface QuicOptions {
  /** Upper three bits of an id's first octet, 0..6; several may be in use while they change. Default 0. */
  rotation?: number;
  /** Octets of the server's id, 1..15; default 2. */
  serverIdLength?: number;
  /** Octets of the nonce, 4..18, at most 19 with the server's id; default 6. */
  nonceLength?: number;
  /** Whether the first octet says how long the rest is; default true. */
  lengthEncoded?: boolean;
  /** 16 bytes for AES-128; default: not encrypted. */
  key?: Uint8Array;
}

export interface ServerOptions {
  /** Ethernet destination of its frames, 6 bytes; default: left as it is. */
  mac?: Uint8Array;
  /** 0..1000; default 1. */
  weight?: number;
  /** Default `detect`. */
  clock?: ServerClock;
}

function index<T extends string>(name: string, words: readonly T[], value: T): number {
  const at = words.indexOf(value);
  if (at >= 0) return at;
  throw new LoadBalancerError(
    'bad-option',
    `${name} is '${value}'; there are ${words.join(', ')}`,
    name,
  );
}

interface Addresses {
  v4: number[];
  v6: number[];
}

/** Zeros stand for a family that is not there. */
function addresses(name: string, given: string | readonly string[]): Addresses {
  const list: readonly string[] = typeof given === 'string' ? [given] : given;
  if (!(list instanceof Array))
    throw new LoadBalancerError(
      'bad-option',
      `${name} is missing: an address, or one of each family in an array`,
      name,
    );
  const found: Partial<Addresses> = {};
  for (const text of list) {
    const bytes = addressBytes(text);
    if (bytes === undefined)
      throw new LoadBalancerError(
        'bad-option',
        `${name} is '${text}', which is no IP address`,
        name,
      );
    const family = bytes.length === 4 ? 'v4' : 'v6';
    if (found[family] !== undefined)
      throw new LoadBalancerError('bad-option', `${name} has two addresses of one family`, name);
    found[family] = [...bytes];
  }
  return { v4: Array<number>(4).fill(0), v6: Array<number>(16).fill(0), ...found };
}

export function bytesOf(name: string, given: Uint8Array, length: number): number[] {
  if (given.length === length) return [...given];
  throw new LoadBalancerError(
    'bad-option',
    `${name} has ${given.length} bytes instead of ${length}`,
    name,
  );
}

/** 32-bit members are cut to their size on the way: out of range must not come back as in range. */
function whole(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw new LoadBalancerError('bad-option', `${name} is ${value}, no whole number from 0`, name);
}

/** @throws LoadBalancerError `bad-option`: a name that none of `names` is would be ignored */
function only(given: object, names: readonly string[]): void {
  const odd = Object.keys(given).find((name) => !names.includes(name));
  if (odd !== undefined)
    throw new LoadBalancerError(
      'bad-option',
      `${odd} is not an option; there are ${names.join(', ')}`,
      odd,
    );
}

const optionNames: readonly (keyof LoadBalancerOptions)[] = [
  'service',
  'maxServers',
  'versionBits',
  'checkBits',
  'policy',
  'memory',
  'book',
  'connectionLoad',
  'floodPerSecond',
  'maxConnections',
  'openingNs',
  'establishedNs',
  'closingNs',
  'udpNs',
  'key',
  'quicPort',
];
const quicNames: readonly (keyof QuicOptions)[] = [
  'rotation',
  'serverIdLength',
  'nonceLength',
  'lengthEncoded',
  'key',
];
const serverNames: readonly (keyof ServerOptions)[] = ['mac', 'weight', 'clock'];

/** As given: the native side would take what is none for another time. */
function time(name: string, value: number | bigint): number | bigint {
  if (isTime(value)) return value;
  throw new LoadBalancerError('bad-option', noTime(name, value), name);
}

const book = 2; // BALANCER_BOOK

export function nativeParams(options: LoadBalancerOptions, defaults: NativeParams): NativeParams {
  const o = options;
  only(o, optionNames);
  const service = addresses('service', o.service);
  return {
    ...defaults,
    service: service.v4,
    service6: service.v6,
    max_servers: whole('maxServers', o.maxServers ?? defaults.max_servers),
    version_bits: whole('versionBits', o.versionBits ?? defaults.version_bits),
    check_bits: whole('checkBits', o.checkBits ?? defaults.check_bits),
    policy: index('policy', policies, o.policy ?? 'round-robin'),
    memory: index('memory', memories, o.memory ?? 'cookie'),
    flags: o.book === false ? 0 : book,
    flood_per_second: whole('floodPerSecond', o.floodPerSecond ?? defaults.flood_per_second),
    max_connections: whole('maxConnections', Number(o.maxConnections ?? defaults.max_connections)),
    opening_ns: time('openingNs', o.openingNs ?? defaults.opening_ns),
    established_ns: time('establishedNs', o.establishedNs ?? defaults.established_ns),
    closing_ns: time('closingNs', o.closingNs ?? defaults.closing_ns),
    udp_ns: time('udpNs', o.udpNs ?? defaults.udp_ns),
    connection_load: o.connectionLoad ?? defaults.connection_load,
    key: o.key === undefined ? defaults.key : bytesOf('key', o.key, 16),
    quic_port: whole('quicPort', o.quicPort ?? defaults.quic_port),
  };
}

export function nativeQuic(o: QuicOptions, defaults: NativeQuic): NativeQuic {
  only(o, quicNames);
  return {
    ...defaults,
    rotation: whole('rotation', o.rotation ?? defaults.rotation),
    server_id_length: whole('serverIdLength', o.serverIdLength ?? defaults.server_id_length),
    nonce_length: whole('nonceLength', o.nonceLength ?? defaults.nonce_length),
    length_encoded: o.lengthEncoded === false ? 0 : 1,
    encrypted: o.key === undefined ? 0 : 1,
    key: o.key === undefined ? defaults.key : bytesOf('key', o.key, 16),
  };
}

export function nativeServer(
  address: string | readonly string[],
  options: ServerOptions,
  defaults: NativeServer,
): NativeServer {
  only(options, serverNames);
  const { v4, v6 } = addresses('address', address);
  return {
    ...defaults,
    address: v4,
    address6: v6,
    mac: options.mac === undefined ? defaults.mac : bytesOf('mac', options.mac, 6),
    weight: whole('weight', options.weight ?? defaults.weight),
    clock: index('clock', clocks, options.clock ?? 'detect'),
  };
}
