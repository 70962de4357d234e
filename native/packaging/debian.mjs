// Builds the Debian packages: node native/packaging/debian.mjs OUTPUT_FOLDER
//
// dpkg-buildpackage, which a clean clone takes as it is, leaves its work in the tree and packages
// beside it: here both lie in a temporary folder. Needs debhelper, dpkg-dev and what debian/control names.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [output] = process.argv.slice(2);
if (output === undefined) {
  process.stderr.write('usage: node native/packaging/debian.mjs OUTPUT_FOLDER\n');
  process.exit(2);
}

const work = mkdtempSync(join(tmpdir(), 'reframer-debian-'));
// process.exit() runs no `finally`.
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const tree = join(work, 'reframer');
for (const name of [
  'src',
  'include',
  'man',
  'meson.build',
  'meson_options.txt',
  'libreframer.map',
  'libreframer_capture.map',
  'libreframer_dpdk.map',
  'libreframer_preload.map',
]) {
  cpSync(join(root, 'native', name), join(tree, 'native', name), { recursive: true });
}
for (const name of ['package.json', 'debian'])
  cpSync(join(root, name), join(tree, name), { recursive: true });
const { status, error } = spawnSync('dpkg-buildpackage', ['-us', '-uc', '-b'], {
  cwd: tree,
  stdio: ['ignore', 2, 2],
});
if (error !== undefined) {
  process.stderr.write(
    `packaging: dpkg-buildpackage does not start (${error.message}); apt-get install dpkg-dev debhelper\n`,
  );
  process.exit(3);
}
if (status !== 0) process.exit(1);
mkdirSync(resolve(output), { recursive: true });
for (const name of readdirSync(work).filter((file) => file.endsWith('.deb'))) {
  cpSync(join(work, name), join(resolve(output), name));
  process.stdout.write(`${join(output, name)}\n`);
}
