// `reframer bench flood`: it runs through, counts what was denied, and leaves no namespace behind.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { missingForFlood, type FloodTrial } from '../../experiments/cli/linux/flood.js';
import { packageRoot } from '../../native/loader.js';
import { reframerJson, skipSuite } from '../helpers/cli.js';

const missing = missingForFlood();
if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk')))
  missing.push('reframer-dpdk, which was not built');
if (missing.length > 0) skipSuite(`bench flood was not tested: it needs ${missing.join(', ')}`);

test.skipIf(missing.length > 0)(
  'a flood that is denied does not reach the box',
  { timeout: 120_000 },
  async () => {
    const { trials } = await reframerJson<{ trials: FloodTrial[] }>([
      ...['bench', 'flood', '--rounds', '1', '--time', '1s', '--rate', '20k', '--quiet'],
    ]);
    const of = (mode: string): FloodTrial | undefined => trials.find((t) => t.mode === mode);
    for (const mode of ['idle', 'flooded', 'guarded'])
      expect(of(mode)?.requestsPerSecond).toBeGreaterThan(0);
    expect(of('idle')).toMatchObject({ flood: 0, denied: 0 });
    expect(of('flooded')?.flood).toBeGreaterThan(0);
    expect(of('flooded')?.denied).toBe(0);
    const guarded = of('guarded');
    expect(guarded?.flood).toBeGreaterThan(0);
    // What the veth's own ring had no room for came to neither.
    const { denied = 0, flood = 0 } = guarded ?? {};
    expect(denied).toBeLessThanOrEqual(flood);
    expect(denied).toBeGreaterThan(flood / 2);
    const spaces = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
    expect(spaces).not.toMatch(/^reframer-flood-/m);
  },
);
