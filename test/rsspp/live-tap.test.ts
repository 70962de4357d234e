// The experiment's live part: real packets through the kernel while a balancer moves buckets.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';

const program = join(packageRoot, 'native', 'build', 'reframer-lab');

function live(spec: object): Record<string, number> | undefined {
  const { status, stdout } = spawnSync(program, ['rsspp-tap'], {
    input: JSON.stringify(spec),
    encoding: 'utf8',
  });
  const record = JSON.parse(stdout) as Record<string, number> & { error?: { message: string } };
  if (status === 3) console.warn(`skipped: ${record.error?.message ?? ''}`);
  else expect(status, stdout).toBe(0);
  return status === 3 ? undefined : record;
}

test.skipIf(!existsSync(program)).each(['static', 'ours'])(
  '%s: every packet is accounted for and in order',
  (method) => {
    const record = live({
      method,
      cores: 4,
      packetsPerSecond: 5000,
      workRounds: 0,
      skew: 1.2,
      seconds: 0.6,
      warmupSeconds: 0,
    });
    if (record === undefined) return;
    const { sent = 0, processed = 0, dropped = 0, moves = 0, missing = 0 } = record;
    expect(sent).toBeGreaterThan(0);
    expect(processed + dropped).toBe(sent);
    expect(record).toMatchObject({ lost: 0, reordered: 0, foreign: 0, refusedWrites: 0 });
    expect(missing).toBeLessThanOrEqual(dropped);
    expect(moves > 0).toBe(method === 'ours');
  },
);
