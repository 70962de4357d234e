// The example programs on inputs that examples tend to forget: checksums that come out as 0, more flows
// than ports, idle flows, records of no bytes, frames that were cut.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, skipSuite, temporaryFolder, type Outcome } from './helpers/cli.js';
import { ealOf } from './helpers/eal.js';
import { flags, frame, pcap, readPcap } from './helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const build = join(packageRoot, 'native/build');
const hasDpdk =
  existsSync(join(build, 'libreframer_dpdk.so')) &&
  spawnSync('pkg-config', ['--exists', 'libdpdk']).status === 0;

/** Ones' complement sum of a UDP or TCP segment with its pseudo header. */
function sum(ip: Uint8Array): number {
  const bytes = Buffer.from(ip);
  const length = bytes.readUInt16BE(2) - 20;
  let total = bytes.readUInt8(9) + length;
  for (let at = 12; at < 20 + length; at += 2)
    total += at + 1 < 20 + length ? bytes.readUInt16BE(at) : bytes.readUInt8(at) << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const ipOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes).subarray(14);

function write(name: string, frames: readonly Uint8Array[]): string {
  const file = folder.file(name);
  writeFileSync(
    file,
    pcap(
      frames.map((bytes, i) => ({ bytes, timeNs: 1_500_000_000_000_000_000n + BigInt(i) * 1000n })),
    ),
  );
  return file;
}

if (!hasDpdk) {
  skipSuite('nat.c was not tested: needs libreframer_dpdk.so and pkg-config libdpdk');
} else {
  describe('nat.c', { timeout: 60_000 }, () => {
    const program = folder.file('nat');
    beforeAll(async () => {
      const source = join(packageRoot, 'native/examples/nat.c');
      const { stderr, code } = await runProgram('bash', [
        '-c',
        `cc -std=gnu11 -O2 -Wall -Wextra -Werror "${source}" -o "${program}" -I"${join(packageRoot, 'native/include')}" -L"${build}" -lreframer_dpdk -lreframer $(pkg-config --cflags --libs libdpdk)`,
      ]);
      expect([stderr, code]).toEqual(['', 0]);
    }, 60_000);

    const nat = (input: string, output: string, ...more: string[]): Promise<Outcome> =>
      runProgram(
        program,
        [
          ...ealOf('examples', `net_pcap0,rx_pcap=${input},tx_pcap=${output}`),
          '192.0.2.1',
          ...more,
        ],
        {
          env: { LD_LIBRARY_PATH: build },
          started: (kill) => endOnceWritten(output, () => kill('SIGTERM')),
        },
      );

    /** When the capture has packets and has not grown for a while, however slow the machine is. */
    function endOnceWritten(file: string, end: () => void): void {
      let size = 0;
      const timer = setInterval(() => {
        const now = existsSync(file) ? statSync(file).size : 0;
        if (now > 24 && now === size) {
          clearInterval(timer);
          end();
        }
        size = now;
      }, 700);
      setTimeout(() => clearInterval(timer), 40_000);
    }

    test('UDP: a checksum that comes out as 0 is written 0xffff, and none stays none', async () => {
      const frames = Array.from({ length: 40 }, (_, i) => {
        const bytes = Buffer.from(
          frame({ source: 5, sourcePort: 4000, destination: 7, destinationPort: 53 }),
        );
        const ip = bytes.subarray(14);
        ip.writeUInt16BE(i, 28); // payloads differ
        // What makes the translated packet sum up to 0xffff goes into the payload.
        const translated = Buffer.from(ip);
        translated.set([192, 0, 2, 1], 12);
        translated.writeUInt16BE(1024, 20);
        ip.writeUInt16BE(0xffff - sum(translated), 30);
        ip.writeUInt16BE(i < 39 ? ~sum(ip) & 0xffff : 0, 26);
        return bytes;
      });
      const output = folder.file('zero-out.pcap');
      const { code, stdout } = await nat(write('zero.pcap', frames), output);
      expect(code).toBe(0);
      const out = readPcap(readFileSync(output)).frames.map(({ bytes }) => ipOf(bytes));
      expect(out).toHaveLength(40);
      expect(out.map((ip) => ip.readUInt16BE(26))).toEqual([
        ...Array.from({ length: 39 }, () => 0xffff),
        0,
      ]);
      for (const ip of out)
        expect([...ip.subarray(12, 16), ip.readUInt16BE(20)]).toEqual([192, 0, 2, 1, 1024]);
      for (const ip of out.slice(0, 39)) expect(sum(ip)).toBe(0xffff);
      // One question for the run, not one a packet.
      expect(stdout).toMatch(/^40 packets, 1 flows; [1-4] look-ups, 0 dropped/);
    });

    test('no two flows share a port; where none is free packets are dropped, not let through', async () => {
      const frames = Array.from({ length: 200 }, (_, i) =>
        frame({
          source: 5,
          sourcePort: 4000 + (i % 20),
          destination: 7,
          destinationPort: 80,
          protocol: 6,
          flags: flags.ack,
        }),
      );
      const output = folder.file('ports-out.pcap');
      const { code, stdout } = await nat(write('ports.pcap', frames), output, '5000-5006');
      expect(code).toBe(0);
      const out = readPcap(readFileSync(output)).frames.map(({ bytes }) => ipOf(bytes));
      expect(out.every((ip) => ip.readUInt32BE(12) === 0xc0000201)).toBe(true);
      expect([...new Set(out.map((ip) => ip.readUInt16BE(20)))].sort()).toEqual([
        5000, 5001, 5002, 5003, 5004, 5005, 5006,
      ]);
      expect(out).toHaveLength(70);
      expect(stdout).toMatch(/130 dropped without a port/);
    });

    const namespaces =
      process.getuid?.() === 0 &&
      spawnSync('unshare', ['--net', 'ip', 'link']).status === 0 &&
      spawnSync('python3', ['-c', '']).status === 0;
    if (!namespaces)
      skipSuite('that nat.c expires flows was not tested: needs root, ip and python3');
    test.skipIf(!namespaces)('an idle flow gives its port back', async () => {
      // One port for two flows, in a namespace of its own: the second has to wait for the first's end.
      const script = `set -e
ip link set lo up
ip link add near type veth peer name far
ip link set near up
ip link set far up
ip address add 10.9.0.1/24 dev near
ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev near
"$@" 192.0.2.1 5000-5000 1 &
sleep 2
python3 -c '
import socket, sys, time
def send(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.9.0.1", port)); s.sendto(b"x" * 40, ("10.9.0.2", 53))
send(1111); time.sleep(0.2); send(2222); time.sleep(3); send(3333); time.sleep(0.5)'
kill -TERM $!
wait $!`;
      const { stdout, code, stderr } = await runProgram(
        'unshare',
        [
          '--net',
          'bash',
          '-c',
          script,
          'bash',
          program,
          ...ealOf('examples', 'net_af_packet0,iface=far'),
        ],
        { env: { LD_LIBRARY_PATH: build } },
      );
      expect([stderr, code]).toEqual(['', 0]);
      // 1111 has the port, 2222 finds none, 3333 gets it.
      expect(stdout).toMatch(/ 1 dropped without a port/);
    });
  });
}

const filter = join(packageRoot, 'dist/experiments/examples/pcap-filter.js');
describe.skipIf(!existsSync(filter) || !existsSync(join(build, 'libreframer.so')))(
  'pcap-filter',
  { timeout: 60_000 },
  () => {
    const run = (...args: string[]): Promise<Outcome> =>
      runProgram(process.execPath, [filter, ...args]);

    /** Records whose lengths differ from what lies there. */
    function cut(frames: readonly { bytes: Uint8Array; wire: number }[]): Buffer {
      const file = pcap(
        frames.map(({ bytes }, i) => ({
          bytes,
          timeNs: 1_500_000_000_123_456_789n + BigInt(i) * 1_000_000n,
        })),
      );
      let at = 24;
      for (const { bytes, wire } of frames) {
        file.writeUInt32LE(wire, at + 12);
        at += 16 + bytes.length;
      }
      return file;
    }

    test('a record keeps its time and its length on the wire; one of no bytes is passed over', async () => {
      const whole = frame({ destinationPort: 80, protocol: 6 });
      const records = [
        { bytes: whole.subarray(0, 54), wire: 1500 },
        { bytes: new Uint8Array(), wire: 60 },
        { bytes: whole.subarray(0, 20), wire: 60 },
        { bytes: whole.subarray(0, 33), wire: 60 },
        { bytes: frame({ destinationPort: 81 }), wire: 60 },
        { bytes: frame({ destinationPort: 80, version: 6 }), wire: 9000 },
      ];
      const input = folder.file('cut.pcap');
      writeFileSync(input, cut(records));
      const { code, stderr } = await run(input, folder.file('cut-out.pcap'), '80');
      expect([stderr, code]).toEqual(['', 0]);
      const kept = readPcap(readFileSync(folder.file('cut-out.pcap'))).frames;
      expect(kept.map(({ timeNs, wire, bytes }) => [timeNs, wire, bytes.length])).toEqual([
        [1_500_000_000_123_456_789n, 1500, 54],
        [1_500_000_000_128_456_789n, 9000, 80],
      ]);
    });

    test('a file that ends in the middle keeps what is whole; one that is no capture gets a line', async () => {
      const input = folder.file('torn.pcap');
      const file = cut([
        { bytes: frame({ destinationPort: 80 }), wire: 60 },
        { bytes: frame({ destinationPort: 80 }), wire: 60 },
      ]);
      writeFileSync(input, file.subarray(0, file.length - 5));
      const torn = await run(input, folder.file('torn-out.pcap'), '80');
      expect(torn.code).toBe(0);
      expect(torn.stderr).toMatch(
        /^pcap-filter: .*the record at byte 100 is cut off and left out\n$/,
      );
      expect(readPcap(readFileSync(folder.file('torn-out.pcap'))).frames).toHaveLength(1);
      for (const [name, content] of [
        ['text', 'not a capture at all, but some text'],
        ['empty', ''],
      ] as const) {
        writeFileSync(folder.file(name), content);
        const { stderr, code } = await run(folder.file(name), folder.file('none.pcap'), '80');
        expect(code).toBe(1);
        expect(stderr).toMatch(/^pcap-filter: .*not a little-endian pcap file\n$/);
      }
      expect(
        (await run('/no/such', folder.file('none.pcap'), '80')).stderr.trim().split('\n'),
      ).toHaveLength(1);
    });
  },
);
