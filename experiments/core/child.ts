// Processes that zx starts, ended by us. Its own kill and timeout first ask `ps` who belongs to whom: where
// there is none, as in small containers, they kill nobody, and reject where nobody listens.
import { readdirSync } from 'node:fs';
import type { ProcessOutput, ProcessPromise } from 'zx';

import { readText } from './context.js';

/** Children by their parent, as the kernel has them now. */
function childrenOf(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    // proc(5): the parent is field 4; the name before it may hold blanks.
    const parent = Number(
      readText(`/proc/${entry}/stat`)
        ?.replace(/^.*\) /s, '')
        .split(' ')[1] ?? Number.NaN,
    );
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  return children;
}

/** Kills a process and all that it started; nothing where it has ended. */
export function endTree({ pid }: Pick<ProcessPromise, 'pid'>): void {
  if (pid === undefined) return;
  const children = childrenOf();
  const tree = [pid];
  // The list grows under way: by the children of children.
  for (const each of tree) tree.push(...(children.get(each) ?? []));
  for (const each of tree) {
    try {
      process.kill(each, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }
}

/**
 * What it says; killed where it takes longer. How a killed one ends does not tell: a shell may see its own
 * child die first, and end with an exit code.
 */
export async function outputWithin(
  child: ProcessPromise,
  seconds: number,
): Promise<{ output: ProcessOutput; timedOut: boolean }> {
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endTree(child);
  }, seconds * 1000);
  try {
    const output = await child;
    return { output, timedOut };
  } finally {
    clearTimeout(timer);
  }
}
