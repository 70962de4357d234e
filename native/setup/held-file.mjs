// A lock that is a file: it names the process that holds it, and that of a dead one is taken over.
import { linkSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** undefined: there is no lock. What is no file names nobody. */
function textOf(file) {
  try {
    return lstatSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Complete from the first moment: an empty lock would be taken for a dead one's. */
function linked(file, text) {
  const own = `${file}.${process.pid}`;
  rmSync(own, { force: true }); // of an earlier process with this number
  writeFileSync(own, text, { flag: 'wx' });
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

/**
 * Takes the lock, or says who has it.
 *
 * Between a look at a dead one's lock and its removal, others may have removed it and have theirs
 * there by now. So it is removed by one process at a time, which holds a lock for that, and looks
 * again once it does.
 * @param alive whether who wrote such a text holds the lock still
 * @returns the text of the lock that is held, or of that for removing it; undefined: it is ours
 */
export function take(file, alive, text = String(process.pid)) {
  for (;;) {
    if (linked(file, text)) return undefined;
    const held = textOf(file);
    if (held === undefined) continue; // it was given back meanwhile
    if (alive(held)) return held;
    const removing = `${file}.stale`;
    const other = take(removing, alive);
    if (other !== undefined) return other;
    try {
      const now = textOf(file);
      if (now !== undefined && !alive(now)) rmSync(file, { force: true });
    } finally {
      rmSync(removing, { force: true });
    }
  }
}

/** Nothing where somebody took it for dead: the lock is theirs. */
export function giveBack(file) {
  if (textOf(file)?.split(' ')[0] === String(process.pid)) rmSync(file, { force: true });
}
