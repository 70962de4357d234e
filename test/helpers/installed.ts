// What `meson install` brings, below a folder of the test's own, for the tests of it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from '../../native/loader.js';
import { runProgram, skipSuite } from './cli.js';
import { readPackageFile } from './readme.js';

/** What set-up built, for the processor of this machine. */
export const build = join(packageRoot, 'native/build');
/** The libraries as a packager builds them. Kept between runs: they take minutes the first time. */
export const portable = join(packageRoot, 'native/build-install');
export const hasDpdk = existsSync(join(build, 'libreframer_dpdk.so'));

export const sh = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

export const meson = ((): boolean => {
  try {
    sh('meson', '--version');
    sh('pkg-config', '--version');
    return true;
  } catch {
    return false;
  }
})();

/** Says in the summary what a machine without meson or DPDK leaves untested of `what`. */
export function skipWhatIsMissing(what: string): void {
  if (!hasDpdk)
    skipSuite(`libreframer_dpdk.so was not built (libdpdk-dev is missing): ${what} without it`);
  if (!meson) skipSuite(`meson or pkg-config is missing: not tested: ${what}`);
}

/** Version of the package, which its libraries carry in their names. */
export const version = (JSON.parse(readPackageFile('package.json')) as { version: string }).version;

// The programs are left out: what is asked of them is only whether they would be installed.
const targets = [
  `libreframer.so.${version}`,
  `libreframer_capture.so.${version}`,
  'libreframer.a',
  ...(hasDpdk ? [`libreframer_dpdk.so.${version}`, 'libreframer_preload.so'] : []),
];

// Two suites install, and may do so at the same time: the second waits for the build of the first.
const script = `set -e
[ -e "$1/build.ninja" ] || meson setup "$1" native -Dtests=false -Ddpdk="$3" >&2
ninja -C "$1" ${targets.join(' ')} >&2
meson install -C "$1" --no-rebuild --tags runtime,devel,man --destdir "$2" --quiet
`;

/** Installs below `root`; gives the environment in which a program is compiled and run with it. */
export async function install(root: string): Promise<NodeJS.ProcessEnv> {
  const dpdk = hasDpdk ? 'enabled' : 'disabled';
  const { code, stdout, stderr } = await runProgram('flock', [
    join(packageRoot, 'native'),
    'bash',
    '-c',
    script,
    'install',
    portable,
    root,
    dpdk,
  ]);
  if (code !== 0) throw new Error(`meson install ended with ${code}\n${stdout}${stderr}`);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const library = join(root, files.find((file) => file.endsWith('/libreframer.so')) ?? '', '..');
  // The files are written for their final place; here that place is under `root`.
  for (const name of readdirSync(join(library, 'pkgconfig'))) {
    const file = join(library, 'pkgconfig', name);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^prefix=(.*)$/m, `prefix=${root}$1`));
  }
  return {
    PKG_CONFIG_PATH: `${join(library, 'pkgconfig')}:${process.env['PKG_CONFIG_PATH'] ?? ''}`,
    LD_LIBRARY_PATH: library,
  };
}
