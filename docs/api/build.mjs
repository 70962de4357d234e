// Pages of the TypeScript interface: npm run docs
//
// TypeDoc works through the JavaScript interface of the TypeScript compiler, which version 7 does not
// have. So it has a package.json of its own, with an older compiler that only it uses; who does not
// want pages never installs it. Writes docs/api/html.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
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
process.stdout.write(`${join('docs', 'api', 'html', 'index.html')}\n`);
