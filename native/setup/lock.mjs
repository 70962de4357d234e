// One set-up at a time in one folder. The lock names the process that works and the command that
// it runs now: killed outright it cannot tidy up, and its npm or ninja may still be writing.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { giveBack, take } from './held-file.mjs';

const pollMs = 200;

function runs(pid, what) {
  if (!/^\d+$/.test(pid)) return false; // /proc/cmdline is the kernel's
  try {
    return what.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

/** The process that must be waited for, if there is one. */
function holder(text) {
  const [owner = '', child = ''] = text.split(' ');
  // One with the number of this process is of an earlier one.
  if (owner !== String(process.pid) && runs(owner, /setup\.mjs/)) return owner;
  if (runs(child, /npm|meson|ninja|apt-get|tsc/)) return child;
  return undefined;
}

/** Waits for its turn; `say` is told once when there is something to wait for. */
export async function acquire(file, say) {
  for (let waited = false; ; waited = true) {
    const held = take(file, (text) => holder(text) !== undefined);
    if (held === undefined) return;
    if (!waited)
      say(
        `another set-up (process ${holder(held) ?? held.split(' ')[0]}) is at work here; waiting`,
      );
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

export function nameChild(file, pid) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${process.pid} ${pid}`);
  renameSync(own, file);
}

export const release = giveBack;
