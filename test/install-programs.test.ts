// C, C++ and DPDK programs with what `meson install` gives: the README's, the examples, as written.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { reframer, runProgram, temporaryFolder } from './helpers/cli.js';
import { ealOf } from './helpers/eal.js';
import { hasDpdk, install, meson, skipWhatIsMissing } from './helpers/installed.js';
import { readPackageFile } from './helpers/readme.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

skipWhatIsMissing('programs with the installed libraries');

describe.skipIf(!meson)('programs with the installed libraries', { timeout: 60_000 }, () => {
  let environment: NodeJS.ProcessEnv = {};
  beforeAll(async () => {
    environment = await install(folder.file('root'));
  }, 900_000);

  const example = (name: string): string => join(packageRoot, 'native/examples', name);
  const flags = async (name: string): Promise<string> => {
    const { stdout, stderr } = await runProgram('pkg-config', ['--cflags', '--libs', name], {
      env: environment,
    });
    expect(stderr).toBe('');
    return stdout.trim();
  };

  async function compile(source: string, compiler: string, name: string): Promise<string> {
    const program = folder.file(source.replace(/\W/g, '-'));
    const { code, stderr } = await runProgram(
      'bash',
      ['-c', `${compiler} -O2 -Wall -Wextra ${example(source)} -o ${program} ${await flags(name)}`],
      { env: environment },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return program;
  }

  const runsOfTwo = 'run of 2: a1 ...\nrun of 2: b1 ...\n';

  test("example: Reframer inline in C, whose lines are the README's, compiled as it says", async () => {
    const readme = readPackageFile('README.md');
    const lines = /```c\n(reframer_default_params[^]*?)\n```/.exec(readme)?.[1] ?? '';
    expect(lines.split('\n').length).toBeLessThanOrEqual(10);
    const program = readFileSync(example('inline.c'), 'utf8').replace(/^\t/gm, '');
    expect(program).toContain(lines);
    const commands = [...readme.matchAll(/`(cc [^`]*inline\.c [^`]*)`/g)].map(([, line]) => line);
    expect(commands).toHaveLength(2);
    mkdirSync(folder.file('readme'));
    copyFileSync(example('inline.c'), folder.file('readme/inline.c'));
    for (const [command, cwd] of [
      [`${commands[0]} -o ${folder.file('readme/in-place')} && ${folder.file('readme/in-place')}`],
      [`${commands[1]} && ./a.out`, folder.file('readme')],
    ] as const) {
      const { code, stdout, stderr } = await runProgram('bash', ['-c', command], {
        cwd: cwd ?? packageRoot,
        env: cwd === undefined ? {} : environment,
      });
      expect([stderr, stdout, code]).toEqual(['', runsOfTwo, 0]);
    }
  });

  test.skipIf(!hasDpdk)(
    "the README's lines for a DPDK program compile as written, in either language",
    async () => {
      const readme = readPackageFile('README.md');
      const lines = /```c\n(struct reframer_dpdk_queue \*q;\n[^]*?)\n```/.exec(readme)?.[1] ?? '';
      const line =
        /`(cc program\.c \$\(pkg-config --cflags --libs reframer-dpdk\))`/.exec(readme)?.[1] ?? '';
      expect(lines).toContain('rte_eth_add_rx_callback');
      expect(line).not.toBe('');
      const source = `#include <reframer/dpdk.h>\n#include <rte_ethdev.h>\nint main(int argc, char **argv)\n{\n\tuint16_t port = 0, queue = 0;\n\tif (rte_eal_init(argc, argv) < 0)\n\t\treturn 1;\n${lines}\n}\n`;
      mkdirSync(folder.file('readme-dpdk'));
      for (const [file, command] of [
        ['program.c', line],
        ['program.cpp', line.replace('cc program.c', 'c++ program.cpp')],
      ] as const) {
        writeFileSync(folder.file(`readme-dpdk/${file}`), source);
        const { code, stderr } = await runProgram('bash', ['-c', command], {
          cwd: folder.file('readme-dpdk'),
          env: environment,
        });
        expect(stderr).toBe('');
        expect(code).toBe(0);
      }
    },
  );

  test('example: a load balancer in C++, with a flow table and without DPDK', async () => {
    const program = await compile('load_balancer.cpp', 'c++ -std=c++17', 'reframer');
    const flows = Array.from({ length: 400 }, (_, i) => (i * 7) % 20);
    const { code, stdout } = await runProgram(
      'bash',
      ['-c', `echo ${flows.join(' ')} | ${program} 4`],
      { env: environment },
    );
    expect(code).toBe(0);
    const lines = [...stdout.matchAll(/^(\d+) packets of flow (\d+) to backend (\d+)$/gm)].map(
      ([, count, flow, backend]) => ({ count: Number(count), flow, backend }),
    );
    expect(lines.reduce((sum, { count }) => sum + count, 0)).toBe(400);
    for (const flow of new Set(lines.map((line) => line.flow)))
      expect(
        new Set(lines.filter((line) => line.flow === flow).map((line) => line.backend)).size,
      ).toBe(1);
    for (let b = 0; b < 4; b++) expect(stdout).toContain(`backend ${b}: 5 connections\n`);
    expect(lines.length).toBeLessThan(200);
  });

  test('example: a whole hand-over in C, two cores, in at most 200 lines', async () => {
    const lines = readPackageFile('native/examples/hand_over.c').trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(200);
    const program = await compile('hand_over.c', 'cc -std=gnu11', 'reframer');
    const { code, stdout } = await runProgram(program, ['300000'], { env: environment });
    const [, moves, atCore1] =
      /^300000 packets, (\d+) moves of buckets, 0 packets out of order, (\d+) counted at core 1\n$/.exec(
        stdout,
      ) ?? [];
    expect(code).toBe(0);
    expect(Number(moves)).toBeGreaterThan(0);
    // What never moved is a quarter of 300,000, and a half of that.
    expect(Number(atCore1)).toBeGreaterThan(40_000);
  });

  test('a program with the archive inside needs no library of ours to run', async () => {
    copyFileSync(example('inline.c'), folder.file('static.c'));
    const line = /`(cc -static [^`]+)`/.exec(readPackageFile('docs/INSTALL.md'))?.[1] ?? '';
    expect(line).toContain('pkg-config --static');
    const { code, stdout, stderr } = await runProgram(
      'bash',
      ['-c', `${line.replace('inline.c', 'static.c')} && env -u LD_LIBRARY_PATH ./a.out`],
      { cwd: folder.path, env: environment },
    );
    expect([stderr, code]).toEqual(['', 0]);
    expect(stdout).toBe(runsOfTwo);
  });

  test('a C program reads a capture with the installed library', async () => {
    writeFileSync(
      folder.file('keys.c'),
      `#include <reframer/capture.h>
#include <stdio.h>
int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 18], keys[256 * 40];
	static uint32_t offsets[257], wire[256], link[256];
	static uint64_t time_ns[256];
	struct reframer_capture_burst burst = {bytes, offsets, wire, time_ns, link, sizeof(bytes), 256, 0, 0, 0};
	struct reframer_capture *capture;
	if (argc < 2 || reframer_capture_create(argv[1], &capture) != 0)
		return 1;
	int n, packets = 0, with_key = 0;
	while ((n = reframer_capture_read(capture, &burst)) > 0) {
		packets += n;
		with_key += reframer_capture_keys(&burst, 0, burst.count, 40, 0, keys);
	}
	printf("%d packets, %d with a key\\n", packets, with_key);
	reframer_capture_free(capture);
	return n;
}
`,
    );
    const capture = folder.file('keys.pcap');
    const made = ['generate', capture, '--packets', '1000', '--seed', '1', '--quiet'];
    expect((await reframer(made)).code).toBe(0);
    const { code, stdout, stderr } = await runProgram(
      'bash',
      [
        '-c',
        `cc -Wall -Wextra keys.c -o keys ${await flags('reframer-capture')} && ./keys ${capture}`,
      ],
      { cwd: folder.path, env: environment },
    );
    expect([stderr, code]).toEqual(['', 0]);
    expect(stdout).toBe('1000 packets, 1000 with a key\n');
  });

  test.skipIf(!hasDpdk)('example: an inline NAT in C, on a DPDK port', async () => {
    const program = await compile('nat.c', 'cc -std=gnu11', 'reframer-dpdk');
    const capture = folder.file('in.pcap');
    expect(
      (
        await reframer([
          'generate',
          capture,
          '--profile',
          'campus',
          '--packets',
          '2000',
          '--seed',
          '3',
          '--quiet',
        ])
      ).code,
    ).toBe(0);
    mkdirSync(folder.file('nat'));
    const out = folder.file('nat/out.pcap');
    const { code, stdout } = await runProgram(
      program,
      [...ealOf('nat', `net_pcap0,rx_pcap=${capture},tx_pcap=${out}`), '192.0.2.1'],
      { env: environment, started: (kill) => stopLater(kill, out) },
    );
    expect(code).toBe(0);
    expect(stdout).toContain('2000 packets');
    const bytes = readFileSync(out);
    let translated = 0;
    let packets = 0;
    for (let at = 24; at < bytes.length; packets++) {
      const frame = bytes.subarray(at + 16, at + 16 + bytes.readUInt32LE(at + 8));
      at += 16 + frame.length;
      if (frame.readUInt16BE(12) !== 0x0800 || ![6, 17].includes(frame.readUInt8(23))) continue;
      expect([...frame.subarray(26, 30)]).toEqual([192, 0, 2, 1]);
      expect(checksum(frame.subarray(14, 34))).toBe(0);
      translated++;
    }
    expect(packets).toBe(2000);
    expect(translated).toBeGreaterThan(1500);
  });
});

/** Ends a program some time after it began to write `file`: EAL takes its time on a busy machine. */
function stopLater(kill: (signal: NodeJS.Signals) => void, file: string): void {
  const wait = setInterval(() => {
    if (!existsSync(file)) return;
    clearInterval(wait);
    setTimeout(() => kill('SIGTERM'), 2500);
  }, 100);
  setTimeout(() => clearInterval(wait), 50_000).unref();
}

/** Of a header that has its checksum in it: 0. */
function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += ((header[i] ?? 0) << 8) | (header[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

test('example: a filter of captures in TypeScript', async () => {
  const capture = folder.file('filter-in.pcap');
  expect(
    (await reframer(['generate', capture, '--packets', '2000', '--seed', '4', '--quiet'])).code,
  ).toBe(0);
  const out = folder.file('filter-out.pcap');
  const { code, stdout, stderr } = await runProgram(process.execPath, [
    join(packageRoot, 'dist/experiments/examples/pcap-filter.js'),
    capture,
    out,
    '443',
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const [, kept, runs] = /^(\d+) packets in (\d+) runs$/m.exec(stdout) ?? [];
  expect(Number(kept)).toBeGreaterThan(100);
  expect(Number(runs)).toBeLessThan(Number(kept));
  const analysed = await reframer(['analyze', out, '--json']);
  expect(analysed.code).toBe(0);
});
