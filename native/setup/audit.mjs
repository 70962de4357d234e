// Known flaws of all dependencies, by npm's registry (the command line's are peers of the package, so
// that to leave out those of development would leave them out too):
//
//   npm run audit
//
// stdout: a line a flaw, or that there is none. Exit codes: 0 none, 1 there are some, 3 the registry of
// this machine does not answer such questions (mirrors often do not): nothing was checked.
import { spawnSync } from 'node:child_process';

import { root } from './steps.mjs';

const { stdout, stderr, error } = spawnSync('npm', ['audit', '--json'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 26,
});

function unchecked(why) {
  process.stderr.write(
    `audit: nothing was checked: ${why}; ask again where npm reaches a registry with an audit endpoint\n`,
  );
  process.exit(3);
}

if (error !== undefined) unchecked(`npm does not start (${error.message})`);
let report;
try {
  report = JSON.parse(stdout);
} catch {
  unchecked(`npm answered no JSON: ${(stderr || stdout).trim().split('\n')[0] ?? ''}`);
}
if (report.error !== undefined || report.message !== undefined)
  unchecked(
    report.error?.summary || report.error?.code || report.message || 'the registry refused',
  );
const flaws = Object.values(
  report.vulnerabilities ?? unchecked('the answer names no vulnerabilities, not even none'),
);
for (const { name, severity, range, fixAvailable } of flaws)
  process.stdout.write(
    `${severity.padEnd(8)} ${name} ${range}${fixAvailable ? ', mended in a later version' : ''}\n`,
  );
if (flaws.length === 0) process.stdout.write('no known flaw in the dependencies\n');
process.exitCode = flaws.length > 0 ? 1 : 0;
