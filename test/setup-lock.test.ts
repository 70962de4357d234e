// One set-up at a time: processes that begin at once never both have the lock, and that of a dead one
// is no obstacle.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { temporaryFolder } from './helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

test('of many that begin at once one works, also where one dies', { timeout: 60_000 }, async () => {
  // The lock asks whether its owner is a set-up by this name.
  const script = folder.file('setup.mjs');
  writeFileSync(
    script,
    `import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { acquire, nameChild, release } from ${JSON.stringify(join(packageRoot, 'native', 'setup', 'lock.mjs'))};
const [lock, inside] = process.argv.slice(2);
let both = 0;
for (let i = 0; i < 5; i++) {
  await acquire(lock, () => undefined);
  try {
    writeFileSync(inside, '', { flag: 'wx' });
  } catch {
    both++;
  }
  for (let j = 0; j < 20; j++) nameChild(lock, 1);
  rmSync(inside, { force: true });
  if (i % 2 === 0) release(lock);
  else {
    // As if it had died: no process has this number.
    writeFileSync(lock + '.dead' + process.pid, '4194305');
    renameSync(lock + '.dead' + process.pid, lock);
  }
}
process.stdout.write(String(both));
// None is gone while others may ask after it.
process.stdin.resume();
`,
  );
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, [script, folder.file('lock'), folder.file('inside')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const both = await Promise.all(
    children.map(
      (child) =>
        new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve)),
    ),
  );
  for (const child of children) child.stdin.end();
  expect(both).toEqual(children.map(() => '0'));
});
