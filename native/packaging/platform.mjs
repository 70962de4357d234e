// Makes the platform package @reframer/<platform>-<arch>: the embedded library and the one that reads
// captures, prebuilt, for users without a compiler.
//
//   npm run package:platform -- OUTPUT_FOLDER [--library FILE]
//
// Built for x86-64-v2 with the C++ library inside, so that it needs only the C library of the machine
// (of this machine's version or newer); the one for captures needs libpcap, zlib, liblzma and libzstd,
// as tcpdump and its like do. --library packs a file that was built elsewhere instead, and the library
// for captures that lies beside it. The programs are not in it: `npx reframer setup` builds them.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const args = process.argv.slice(2);
const at = args.indexOf('--library');
const [given] = at < 0 ? [] : args.splice(at, 2).slice(1);
const [output] = args;
if (output === undefined || args.length !== 1 || (at >= 0 && given === undefined)) {
  process.stderr.write('usage: platform.mjs OUTPUT_FOLDER [--library FILE]\n');
  process.exit(2);
}

const march = { x64: 'x86-64-v2' }[process.arch];
if (process.platform !== 'linux' || march === undefined) {
  process.stderr.write(
    `packaging: there is no platform package for ${process.platform}-${process.arch}, only for linux-x64\n`,
  );
  process.exit(3);
}

function run(command, ...words) {
  const { status, error } = spawnSync(command, words, { stdio: ['ignore', 2, 2] });
  if (error === undefined && status === 0) return;
  process.stderr.write(
    `packaging: ${command} ${words[0]} failed${error === undefined ? '' : ` (${error.message})`}\n`,
  );
  process.exit(1);
}

const capture = 'libreframer_capture.so';
const { version, engines, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const name = `@reframer/${process.platform}-${process.arch}`;
const work = mkdtempSync(join(tmpdir(), 'reframer-platform-'));
// process.exit() runs no `finally`.
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
let library = given;
if (library === undefined) {
  const build = join(work, 'build');
  run(
    'meson',
    'setup',
    build,
    join(root, 'native'),
    `-Dmarch=${march}`,
    '-Ddpdk=disabled',
    '-Dtests=false',
    '-Dlab=false',
    '-Dcpp_link_args=-static-libstdc++ -static-libgcc',
    '--strip',
  );
  const files = [`libreframer.so.${version}`, `${capture}.${version}`];
  run('ninja', '-C', build, ...files);
  library = join(build, `libreframer.so.${version}`);
  run('strip', '--strip-unneeded', ...files.map((file) => join(build, file)));
}
const folder = join(work, 'package');
mkdirSync(folder);
cpSync(library, join(folder, 'libreframer.so'), { dereference: true });
cpSync(join(dirname(library), capture), join(folder, capture), { dereference: true });
writeFileSync(
  join(folder, 'package.json'),
  `${JSON.stringify({ name, version, description: `Prebuilt library of the package reframer for ${process.platform}-${process.arch}`, license, os: [process.platform], cpu: [process.arch], libc: ['glibc'], engines, files: ['libreframer.so', capture] }, null, 2)}\n`,
);
writeFileSync(
  join(folder, 'README.md'),
  `# ${name}\n\nThe embedded engine of [reframer](https://www.npmjs.com/package/reframer), prebuilt. Install it beside that package, in the same version.\n`,
);
mkdirSync(resolve(output), { recursive: true });
run('npm', 'pack', folder, '--pack-destination', resolve(output), '--ignore-scripts', '--silent');
process.stdout.write(
  `${join(output, `reframer-${process.platform}-${process.arch}-${version}.tgz`)}\n`,
);
