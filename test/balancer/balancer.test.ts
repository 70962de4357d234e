// The load balancer from TypeScript; every sum of what it rewrites is checked by tshark.
import { execFileSync, spawnSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { LoadBalancer, LoadBalancerError, policies } from '../../balancer/index.js';
import { addressBytes, addressText } from '../../native/address.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const service = '192.0.2.1';
const client = '10.1.2.3';

function sum16(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const address = (text: string): Uint8Array => addressBytes(text) ?? new Uint8Array();
const isSix = (text: string): boolean => text.includes(':');

/** Ethernet and IPv4 or IPv6, of what `to` is, around `body`. */
function packet(from: string, to: string, protocol: number, body: Uint8Array): Uint8Array {
  const six = isSix(to);
  const ip = Buffer.alloc(six ? 40 : 20);
  if (six) {
    ip[0] = 0x60;
    ip.writeUInt16BE(body.length, 4);
    ip[6] = protocol;
    ip[7] = 64;
    ip.set(address(from), 8);
    ip.set(address(to), 24);
  } else {
    ip[0] = 0x45;
    ip.writeUInt16BE(20 + body.length, 2);
    ip[8] = 64;
    ip[9] = protocol;
    ip.set(address(from), 12);
    ip.set(address(to), 16);
    ip.writeUInt16BE(0xffff - sum16(ip), 10);
  }
  const ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ...(six ? [0x86, 0xdd] : [8, 0])];
  return Uint8Array.from([...ethernet, ...ip, ...body]);
}

/** Its sum, the field itself zero. */
function sumOf(from: string, to: string, protocol: number, body: Uint8Array): number {
  const pseudo = [...address(from), ...address(to), 0, 0, 0, body.length, 0, 0, 0, protocol];
  return 0xffff - sum16(body, sum16(Uint8Array.from(pseudo)));
}

/** TCP with timestamps. */
function segment(
  from: [string, number],
  to: [string, number],
  flags: number,
  value: number,
  echo: number,
): Uint8Array {
  const tcp = Buffer.alloc(32 + 7, 0x61);
  tcp.fill(0, 0, 32);
  tcp.writeUInt16BE(from[1], 0);
  tcp.writeUInt16BE(to[1], 2);
  tcp.set([0x80, flags, 1, 0], 12);
  tcp.set([1, 1, 8, 10], 20);
  tcp.writeUInt32BE(value, 24);
  tcp.writeUInt32BE(echo, 28);
  tcp.writeUInt16BE(sumOf(from[0], to[0], 6, tcp), 16);
  return packet(from[0], to[0], 6, tcp);
}

/** What a router says of a packet that is too big, or did not get through. */
function unreachable(from: string, to: string, about: Uint8Array): Uint8Array {
  const six = isSix(to);
  const icmp = Buffer.concat([
    Buffer.from(six ? [2, 0] : [3, 4]),
    Buffer.alloc(6),
    about.slice(14),
  ]);
  icmp.writeUInt16BE(six ? sumOf(from, to, 58, icmp) : 0xffff - sum16(icmp), 2);
  return packet(from, to, six ? 58 : 1, icmp);
}

/** UDP over IPv4 without a sum. */
function datagram(
  from: [string, number],
  to: [string, number],
  body: readonly number[],
): Uint8Array {
  const udp = Buffer.alloc(8 + body.length);
  udp.writeUInt16BE(from[1], 0);
  udp.writeUInt16BE(to[1], 2);
  udp.writeUInt16BE(8 + body.length, 4);
  udp.set(body, 8);
  return packet(from[0], to[0], 17, udp);
}

const wordAt = (frame: Uint8Array, at: number): number => Buffer.from(frame).readUInt32BE(at);
const segmentAt = (frame: Uint8Array): number => (frame[12] === 8 ? 34 : 54);
const destination = (frame: Uint8Array): string => {
  const end = segmentAt(frame);
  return addressText(frame.slice(frame[12] === 8 ? end - 4 : end - 16, end));
};

function pcap(file: string, frames: readonly Uint8Array[]): void {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  writeFileSync(file, Buffer.concat([head, ...records]));
}

const families = ['IPv4', 'IPv6'] as const;

/** Connections through a pool that changes; returns every frame as it left. */
function connections(family: (typeof families)[number]): Uint8Array[] {
  const six = family === 'IPv6';
  const [service, client, router] = six
    ? ['2001:db8::1', '2001:db8:5::7', '2001:db8:6::8']
    : ['192.0.2.1', '10.1.2.3', '10.7.7.7'];
  const serverAt = (n: number): string => `${six ? '2001:db8:9::' : '10.9.0.'}${n}`;
  using balancer = new LoadBalancer({ service, key: new Uint8Array(16).fill(7) });
  const ids = [1, 2, 3].map((n) => balancer.add(serverAt(n), { clock: 'uniform' }));
  const left: Uint8Array[] = [];
  const pass = (frame: Uint8Array): Uint8Array => {
    const [result] = balancer.process([frame], 1_000_000_000n);
    expect(result?.verdict).toMatch(/server|client/);
    left.push(frame);
    return frame;
  };
  const open = Array.from({ length: 60 }, (_, i) => {
    const port = 2000 + i;
    const server = destination(pass(segment([client, port], [service, 80], 2, 5, 0)));
    const clock = 0xfff0_0000 + i;
    const answer = pass(segment([server, 80], [client, port], 0x12, clock, 5));
    return { port, server, clock, answer, word: wordAt(answer, segmentAt(answer) + 24) };
  });
  balancer.drain(ids[1] ?? 0);
  for (let i = 4; i < 10; i++) balancer.add(serverAt(i));
  for (const { port, server, clock, word, answer } of open) {
    const frame = pass(segment([client, port], [service, 80], 0x10, 6, word));
    expect(destination(frame)).toBe(server);
    expect(wordAt(frame, segmentAt(frame) + 28)).toBe(clock);
    expect(destination(pass(unreachable(router, service, answer)))).toBe(server);
  }
  expect(new Set(open.map(({ server }) => server)).size).toBe(3);
  const stats = balancer.stats();
  expect(stats).toMatchObject({ byCookie: 60, strays: 0, active: 8, draining: 1, placed: 60 });
  expect(stats.errorsFollowed).toBe(60);
  expect(balancer.servers()).toHaveLength(9);
  return left;
}

describe('LoadBalancer', () => {
  test.each(families)('brings connections over %s back while the pool changes', (family) => {
    connections(family);
  });

  if (spawnSync('tshark', ['--version']).status !== 0)
    skipSuite('tshark is not installed: sums of rewritten frames were checked by ourselves alone');
  else
    test.each(families)('leaves frames over %s whose sums tshark finds right', (family) => {
      const file = folder.file(`balanced-${family}.pcap`);
      const frames = connections(family);
      pcap(file, frames);
      const protocols = ['ip', 'tcp', 'icmp', 'icmpv6'];
      const said = execFileSync(
        'tshark',
        [
          ['-r', file, '-T', 'fields', '-E', 'occurrence=f'],
          protocols.flatMap((protocol) => ['-e', `${protocol}.checksum.status`]),
          ['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'],
        ].flat(),
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
      // 1: good; of errors also the sum of the segment that they quote.
      const kinds = family === 'IPv4' ? ['1\t1\t\t', '1\t1\t1\t'] : ['\t1\t\t', '\t1\t\t1'];
      const lines = said.replace(/\n$/, '').split('\n');
      expect([...new Set(lines)].sort()).toEqual([...kinds].sort());
      expect(lines).toHaveLength(frames.length);
      expect(kinds.map((kind) => lines.filter((line) => line === kind).length)).toEqual([180, 60]);
    });

  test.each(policies)('places connections by %s', (policy) => {
    using balancer = new LoadBalancer({ service, policy });
    for (let i = 1; i <= 4; i++) {
      const id = balancer.add(`10.9.0.${i}`, { weight: i });
      balancer.setCores(id, { key: new Uint8Array(40).fill(i), table: [0, 1, 2, 3] });
      balancer.reportCores(id, [0.5, 0.5, 0.5, 0.5]);
    }
    const frames = Array.from({ length: 400 }, (_, i) =>
      segment([client, 1000 + i], [service, 80], 2, 1, 0),
    );
    const results = balancer.process(frames, 1_000_000_000);
    expect(new Set(results.map(({ server }) => server))).toEqual(new Set([0, 1, 2, 3]));
  });

  test('follows QUIC connection ids, encrypted as node’s AES does it', () => {
    using balancer = new LoadBalancer({ service, policy: 'hash' });
    for (let i = 1; i <= 9; i++) balancer.add(`10.9.0.${i}`);
    const key = Uint8Array.from({ length: 16 }, (_, i) => i * 7);
    balancer.setQuic({ rotation: 2, serverIdLength: 6, nonceLength: 10, key });
    const nonce = Uint8Array.from({ length: 10 }, (_, i) => i);
    const id = balancer.quicId(2, 5, nonce);
    const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    const plain = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 5]), nonce]);
    expect([...id]).toEqual([(2 << 5) | 16, ...cipher.update(plain)]);
    for (let port = 1000; port < 1050; port++) {
      const frame = datagram([client, port], [service, 443], [0x40, ...id, 1, 2, 3]);
      expect(balancer.process([frame], 1n)).toEqual([{ verdict: 'server', server: 5 }]);
    }
    expect(balancer.stats()).toMatchObject({ byQuic: 50, unroutableIds: 0 });
    expect(balancer.clearQuic(2)).toBe(true);
    expect(balancer.clearQuic(2)).toBe(false);
    expect(() => balancer.quicId(2, 5, nonce)).toThrow(LoadBalancerError);
    expect(() => balancer.setQuic({ rotation: 7 })).toThrow(LoadBalancerError);
  });

  test('names what is wrong', () => {
    const code = (work: () => unknown): string => {
      try {
        work();
      } catch (error) {
        return error instanceof LoadBalancerError ? error.code : 'another';
      }
      return 'nothing';
    };
    const balancer = new LoadBalancer({ service, maxServers: 2 });
    const id = balancer.add('10.9.0.1');
    expect(code(() => new LoadBalancer({ service: 'x' }))).toBe('bad-option');
    expect(code(() => new LoadBalancer({ service, maxServers: 5000 }))).toBe('bad-option');
    expect(code(() => new LoadBalancer({ service, versionBits: 2 ** 32 + 3 }))).toBe('bad-option');
    expect(code(() => balancer.add('::1'))).toBe('bad-option'); // the service has none
    expect(code(() => balancer.add(['10.9.0.3', '::1']))).toBe('bad-option');
    expect(code(() => balancer.add(['10.9.0.3', '10.9.0.4']))).toBe('bad-option');
    expect(code(() => new LoadBalancer({ service: [] }))).toBe('bad-option');
    expect(code(() => balancer.add('10.9.0.1'))).toBe('exists');
    balancer.add('10.9.0.2');
    expect(code(() => balancer.add('10.9.0.3'))).toBe('full');
    for (const change of [
      (b: LoadBalancer, of: number) => b.drain(of),
      (b: LoadBalancer, of: number) => b.activate(of),
      (b: LoadBalancer, of: number) => b.remove(of),
      (b: LoadBalancer, of: number) => b.setWeight(of, 1),
      (b: LoadBalancer, of: number) => b.reportLoad(of, 1),
    ])
      expect(code(() => change(balancer, 9))).toBe('no-server');
    expect(code(() => balancer.setWeight(id, -1))).toBe('bad-option');
    expect(code(() => balancer.reportLoad(id, -1))).toBe('bad-option');
    expect(code(() => balancer.process([], -1))).toBe('bad-option');
    expect(code(() => balancer.direct(new Uint8Array(3), id))).toBe('bad-frame');
    balancer.close();
    balancer.close();
    expect(code(() => balancer.stats())).toBe('closed');
  });
});
