// One set-up at a time in one folder. The lock names the process that works and the command that
// it runs now: killed outright it cannot tidy up, and its npm or ninja may still be writing.
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';

const pollMs = 200;

function runs(pid, what) {
  try {
    return what.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

/** The process that must be waited for, if there is one. */
function holder(file) {
  const [owner = '', child = ''] = readFileSync(file, 'utf8').split(' ');
  if (runs(owner, /setup\.mjs/)) return owner;
  if (runs(child, /npm|meson|ninja|apt-get|tsc/)) return child;
  return undefined;
}

/** Complete from the first moment: an empty lock would be taken for a dead one's. */
function take(file) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Waits for its turn; `say` is told once when there is something to wait for. */
export async function acquire(file, say) {
  for (let waited = false; ;) {
    if (take(file)) return;
    let other;
    try {
      other = holder(file);
      if (other === undefined) unlinkSync(file);
    } catch {
      continue; // it was given back meanwhile
    }
    if (other === undefined) continue;
    if (!waited) say(`another set-up (process ${other}) is at work here; waiting`);
    waited = true;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

export function nameChild(file, pid) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${process.pid} ${pid}`);
  renameSync(own, file);
}

export function release(file) {
  try {
    unlinkSync(file);
  } catch {
    // somebody took it for dead; nothing is lost
  }
}
