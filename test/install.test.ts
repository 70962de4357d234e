// What `meson install` gives to C and C++ programs: files, symbols, headers, examples as they are written.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { reframer, runProgram, skipSuite, temporaryFolder } from './helpers/cli.js';
import { readPackageFile, runnableBlocks } from './helpers/readme.js';

const build = join(packageRoot, 'native/build');
const include = join(packageRoot, 'native/include');
const headers = readdirSync(join(include, 'reframer'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.h'))
  .sort();
/** What libreframer_dpdk.so has: dpdk.h and what it includes. */
const dpdkHeaders = headers.filter((name) => name.startsWith('dpdk'));
const hasDpdk = existsSync(join(build, 'libreframer_dpdk.so'));

const folder = temporaryFolder();
afterAll(() => folder.remove());

const sh = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

if (!hasDpdk)
  skipSuite(
    'libreframer_dpdk.so was not built (libdpdk-dev is missing): it was not tested as installed',
  );

const meson = ((): boolean => {
  try {
    sh('meson', '--version');
    sh('pkg-config', '--version');
    return true;
  } catch {
    return false;
  }
})();

if (!meson)
  skipSuite(
    'meson or pkg-config is missing: the installed library and the examples were not tested',
  );

/** What x86-64-v2 has not: AVX and its masks, BMI, AES. Some of it would end the program on an older CPU. */
const beyondV2 =
  /%[yz]mm|%k[0-7]\b|^v\w+ .*%xmm|^(andn|bextr|bls[ir]|blsmsk|bzhi|lzcnt|movbe|mulx|pdep|pext|rorx|sarx|shlx|shrx|aes\w+|pclmul\w+|sha(1|256)\w+)\s/;
/**
 * Functions that are called where the CPU has what they use: native/src/conntrack/operations.cpp; and of
 * the balancer's cipher, which asks for AES itself (aes128.cpp).
 */
const dispatched = /isa_avx(2|512)|balance::(Aes128::|\(anonymous namespace\)::expand\()/;

/** Functions with instructions beyond x86-64-v2, and how many there are in each. */
function beyond(library: string): Map<string, number> {
  const found = new Map<string, number>();
  let name = '';
  const text = execFileSync('objdump', ['-d', '-C', '-w', '--no-show-raw-insn', library], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  for (const line of text.split('\n')) {
    name = /^[0-9a-f]+ <(.*)>:$/.exec(line)?.[1] ?? name;
    const instruction = /^\s+[0-9a-f]+:\s+(.*)$/.exec(line)?.[1];
    if (instruction !== undefined && beyondV2.test(instruction))
      found.set(name, (found.get(name) ?? 0) + 1);
  }
  return found;
}

describe.skipIf(!meson)('meson install', { timeout: 60_000 }, () => {
  const root = folder.file('root');
  // Kept between runs: the libraries as a packager builds them take minutes the first time.
  const portable = join(packageRoot, 'native/build-install');
  let environment: NodeJS.ProcessEnv = {};

  beforeAll(async () => {
    if (!existsSync(join(portable, 'build.ninja')))
      sh(
        'meson',
        'setup',
        portable,
        join(packageRoot, 'native'),
        '-Dtests=false',
        hasDpdk ? '-Ddpdk=enabled' : '-Ddpdk=disabled',
      );
    const { version } = JSON.parse(readPackageFile('package.json')) as { version: string };
    // The programs are left out: what is asked of them here is only whether they would be installed.
    sh(
      'ninja',
      '-C',
      portable,
      `libreframer.so.${version}`,
      `libreframer_capture.so.${version}`,
      'libreframer.a',
      ...(hasDpdk ? [`libreframer_dpdk.so.${version}`, 'libreframer_preload.so'] : []),
    );
    const { code, stderr } = await runProgram('meson', [
      'install',
      '-C',
      portable,
      '--no-rebuild',
      '--tags',
      'runtime,devel,man',
      '--destdir',
      root,
      '--quiet',
    ]);
    expect(stderr.replace(/^(npm )?warn.*\n/gim, ''), stderr).not.toMatch(/error/i);
    expect(code).toBe(0);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
    const library = join(root, files.find((file) => file.endsWith('/libreframer.so')) ?? '', '..');
    // The files are written for their final place; here that place is under `root`.
    for (const name of readdirSync(join(library, 'pkgconfig'))) {
      const file = join(library, 'pkgconfig', name);
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^prefix=(.*)$/m, `prefix=${root}$1`));
    }
    environment = {
      PKG_CONFIG_PATH: `${join(library, 'pkgconfig')}:${process.env['PKG_CONFIG_PATH'] ?? ''}`,
      LD_LIBRARY_PATH: library,
    };
  }, 900_000);

  /** Paths below the root, programs that were not built here included. */
  const installed = (): string[] => {
    const planned = Object.values(
      JSON.parse(sh('meson', 'introspect', '--installed', portable)) as Record<string, string>,
    ).map((path) => path.slice(1));
    const found = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
    return [...new Set([...planned.filter((path) => path.includes('/bin/')), ...found])];
  };

  const flags = async (name: string): Promise<string> => {
    const { stdout, stderr } = await runProgram('pkg-config', ['--cflags', '--libs', name], {
      env: environment,
    });
    expect(stderr).toBe('');
    return stdout.trim();
  };

  async function compile(source: string, compiler: string, name: string): Promise<string> {
    const program = folder.file(source.replace(/\W/g, '-'));
    const file = join(packageRoot, 'native/examples', source);
    const { code, stderr } = await runProgram(
      'bash',
      ['-c', `${compiler} -O2 -Wall -Wextra ${file} -o ${program} ${await flags(name)}`],
      { env: environment },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return program;
  }

  test('brings libraries, headers, pkg-config files and manual pages', () => {
    const files = installed();
    const wanted = [
      'libreframer.so',
      'libreframer.so.0',
      'libreframer.a',
      'libreframer_capture.so',
      'pkgconfig/reframer-capture.pc',
      'include/reframer/capture.h',
      'pkgconfig/reframer.pc',
      'include/reframer/reframer.h',
      'include/reframer/conntrack_chain.h',
      'include/reframer/conntrack_shared.h',
      'man1/reframer.1',
      'man3/libreframer.3',
      'man7/reframer-preload.7',
      'bin/reframer-lab',
    ];
    if (hasDpdk)
      wanted.push(
        'libreframer_dpdk.so',
        'libreframer_preload.so',
        'pkgconfig/reframer-dpdk.pc',
        ...dpdkHeaders.map((name) => `include/reframer/${name}`),
        'bin/reframer-dpdk',
      );
    for (const file of wanted)
      expect(
        files.some((path) => path.endsWith(`/${file}`)),
        file,
      ).toBe(true);
  });

  test('brings libraries that run on every CPU since 2009, faster code being called where there is the CPU for it', () => {
    const libraries = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /\/libreframer\w*\.so$/.test(path),
    );
    expect(libraries).toHaveLength(hasDpdk ? 4 : 2);
    for (const library of libraries) {
      const names = [...beyond(join(root, library)).keys()];
      expect(
        names.filter((name) => !dispatched.test(name)),
        library,
      ).toEqual([]);
      // The check sees such instructions where there are some.
      if (library.endsWith('/libreframer.so')) expect(names.length).toBeGreaterThan(0);
    }
  });

  test('refuses what set-up built for the CPU of this machine, and says from where to install', async () => {
    const target = folder.file('in-place');
    const { code, stdout, stderr } = await runProgram('meson', [
      'install',
      '-C',
      build,
      '--no-rebuild',
      '--destdir',
      target,
    ]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain('nothing was installed: this build is for use in place');
    expect(stdout + stderr).toContain(
      'meson setup DIR native -Dtests=false && meson install -C DIR',
    );
    const files = existsSync(target)
      ? readdirSync(target, { recursive: true, withFileTypes: true }).filter(
          (entry) => !entry.isDirectory(),
        )
      : [];
    expect(files).toEqual([]);
  });

  test.each([
    ['debian/rules', 'x86-64-v2'],
    ['native/packaging/platform.mjs', 'x86-64-v2'],
    ['native/meson_options.txt', 'x86-64-v2'],
  ])('%s builds for %s', (file, march) => {
    const text = readPackageFile(file);
    expect(text).toContain(march);
    expect(text).not.toMatch(/march=native/);
  });

  test('is what the Debian packages take, each file in one of them, and their version is ours', () => {
    const debian = join(packageRoot, 'debian');
    const patterns = readdirSync(debian)
      .filter((name) => name.endsWith('.install') && (hasDpdk || !name.includes('dpdk')))
      .flatMap((name) =>
        readFileSync(join(debian, name), 'utf8')
          .trim()
          .split('\n')
          .map((line) => ({
            name,
            line,
            fits: new RegExp(`^${line.replace(/[.+]/g, '\\$&').replaceAll('*', '[^/]*')}(/|$)`),
          })),
      );
    const files = installed().map((path) => path.replace(/^usr\/local\//, 'usr/'));
    expect(files.length).toBeGreaterThan(10);
    expect(
      files.filter((file) => patterns.filter(({ fits }) => fits.test(file)).length !== 1),
    ).toEqual([]);
    expect(
      patterns.filter(
        ({ fits, line }) =>
          !files.some((file) => fits.test(file)) && (hasDpdk || !line.includes('dpdk')),
      ),
    ).toEqual([]);
    const { version } = JSON.parse(readPackageFile('package.json')) as { version: string };
    expect(readPackageFile('debian/changelog')).toMatch(
      new RegExp(`^reframer \\(${version.replaceAll('.', '\\.')}\\) `),
    );
  });

  test("the README's C program, copied, compiled by pkg-config as written, runs", async () => {
    const readme = readPackageFile('README.md');
    const block = runnableBlocks(readme).find(({ language }) => language === 'c');
    const line = /`(cc inline\.c \$\(pkg-config --cflags --libs reframer\))`/.exec(readme)?.[1];
    expect([block?.file, line]).toEqual(['inline.c', expect.any(String)]);
    mkdirSync(folder.file('readme'));
    writeFileSync(folder.file('readme/inline.c'), block?.text ?? '');
    const { code, stdout, stderr } = await runProgram('bash', ['-c', `${line} && ./a.out`], {
      cwd: folder.file('readme'),
      env: environment,
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('run of 2: a1 ...\nrun of 2: b1 ...\n');
    expect(code).toBe(0);
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
    const block = runnableBlocks(readPackageFile('README.md')).find(
      ({ file }) => file === 'inline.c',
    );
    writeFileSync(folder.file('static.c'), block?.text ?? '');
    const line = /`(cc -static [^`]+)`/.exec(readPackageFile('docs/INSTALL.md'))?.[1] ?? '';
    expect(line).toContain('pkg-config --static');
    const { code, stdout, stderr } = await runProgram(
      'bash',
      ['-c', `${line.replace('inline.c', 'static.c')} && env -u LD_LIBRARY_PATH ./a.out`],
      { cwd: folder.path, env: environment },
    );
    expect([stderr, code]).toEqual(['', 0]);
    expect(stdout).toBe('run of 2: a1 ...\nrun of 2: b1 ...\n');
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

  test('without the lab there are the libraries alone, which need neither JSON nor DPDK', async () => {
    const plain = folder.file('plain');
    const { code, stdout } = await runProgram('meson', [
      'setup',
      plain,
      join(packageRoot, 'native'),
      '-Dtests=false',
      '-Dlab=false',
      '-Ddpdk=disabled',
      '-Dcapture=disabled',
    ]);
    expect(code, stdout).toBe(0);
    expect(stdout).not.toMatch(/nlohmann_json found: YES|libpcap/);
    const targets = JSON.parse(sh('meson', 'introspect', '--targets', plain)) as {
      name: string;
      type: string;
    }[];
    expect(targets.filter(({ type }) => type !== 'static library')).toEqual([
      expect.objectContaining({ name: 'reframer', type: 'shared library' }),
    ]);
    // Some files at a time, as nothing else here is built: names of one must not meet those of another.
    const built = await runProgram('ninja', ['-C', plain]);
    expect(built.code, built.stdout).toBe(0);
    const functions = (library: string): string[] =>
      [...sh('nm', '-D', '--defined-only', library).matchAll(/ T (\w+)/g)].map(
        ([, name]) => name ?? '',
      );
    expect(functions(join(plain, 'libreframer.so'))).toEqual(
      functions(join(build, 'libreframer.so')),
    );
  }, 300_000);

  test('no library brings in the streams of the C++ library, which would double a static one', () => {
    for (const name of ['libreframer.so', 'libreframer_capture.so'])
      expect(sh('nm', '-DC', '--undefined-only', join(build, name))).not.toMatch(
        /std::(ios_base|basic_\w*stream)/,
      );
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
      [
        '--no-pci',
        '--no-huge',
        '-m',
        '256',
        '--no-shconf',
        '--no-telemetry',
        `--file-prefix=reframer-nat-${process.pid}`,
        '--log-level=error',
        `--vdev=net_pcap0,rx_pcap=${capture},tx_pcap=${out}`,
        '--',
        '192.0.2.1',
      ],
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
