// IP addresses as text and as bytes in network order.
import { isIP } from 'node:net';

/** The 4 or 16 bytes of an address that `isIP()` of node:net accepts; undefined for other text. */
export function addressBytes(text: string): Uint8Array | undefined {
  const version = isIP(text);
  if (version === 4) return Uint8Array.from(text.split('.').map(Number));
  if (version === 0) return undefined;
  // The zone (fe80::1%eth0) is no part of the address, and a dotted tail (::ffff:1.2.3.4) two groups.
  const plain = text
    .replace(/%.*$/, '')
    .replace(
      /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
      (_, a, b, c, d) =>
        `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`,
    );
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = groups(tail ?? '');
  const all = [
    ...front,
    ...Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0),
    ...back,
  ];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
}

/** Text of 4 or 16 bytes; IPv6 with the longest run of zero groups left out, as RFC 5952 writes it. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  ).join(':');
  const runs = [...groups.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)].sort(
    (a, b) => b[0].length - a[0].length,
  );
  const [longest] = runs;
  if (longest === undefined) return groups;
  const before = groups.slice(0, longest.index).replace(/:$/, '');
  const after = groups.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
