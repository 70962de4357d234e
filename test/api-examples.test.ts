// The examples of the TypeScript interface: short, and they do what they say.
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { openCapture, type CapturedPacket } from '../capture/index.js';
import { packageRoot } from '../native/loader.js';
import { reframer, reframerJson, runProgram, temporaryFolder } from './helpers/cli.js';
import { frame, pcap } from './helpers/frames.js';
import { userProject } from './helpers/readme.js';

const folder = join(packageRoot, 'experiments/examples');
const examples = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
const project = userProject();
const data = temporaryFolder();
afterAll(() => {
  project.remove();
  data.remove();
});
const campus = data.file('campus.pcap');
beforeAll(async () => {
  const made = ['generate', campus, '--packets', '5k', '--seed', '1', '--quiet'];
  expect((await reframer(made)).code).toBe(0);
});

async function run(name: string, ...args: string[]): Promise<string> {
  copyFileSync(join(folder, name), join(project.path, name));
  const { stdout, stderr, code } = await runProgram(process.execPath, [name, ...args], {
    cwd: project.path,
  });
  expect([stderr, code]).toEqual(['', 0]);
  return stdout;
}

async function packetsOf(file: string): Promise<CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const burst of openCapture(file)) packets.push(...burst);
  return packets;
}

test.each(examples)('%s has at most 30 lines of program', (name) => {
  const code = readFileSync(join(folder, name), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(\/\/|import)/.test(line));
  expect(code.length).toBeLessThanOrEqual(30);
});

test('reorder.mjs writes every packet once, flow by flow, in the order of time', async () => {
  const out = data.file('reordered.pcap');
  const [, count, came, left] =
    /^(\d+) packets, ([\d.]+) in a row came, ([\d.]+) left\n$/.exec(
      await run('reorder.mjs', campus, out),
    ) ?? [];
  expect(count).toBe('5000');
  expect(Number(left)).toBeGreaterThan(Number(came));
  const before = await packetsOf(campus);
  const after = await packetsOf(out);
  const bytes = (packets: readonly CapturedPacket[]): string[] =>
    packets.map((packet) => Buffer.from(packet.data).toString('base64')).sort();
  expect(bytes(after)).toEqual(bytes(before));
  after.forEach(({ timeNs }, i) => expect(timeNs >= (after[i - 1]?.timeNs ?? 0n)).toBe(true));
  const last = (packets: readonly CapturedPacket[]): bigint => packets.at(-1)?.timeNs ?? 0n;
  expect(last(after) - last(before)).toBeLessThan(100_000n);
});

test('reorder.mjs writes what `reframer reorder` writes, record by record', async () => {
  const uniform = data.file('uniform.pcap');
  const made = ['generate', uniform, '--profile', 'uniform', '--flows', '200', '--packets', '4k'];
  expect((await reframer([...made, '--quiet'])).code).toBe(0);
  const [ours, theirs] = [data.file('ours.pcap'), data.file('theirs.pcap')];
  for (const input of [campus, uniform]) {
    for (const delayUs of ['0', '16', '64']) {
      await run('reorder.mjs', input, ours, delayUs);
      const command = ['reorder', input, theirs, '--delay', `${delayUs}us`, '--quiet', '--json'];
      const { ratio } = await reframerJson<{ ratio: number }>(command);
      if (delayUs === '64') expect(ratio).toBeGreaterThan(1.2);
      expect(readFileSync(ours).equals(readFileSync(theirs)), `${input}, ${delayUs} us`).toBe(true);
    }
  }
});

test('top-talkers.mjs tells what `flows` tells', async () => {
  const lines = (await run('top-talkers.mjs', campus)).trimEnd().split('\n');
  expect(lines).toHaveLength(10);
  const sizes = lines.map((line) => Number(/^(\d+) bytes in \d+ packets: /.exec(line)?.[1]));
  const all = new Map<string, number>();
  for (const { wireLength, data: bytes } of await packetsOf(campus)) {
    const key = `${bytes[23]} ${Buffer.from(bytes.subarray(26, 38)).toString('hex')}`;
    all.set(key, (all.get(key) ?? 0) + wireLength);
  }
  // Frames of the generator are IPv4 over Ethernet.
  expect(sizes[0]).toBe(Math.max(...all.values()));
});

test('nat.mjs translates each flow to a port of its own, with sound checksums', async () => {
  const input = data.file('inside.pcap');
  const inside = [1, 2, 1, 3, 2, 1].map((source, i) => ({
    bytes: frame({ source, protocol: source === 3 ? 6 : 17, payload: 40 }),
    timeNs: 1_000_000n + BigInt(i) * 500n,
  }));
  writeFileSync(input, pcap(inside));
  expect(await run('nat.mjs', input, data.file('outside.pcap'))).toBe('6 packets, 3 flows\n');
  const outside = await packetsOf(data.file('outside.pcap'));
  const ports = outside.map(({ data: bytes }) => Buffer.from(bytes).readUInt16BE(34));
  expect(new Set(ports).size).toBe(3);
  for (const { data: bytes } of outside) {
    const packet = Buffer.from(bytes);
    expect([...packet.subarray(26, 30)]).toEqual([192, 0, 2, 1]);
    let sum = 0;
    for (let at = 14; at < 34; at += 2) sum += packet.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    expect(sum).toBe(0xffff);
  }
});

test('balance.mjs evens a device out in one epoch', async () => {
  const percents = [...(await run('balance.mjs')).matchAll(/: (\d+) %/g)].map(([, p]) => Number(p));
  expect(percents).toHaveLength(3);
  expect(percents[0]).toBeGreaterThan(100);
  expect(Math.max(...percents.slice(1))).toBeLessThan(20);
});
