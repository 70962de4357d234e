// The load balancer from TypeScript; every sum of what it rewrites is checked by tshark.
import { execFileSync, spawnSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { LoadBalancer, LoadBalancerError, policies } from '../../balancer/index.js';
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

const address = (text: string): number[] => text.split('.').map(Number);

/** Ethernet, IPv4, TCP with timestamps. */
function segment(
  from: [string, number],
  to: [string, number],
  flags: number,
  value: number,
  echo: number,
): Uint8Array {
  const f = Buffer.alloc(14 + 20 + 32 + 7, 0x61);
  f.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
  const ip = f.subarray(14, 34);
  ip.fill(0);
  ip[0] = 0x45;
  ip.writeUInt16BE(f.length - 14, 2);
  ip[8] = 64;
  ip[9] = 6;
  ip.set(address(from[0]), 12);
  ip.set(address(to[0]), 16);
  ip.writeUInt16BE(0xffff - sum16(ip), 10);
  const tcp = f.subarray(34);
  tcp.fill(0, 0, 32);
  tcp.writeUInt16BE(from[1], 0);
  tcp.writeUInt16BE(to[1], 2);
  tcp.set([0x80, flags, 1, 0], 12);
  tcp.set([1, 1, 8, 10], 20);
  tcp.writeUInt32BE(value, 24);
  tcp.writeUInt32BE(echo, 28);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, 0, tcp.length])]);
  tcp.writeUInt16BE(0xffff - sum16(tcp, sum16(pseudo)), 16);
  return new Uint8Array(f); // memory of its own
}

/** Ethernet, IPv4, UDP without a sum. */
function datagram(
  from: [string, number],
  to: [string, number],
  body: readonly number[],
): Uint8Array {
  const f = Buffer.alloc(14 + 20 + 8 + body.length);
  f.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
  const ip = f.subarray(14, 34);
  ip[0] = 0x45;
  ip.writeUInt16BE(f.length - 14, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.set(address(from[0]), 12);
  ip.set(address(to[0]), 16);
  ip.writeUInt16BE(0xffff - sum16(ip), 10);
  f.writeUInt16BE(from[1], 34);
  f.writeUInt16BE(to[1], 36);
  f.writeUInt16BE(8 + body.length, 38);
  f.set(body, 42);
  return new Uint8Array(f);
}

const wordAt = (frame: Uint8Array, at: number): number => Buffer.from(frame).readUInt32BE(at);
const destination = (frame: Uint8Array): string => frame.slice(30, 34).join('.');

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

/** Connections through a pool that changes; returns every frame as it left. */
function connections(): Uint8Array[] {
  using balancer = new LoadBalancer({ service, key: new Uint8Array(16).fill(7) });
  const ids = ['10.9.0.1', '10.9.0.2', '10.9.0.3'].map((server) =>
    balancer.add(server, { clock: 'uniform' }),
  );
  const left: Uint8Array[] = [];
  const pass = (frame: Uint8Array): Uint8Array => {
    const [result] = balancer.process([frame], 1_000_000_000n);
    expect(result?.verdict).not.toBe('drop');
    left.push(frame);
    return frame;
  };
  const open = Array.from({ length: 60 }, (_, i) => {
    const port = 2000 + i;
    const server = destination(pass(segment([client, port], [service, 80], 2, 5, 0)));
    const clock = 0xfff0_0000 + i;
    const answer = pass(segment([server, 80], [client, port], 0x12, clock, 5));
    return { port, server, clock, word: wordAt(answer, 58) };
  });
  balancer.drain(ids[1] ?? 0);
  for (let i = 4; i < 10; i++) balancer.add(`10.9.0.${i}`);
  for (const { port, server, clock, word } of open) {
    const frame = pass(segment([client, port], [service, 80], 0x10, 6, word));
    expect(destination(frame)).toBe(server);
    expect(wordAt(frame, 62)).toBe(clock);
  }
  expect(new Set(open.map(({ server }) => server)).size).toBe(3);
  const stats = balancer.stats();
  expect(stats).toMatchObject({ byCookie: 60, strays: 0, active: 8, draining: 1, placed: 60 });
  expect(balancer.servers()).toHaveLength(9);
  return left;
}

describe('LoadBalancer', () => {
  test('brings connections back to their servers while the pool changes', () => {
    connections();
  });

  if (spawnSync('tshark', ['--version']).status !== 0)
    skipSuite('tshark is not installed: sums of rewritten frames were checked by ourselves alone');
  else
    test('leaves frames whose sums tshark finds right', () => {
      const file = folder.file('balanced.pcap');
      const frames = connections();
      pcap(file, frames);
      const fields = ['ip.checksum.status', 'tcp.checksum.status'];
      const said = execFileSync(
        'tshark',
        [
          ['-r', file, '-T', 'fields'],
          fields.flatMap((field) => ['-e', field]),
          ['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'],
        ].flat(),
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
      const lines = said.trim().split('\n');
      expect(lines).toHaveLength(frames.length);
      expect(lines.filter((line) => line !== '1\t1')).toEqual([]); // 1: good
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
    expect(code(() => balancer.add('::1'))).toBe('bad-option');
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
