import { addressBytes, addressText } from '../native/address.js';
import { conntrackFunctions } from '../native/binding-conntrack.js';
import { ConntrackError } from './errors.js';

/** Layout of a key: `ipv4` for IPv4 alone, `ipv6` for both (IPv4 goes in as ::ffff:a.b.c.d). */
export type KeyKind = 'ipv4' | 'ipv6';

/** Bytes of a key. */
export const keyBytes: Readonly<Record<KeyKind, number>> = { ipv4: 16, ipv6: 40 };

/** @throws ConntrackError `bad-option`: the native side would write as many bytes as it likes */
function bytesOf(kind: KeyKind): number {
  if (Object.hasOwn(keyBytes, kind)) return keyBytes[kind];
  throw new ConntrackError('bad-option', `kind is '${String(kind)}', must be ipv4 or ipv6`, 'kind');
}

/** Addresses as text; ports in 0..65535, 0 where the protocol has none; protocol as in the IP header. */
export interface FiveTuple {
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  protocol: number;
}

function address(name: string, text: string, kind: KeyKind): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes === undefined)
    throw new ConntrackError('bad-key', `${name} is '${text}', not an IP address`);
  if (kind === 'ipv6' && bytes.length === 4)
    return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes);
  if (kind === 'ipv4' && bytes.length === 16)
    throw new ConntrackError(
      'bad-key',
      `${name} is '${text}': keys of kind 'ipv4' hold IPv4 addresses only`,
    );
  return bytes;
}

function within(name: string, value: number, most: number): number {
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw new ConntrackError('bad-key', `${name} is ${value}, must be from 0 to ${most}`);
  return value;
}

// The C functions take ports as they lie in a packet, this machine is little endian.
const networkOrder = (port: number): number => ((port & 0xff) << 8) | (port >> 8);

/**
 * Writes the key of a packet in its own direction; see `makeSymmetric` for one key of both.
 * @param into where, at byte `at`; default: a new array
 * @throws ConntrackError `bad-key`, `bad-burst` (no room), `bad-option` (no such kind)
 */
export function encodeKey(
  tuple: FiveTuple,
  kind: KeyKind = 'ipv4',
  into: Uint8Array = new Uint8Array(bytesOf(kind)),
  at = 0,
): Uint8Array {
  const bytes = bytesOf(kind);
  if (typeof (tuple as unknown) !== 'object' || (tuple as unknown) === null)
    throw new ConntrackError('bad-key', 'the first argument is no five-tuple');
  if (!Number.isInteger(at) || at < 0 || at + bytes > into.length)
    throw new ConntrackError(
      'bad-burst',
      `a key of ${bytes} bytes at ${at} does not fit into ${into.length}`,
    );
  const { keyIpv4, keyIpv6 } = conntrackFunctions();
  (kind === 'ipv4' ? keyIpv4 : keyIpv6)(
    into.subarray(at, at + bytes),
    address('source', tuple.source, kind),
    address('destination', tuple.destination, kind),
    networkOrder(within('sourcePort', tuple.sourcePort, 65535)),
    networkOrder(within('destinationPort', tuple.destinationPort, 65535)),
    within('protocol', tuple.protocol, 255),
  );
  return into;
}

/** What a key says. @throws ConntrackError `bad-burst` for a length that no key has */
export function decodeKey(key: Uint8Array): FiveTuple {
  if (key.length !== keyBytes.ipv4 && key.length !== keyBytes.ipv6)
    throw new ConntrackError(
      'bad-burst',
      `a key has ${keyBytes.ipv4} or ${keyBytes.ipv6} bytes, not ${key.length}`,
    );
  const size = key.length === keyBytes.ipv4 ? 4 : 16;
  const mapped = (bytes: Uint8Array): boolean =>
    size === 16 &&
    bytes.subarray(0, 10).every((byte) => byte === 0) &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff;
  const text = (bytes: Uint8Array): string =>
    addressText(mapped(bytes) ? bytes.subarray(12) : bytes);
  const port = (at: number): number => ((key[at] ?? 0) << 8) | (key[at + 1] ?? 0);
  return {
    source: text(key.subarray(0, size)),
    destination: text(key.subarray(size, 2 * size)),
    sourcePort: port(2 * size),
    destinationPort: port(2 * size + 2),
    protocol: key[2 * size + 4] ?? 0,
  };
}

/**
 * Makes keys the same for both directions, in place: the smaller (address, port) comes first.
 * @param keys one behind the other
 * @returns one byte a key: 1 where source and destination changed places
 * @throws ConntrackError `bad-burst`
 */
export function makeSymmetric(keys: Uint8Array, kind: KeyKind = 'ipv4'): Uint8Array {
  const bytes = bytesOf(kind);
  if (!((keys as unknown) instanceof Uint8Array))
    throw new ConntrackError(
      'bad-burst',
      'the keys are no Uint8Array, in which one lies behind the other',
    );
  if (keys.length % bytes !== 0)
    throw new ConntrackError(
      'bad-burst',
      `${keys.length} bytes are no whole number of keys of ${bytes}`,
    );
  const { keySymmetric } = conntrackFunctions();
  return Uint8Array.from({ length: keys.length / bytes }, (_, i) =>
    keySymmetric(keys.subarray(i * bytes, (i + 1) * bytes), bytes),
  );
}
