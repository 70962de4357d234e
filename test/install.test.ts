// What `meson install` gives: files, what they need of a processor, what Debian packages take of them.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, temporaryFolder } from './helpers/cli.js';
import {
  build,
  hasDpdk,
  install,
  meson,
  portable,
  sh,
  skipWhatIsMissing,
  version,
} from './helpers/installed.js';
import { readPackageFile } from './helpers/readme.js';

/** What libreframer_dpdk.so has: dpdk.h and what it includes. */
const dpdkHeaders = readdirSync(join(packageRoot, 'native/include/reframer'), {
  recursive: true,
  encoding: 'utf8',
}).filter((name) => /^dpdk.*\.h$/.test(name));

const folder = temporaryFolder();
afterAll(() => folder.remove());

skipWhatIsMissing('what is installed');

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
  beforeAll(async () => {
    await install(root);
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
    expect(readPackageFile('debian/changelog')).toMatch(
      new RegExp(`^reframer \\(${version.replaceAll('.', '\\.')}\\) `),
    );
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
});
