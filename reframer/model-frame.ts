// Whose a frame is, read the obvious way: for the model and the tests.
import type { Bypass, Early, Key } from './options.js';

export interface Fragment {
  /** What the fragments of one packet share: addresses, protocol, id. */
  datagram: string;
  /** Bytes. */
  offset: number;
  length: number;
  more: boolean;
}

export interface FrameDescription {
  /** Of a fragment behind the first: that of its datagram. */
  key: string;
  traits: ReadonlySet<Bypass | Early>;
  /** Not for the key `destination`, which every fragment has. */
  fragment?: Fragment;
}

const unparsed: FrameDescription = { key: 'unparsed', traits: new Set() };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * Grouping key and traits of an Ethernet frame with TCP or UDP in IPv4 or IPv6, fragmented or not,
 * without other extensions.
 */
export function describeFrame(frame: Uint8Array, kind: Key): FrameDescription {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 12;
  const has = (bytes: number): boolean => at + bytes <= frame.length;
  if (!has(2)) return unparsed;
  while (has(4) && (view.getUint16(at) === 0x8100 || view.getUint16(at) === 0x88a8)) at += 4;
  if (!has(2)) return unparsed;
  const type = view.getUint16(at);
  at += 2;
  const version = type === 0x0800 ? 4 : type === 0x86dd ? 6 : 0;
  if (version === 0 || !has(version === 4 ? 20 : 40)) return unparsed;
  const [address, length] = version === 4 ? [at + 12, 4] : [at + 8, 16];
  const ip = at;
  let protocol = view.getUint8(at + (version === 4 ? 9 : 6));
  const trafficClass = version === 4 ? view.getUint8(at + 1) : (view.getUint16(at) >> 4) & 255;
  const source = hex(frame.subarray(address, address + length));
  const destination = hex(frame.subarray(address + length, address + 2 * length));
  at += version === 4 ? (view.getUint8(at) & 15) * 4 : 40;
  const end = ip + (version === 4 ? view.getUint16(ip + 2) : 40 + view.getUint16(ip + 4));
  let fragment: Fragment | undefined;
  if (version === 4 && (view.getUint16(ip + 6) & 0x3fff) !== 0) {
    const field = view.getUint16(ip + 6);
    const datagram = `4 ${protocol} ${source} ${destination} id ${view.getUint16(ip + 4)}`;
    fragment = {
      datagram,
      offset: (field & 0x1fff) * 8,
      length: end - at,
      more: (field & 0x2000) !== 0,
    };
  } else if (protocol === 44 && has(8)) {
    // Fragments of one packet may name different protocols; the first one's counts.
    protocol = view.getUint8(at);
    const field = view.getUint16(at + 2);
    const datagram = `6 ${source} ${destination} id ${view.getUint32(at + 4)}`;
    at += 8;
    if ((field & 0xfff9) !== 0)
      fragment = { datagram, offset: field & 0xfff8, length: end - at, more: (field & 1) !== 0 };
  }
  const later = fragment !== undefined && fragment.offset > 0;
  const ports =
    !later && (protocol === 6 || protocol === 17) && has(4)
      ? [view.getUint16(at), view.getUint16(at + 2)]
      : [0, 0];
  const traits = new Set<Bypass | Early>();
  if (trafficClass >> 2 === 46) traits.add('dscp-ef');
  if ((trafficClass & 3) === 1) traits.add('ect1');
  if (ports.includes(53)) traits.add('dns');
  if (!later && protocol === 6 && has(14)) {
    const flags = view.getUint8(at + 13);
    const names: readonly (Bypass | Early)[] = ['fin', 'syn', 'rst', 'psh'];
    names.forEach((name, bit) => {
      if (flags & (1 << bit)) traits.add(name);
    });
  }
  if (kind === 'destination') return { key: `${version} ${destination}`, traits };
  if (fragment !== undefined && later) return { key: fragment.datagram, traits, fragment };
  let ends = [`${source}:${ports[0]}`, `${destination}:${ports[1]}`];
  if (kind === 'symmetric') ends = ends.sort();
  const key = `${version} ${protocol} ${ends.join(' ')}`;
  return fragment === undefined ? { key, traits } : { key, traits, fragment };
}
