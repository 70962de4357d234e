// Makes the package @reframer/cli: what the command line needs beside the package `reframer`, which
// installs koffi and nothing else. It has no code of its own: the command `reframer`, and the packages
// that draw, print and read arguments, in the versions that package.json names as peers.
//
//   npm run package:cli -- OUTPUT_FOLDER
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [output, ...rest] = process.argv.slice(2);
if (output === undefined || rest.length > 0) {
  process.stderr.write('usage: cli.mjs OUTPUT_FOLDER\n');
  process.exit(2);
}
const { version, engines, license, peerDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);
const name = '@reframer/cli';
const folder = mkdtempSync(join(tmpdir(), 'reframer-cli-'));
// process.exit() runs no `finally`.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const manifest = {
  name,
  version,
  description: 'The command line of the package reframer: experiments, captures, reports',
  license,
  type: 'module',
  engines,
  bin: { reframer: './reframer.mjs' },
  files: ['reframer.mjs'],
  dependencies: { reframer: version, ...peerDependencies },
};
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(folder, 'reframer.mjs'), "#!/usr/bin/env node\nimport 'reframer/cli';\n", {
  mode: 0o755,
});
writeFileSync(
  join(folder, 'README.md'),
  `# ${name}\n\nThe command \`reframer\`. The programming interface is the package [reframer](https://www.npmjs.com/package/reframer), which this one installs.\n`,
);
mkdirSync(resolve(output), { recursive: true });
const { status } = spawnSync(
  'npm',
  ['pack', folder, '--pack-destination', resolve(output), '--ignore-scripts', '--silent'],
  { stdio: ['ignore', 2, 2] },
);
if (status !== 0) process.exit(1);
process.stdout.write(`${join(output, `reframer-cli-${version}.tgz`)}\n`);
