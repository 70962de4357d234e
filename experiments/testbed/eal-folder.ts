// EAL makes a folder for each file prefix, in memory, and leaves it behind: a command that starts ten
// boxes would leave ten.
import { rmSync } from 'node:fs';
import { join } from 'node:path';

const prefixes = new Set<string>();

/** Where EAL has its folders: root's, else the user's. */
export function ealFolders(): string {
  const own = process.getuid?.() === 0 ? '/var/run' : (process.env['XDG_RUNTIME_DIR'] ?? '/tmp');
  return join(own, 'dpdk');
}

/** A file prefix that no other process has. What EAL leaves under it goes with this process. */
export function ownPrefix(name: string): string {
  const prefix = `reframer-${name}-${process.pid}`;
  if (prefixes.size === 0)
    process.once('exit', () => {
      for (const one of prefixes) rmSync(join(ealFolders(), one), { recursive: true, force: true });
    });
  prefixes.add(prefix);
  return prefix;
}
