import { isIP } from 'node:net';

import { addressBytes } from '../native/address.js';
import type { NativeParams, NativeRule } from '../native/binding-reframer.js';
import { asNumber, type Time } from '../native/time.js';
import { ReframerError } from './errors.js';

/** When a held group is released: after T; at the next poll; after at most T as a controller sees fit. */
export type Policy = 'fixed' | 'burst' | 'adaptive';

/** What packets are grouped by. */
export type Key = '5tuple' | 'symmetric' | 'destination' | 'inner';

/** Packets that do not wait; their group leaves with them, so they overtake nothing. */
export type Bypass = 'syn' | 'new-flow' | 'dscp-ef' | 'ect1' | 'dns';

/** Packets that end the wait of their group. */
export type Early = 'fin' | 'rst' | 'psh';

/** A latency class; the first rule that matches a packet counts. What is absent matches everything. */
export interface LatencyRule {
  /** Source or destination, with or without prefix length: `10.0.0.0/8`, `2001:db8::1`. */
  address?: string;
  /** IP protocol number, 1 to 255. */
  protocol?: number;
  /** 0 to 63. */
  dscp?: number;
  /** Source or destination port, one or a range [low, high]. */
  port?: number | readonly [number, number];
  /** The class's own T in nanoseconds; 0 passes at once. At most one second. */
  delayNs: Time;
}

export interface ReframerOptions {
  /** Default `fixed`. */
  policy?: Policy;
  /** Default `5tuple`. */
  key?: Key;
  /** T: longest hold in nanoseconds, 0 to 1e9. Default 64000. */
  delayNs?: Time;
  /** Packets that wait at most, 32 to 2^20. Default 4096. Beyond that the groups due next leave early; see `push`. */
  maxPackets?: number;
  /** Bytes held at most. Default 8 MiB. */
  maxBytes?: number;
  /** Packets of a group at which it leaves. Default 128. */
  maxBurst?: number;
  /** Default none. */
  bypass?: readonly Bypass[];
  /** Default none. */
  early?: readonly Early[];
  /** Sort a released group's TCP data by sequence number. Default false. */
  tcpRepair?: boolean;
  /** Take out pure ACKs that a later one of the same group covers; see `takeThinned`. Default false. */
  ackThinning?: boolean;
  /** At most 16. Default none. */
  rules?: readonly LatencyRule[];
  /** LINKTYPE_ number of the frames. Default 1, Ethernet. */
  linkType?: number;
  /** Key of the group hash; 0, the default, draws one. */
  hashSeed?: number | bigint;
  /** Packets held with their header not yet read, 0 to 128. Default 32. */
  lookahead?: number;
  /**
   * Bytes of each frame that are copied to where the engine reads headers, 64 to 65536.
   * Default 512: the longest stack of tags, tunnel and option headers met in practice is below 300.
   */
  headerBytes?: number;
}

export const policies: readonly Policy[] = ['fixed', 'burst', 'adaptive'];
const keys: readonly Key[] = ['5tuple', 'symmetric', 'destination', 'inner'];
const bypasses: readonly Bypass[] = ['syn', 'new-flow', 'dscp-ef', 'ect1', 'dns'];
const earlies: readonly Early[] = ['fin', 'rst', 'psh'];

const known: ReadonlySet<string> = new Set<keyof ReframerOptions>([
  'policy',
  'key',
  'delayNs',
  'maxPackets',
  'maxBytes',
  'maxBurst',
  'bypass',
  'early',
  'tcpRepair',
  'ackThinning',
  'rules',
  'linkType',
  'hashSeed',
  'lookahead',
  'headerBytes',
]);

const maxDelayNs = 1e9;
export const maxRules = 16;

const bad = (option: string, what: string): ReframerError =>
  new ReframerError('bad-option', `${option} ${what}`, option);

/** A whole number within bounds. */
export function whole(option: string, value: number, low: number, high: number): number {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw bad(option, `is ${String(value)}, must be a whole number from ${low} to ${high}`);
  }
  return value;
}

/** A T, which may be a bigint. */
export function delay(value: Time, option = 'delayNs'): number {
  return whole(option, asNumber(value), 0, maxDelayNs);
}

/** Index of a word in a list, which is its value in the C header. */
export function choice<T extends string>(option: string, value: T, words: readonly T[]): number {
  const index = words.indexOf(value);
  if (index < 0) throw bad(option, `is '${String(value)}', must be one of ${words.join(', ')}`);
  return index;
}

function bits<T extends string>(
  option: string,
  values: readonly T[] | undefined,
  words: readonly T[],
): number {
  if (values !== undefined && !Array.isArray(values))
    throw bad(option, `must be a list of ${words.join(', ')}`);
  const chosen: readonly T[] = values ?? [];
  return chosen.reduce((sum, value) => sum | (1 << choice(option, value, words)), 0);
}

/** As the engine takes prefixes: 16 bytes, those of IPv4 first. */
function prefixBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(addressBytes(text) ?? []);
  return bytes;
}

// What a rule does not name matches everything: a name that is none would be a rule for all.
const ruleNames: ReadonlySet<string> = new Set<keyof LatencyRule>([
  'address',
  'protocol',
  'dscp',
  'port',
  'delayNs',
]);

function nativeRule(rule: LatencyRule, index: number): NativeRule {
  const at = (name: string): string => `rules[${index}].${name}`;
  const odd = Object.keys(rule).find((name) => !ruleNames.has(name));
  if (odd !== undefined)
    throw bad(at(odd), `is not a member; there are ${[...ruleNames].join(', ')}`);
  const [low, high] =
    typeof rule.port === 'number' ? [rule.port, rule.port] : (rule.port ?? [0, 0]);
  const [address = '', prefix, more] = (rule.address ?? '').split('/');
  const version = rule.address === undefined ? 0 : isIP(address);
  if (rule.address !== undefined && (version === 0 || more !== undefined))
    throw bad(at('address'), `is '${rule.address}', not an IP address or prefix`);
  const width = version === 4 ? 32 : 128;
  if (rule.port !== undefined) {
    whole(at('port'), low, 1, 65535);
    whole(at('port'), high, low, 65535);
  }
  return {
    address: version === 0 ? new Uint8Array(16) : prefixBytes(address),
    prefix_length:
      version === 0
        ? 0
        : prefix === undefined
          ? width
          : whole(at('address'), /^\d+$/.test(prefix) ? Number(prefix) : Number.NaN, 0, width),
    ip_version: version,
    protocol: rule.protocol === undefined ? 0 : whole(at('protocol'), rule.protocol, 1, 255),
    dscp_plus_one: rule.dscp === undefined ? 0 : whole(at('dscp'), rule.dscp, 0, 63) + 1,
    port_low: low,
    port_high: high,
    delay_ns: delay(rule.delayNs, at('delayNs')),
  };
}

/** Checks what TypeScript cannot, so that an error names the option, and fills the C struct. */
export function applyOptions(options: ReframerOptions, params: NativeParams): NativeParams {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw bad(name, 'is not an option; there are ' + [...known].join(', '));
  }
  const optional = (
    name: 'maxPackets' | 'maxBytes' | 'maxBurst' | 'linkType' | 'lookahead',
    fallback: number,
    low: number,
    high: number,
  ): number => whole(name, options[name] ?? fallback, low, high);
  const rules = options.rules ?? [];
  if (rules.length > maxRules)
    throw bad('rules', `has ${rules.length} entries, at most ${maxRules} are possible`);
  const seed = options.hashSeed ?? 0;
  if (
    (typeof seed === 'number' && !Number.isSafeInteger(seed)) ||
    BigInt.asUintN(64, BigInt(seed)) !== BigInt(seed)
  )
    throw bad('hashSeed', 'must be a whole number from 0 to 2^64 - 1');
  return {
    ...params,
    policy: choice('policy', options.policy ?? 'fixed', policies),
    key: choice('key', options.key ?? '5tuple', keys),
    delay_ns: delay(options.delayNs ?? params.delay_ns),
    max_packets: optional('maxPackets', params.max_packets, 32, 2 ** 20),
    max_bytes: optional('maxBytes', params.max_bytes, 1, Number.MAX_SAFE_INTEGER),
    max_burst: optional('maxBurst', params.max_burst, 1, 2 ** 32 - 1),
    link_type: optional('linkType', params.link_type, 0, 65535),
    lookahead: optional('lookahead', params.lookahead, 0, 128),
    bypass: bits('bypass', options.bypass, bypasses),
    early: bits('early', options.early, earlies),
    options: (options.tcpRepair === true ? 1 : 0) | (options.ackThinning === true ? 2 : 0),
    hash_seed: seed,
    rules: rules.length === 0 ? null : rules.map(nativeRule),
    nb_rules: rules.length,
  };
}
