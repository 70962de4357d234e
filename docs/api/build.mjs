// Pages of the interfaces, TypeScript by TypeDoc and C by Doxygen: npm run docs
//
// TypeDoc works through the JavaScript interface of the TypeScript compiler, which version 7 does not
// have. So it has a package.json of its own, with an older compiler that only it uses; who does not
// want pages never installs it. Writes docs/api/html.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const typedoc = join(folder, 'node_modules', 'typedoc', 'bin', 'typedoc');

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (error !== undefined)
    process.stderr.write(`docs: ${command} does not start (${error.message})\n`);
  if (status !== 0) process.exit(1);
}

if (!existsSync(typedoc)) run('npm', 'ci', '--no-audit', '--no-fund', '--ignore-scripts');
run(process.execPath, typedoc, ...process.argv.slice(2));
// Doxygen is Debian's: it cannot be installed from npm. Its pages lie in html/c, where the first page links.
const hasDoxygen = spawnSync('doxygen', ['--version']).error === undefined;
if (process.argv.length === 2) {
  if (hasDoxygen) {
    run('doxygen', 'Doxyfile');
    // TypeDoc refuses links to pages that are not its own.
    const first = join(folder, 'html', 'index.html');
    const place = '<div class="tsd-panel tsd-typography">';
    const page = readFileSync(first, 'utf8');
    if (!page.includes(place)) throw new Error(`${first} has no place for a link`);
    const link = `${place}<p><a href="c/index.html">The C interfaces</a></p>`;
    writeFileSync(first, page.replace(place, link));
  } else
    process.stderr.write(
      'docs: the pages of the C interface are left out: doxygen is not installed -> apt-get install doxygen\n',
    );
}
process.stdout.write(`${join('docs', 'api', 'html', 'index.html')}\n`);
