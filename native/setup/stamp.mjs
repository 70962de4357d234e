// A stamp is a fingerprint (path, size, modification time) of what a step read when it last ended
// well. It is written last, so an interrupted step simply runs again.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

function walk(path, keep, out) {
  let entry;
  try {
    entry = statSync(path);
  } catch {
    return;
  }
  if (!entry.isDirectory()) {
    if (keep(path)) out.push(`${path} ${entry.size} ${entry.mtimeMs}`);
    return;
  }
  for (const name of readdirSync(path)) {
    // Outputs and what other tools keep beside the sources.
    if (/^(\.|build(-|$)|node_modules$|dist$|runs$|reference$)/.test(name)) continue;
    walk(join(path, name), keep, out);
  }
}

/** @param {string[]} paths files and folders; @param {string} salt what else the result depends on */
export function fingerprint(paths, keep, salt = '') {
  const lines = [];
  for (const path of paths) walk(path, keep, lines);
  lines.sort();
  return createHash('sha256').update(salt).update(lines.join('\n')).digest('hex');
}

export function isCurrent(stampFile, value) {
  try {
    return readFileSync(stampFile, 'utf8') === value;
  } catch {
    return false;
  }
}

export function writeStamp(stampFile, value) {
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(`${stampFile}.${process.pid}`, value);
  renameSync(`${stampFile}.${process.pid}`, stampFile);
}
