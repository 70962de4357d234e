// Giving root up in this process, which reads what strangers send to it.
import type { Ready } from './box.js';

/**
 * Becomes whom the native process became. Nothing later needs root: ports, sockets and files are open.
 * Groups first: afterwards it may not.
 */
export function followUser({ uid, gid }: Ready): void {
  if (uid === undefined || gid === undefined || process.geteuid?.() !== 0) return;
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}
