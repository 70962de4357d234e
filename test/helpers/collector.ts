import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
// Of the module: one that nobody has would be collected itself.
const collected = new FinalizationRegistry<() => void>((tell) => tell());

/** Collects garbage until that is so. @returns whether it ever was */
export async function collectUntil(isSo: () => boolean): Promise<boolean> {
  for (let round = 0; round < 30 && !isSo(); round++) {
    // Finalizers run between turns.
    await setTimeout(1);
    collect();
  }
  return isSo();
}

/** Whether what is made is collected once nobody has it. */
export function isCollected(make: () => object): Promise<boolean> {
  let isGone = false;
  collected.register(make(), () => (isGone = true));
  return collectUntil(() => isGone);
}
