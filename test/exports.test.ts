// What the libraries export and the headers declare.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { temporaryFolder } from './helpers/cli.js';

const build = join(packageRoot, 'native/build');
const include = join(packageRoot, 'native/include');
const headers = readdirSync(join(include, 'reframer'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.h'))
  .sort();
/** What libreframer_dpdk.so has: dpdk.h and what it includes. */
const dpdkHeaders = headers.filter((name) => name.startsWith('dpdk'));
const captureHeaders = ['capture.h'];
const hasDpdk = existsSync(join(build, 'libreframer_dpdk.so'));

const folder = temporaryFolder();
afterAll(() => folder.remove());

const sh = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Functions that public headers declare, but for those that they define. */
function declared(names: readonly string[]): string[] {
  const text = names
    .map((name) =>
      readFileSync(join(include, 'reframer', name), 'utf8')
        .replace(/\/\*[^]*?\*\//g, '')
        .replace(/^static inline [^]*?^\}/gm, ''),
    )
    .join('\n');
  return [
    ...new Set(
      [...text.matchAll(/\b((?:reframer|rsspp|conntrack|balancer)_\w+)\s*\(/g)].map(
        (match) => match[1] ?? '',
      ),
    ),
  ]
    .filter((name) => !name.endsWith('_fn'))
    .sort();
}

function exported(library: string): string[] {
  return sh('nm', '-D', '--defined-only', join(build, library))
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, type]) => type !== 'A')
    .map(([, , name = '']) => name.replace(/@.*/, ''))
    .sort();
}

describe('symbols', () => {
  test('libreframer.so exports what its headers declare and nothing else', () => {
    expect(exported('libreframer.so')).toEqual(
      declared(
        headers.filter((name) => !dpdkHeaders.includes(name) && !captureHeaders.includes(name)),
      ),
    );
  });

  test('libreframer_capture.so exports what its header declares and nothing else', () => {
    expect(exported('libreframer_capture.so')).toEqual(declared(captureHeaders));
  });

  test.skipIf(!hasDpdk)(
    'libreframer_dpdk.so exports what its headers declare and nothing else',
    () => {
      expect(exported('libreframer_dpdk.so')).toEqual(declared(dpdkHeaders));
    },
  );

  test('symbols have versions', () => {
    expect(
      sh('nm', '-D', '--defined-only', '--with-symbol-versions', join(build, 'libreframer.so')),
    ).toMatch(/reframer_create@@REFRAMER_0\.1/);
  });

  test.skipIf(!existsSync(join(build, 'libreframer_preload.so')))(
    "the preloaded library takes over DPDK's set-up functions and nothing else",
    () => {
      expect(exported('libreframer_preload.so')).toEqual([
        'rte_eal_init',
        'rte_eth_dev_start',
        'rte_eth_dev_stop',
        'rte_eth_rx_queue_setup',
      ]);
    },
  );
});

describe('headers', () => {
  test.each(
    headers.flatMap((name) => [
      [name, 'c', 'c11'],
      [name, 'c++', 'c++17'],
    ]),
  )('%s compiles alone, %s as %s', (name, language = '', standard = '') => {
    const file = folder.file(`alone-${name.replace('/', '-')}.${language === 'c' ? 'c' : 'cpp'}`);
    // ISO C wants something in every file, and version.h has only names for the preprocessor.
    writeFileSync(file, `#include <reframer/${name}>\nextern int something;\n`);
    sh(
      'cc',
      '-x',
      language,
      `-std=${standard}`,
      '-Wall',
      '-Wextra',
      '-Wpedantic',
      '-Werror',
      '-fsyntax-only',
      '-I',
      include,
      file,
    );
  });

  test('dpdk.h includes each of its parts, and warns of names of before', () => {
    const umbrella = readFileSync(join(include, 'reframer/dpdk.h'), 'utf8');
    for (const part of dpdkHeaders.filter((name) => name !== 'dpdk.h'))
      expect(umbrella).toContain(`#include <reframer/${part}>`);
    const file = folder.file('before.c');
    writeFileSync(
      file,
      '#include <reframer/dpdk.h>\nvoid *names[] = {reframer_rx_burst, reframer_rx_callback, rsspp_rx_callback};\n',
    );
    const { stderr } = spawnSync('cc', ['-fsyntax-only', '-I', include, file], {
      encoding: 'utf8',
    });
    for (const name of ['reframer_rx_burst', 'reframer_rx_callback', 'rsspp_rx_callback'])
      expect(stderr).toMatch(new RegExp(`${name}. is deprecated: use \\w+_dpdk_rx_`));
  });
});
