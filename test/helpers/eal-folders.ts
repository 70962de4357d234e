// EAL leaves a folder behind for each file prefix. Those of the tests carry the process that made them.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { ealFolders } from '../../experiments/testbed/eal-folder.js';

/** After all tests: the folders of processes that are no more. */
export function teardown(): void {
  const folders = ealFolders();
  if (!existsSync(folders)) return;
  for (const name of readdirSync(folders)) {
    if (!name.startsWith('reframer-')) continue;
    // Some count what one process made, too: few, where processes are many.
    const pid = Math.max(0, ...(name.match(/\d+/g) ?? []).map(Number));
    if (pid > 0 && !existsSync(`/proc/${pid}`))
      rmSync(join(folders, name), { recursive: true, force: true });
  }
}
