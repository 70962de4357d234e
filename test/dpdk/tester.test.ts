// The tester of a bed: frames on its port that are not its own, and frames longer than most.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import type { Said } from '../../experiments/testbed/local-bed.js';
import { dpdkProgram, packageRoot } from '../../native/loader.js';
import { NativeSession } from '../../native/session.js';
import { reframer, skipSuite, temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

async function openTester(devices: readonly string[], spec: object): Promise<NativeSession<Said>> {
  const session = await NativeSession.open<Said>(dpdkProgram, 'tester', {
    eal: [
      ...['--no-huge', '-m', '256', '--no-shconf', '--no-telemetry', '--log-level=error'],
      ...['--file-prefix', `reframer-tester-${process.pid}`],
      ...devices.map((device) => `--vdev=${device}`),
    ],
    ...spec,
  });
  if (session.first.ready === undefined) throw new Error(session.first.error?.message);
  return session;
}

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite('reframer-dpdk was not built (libdpdk-dev is missing): the tester was not tested');
} else {
  describe('the tester', { timeout: 60_000 }, () => {
    test('frames of others are none of those that came back', async () => {
      const others = folder.file('others.pcap');
      const made = await reframer(['generate', others, '--packets', '40', '--quiet']);
      expect(made.code).toBe(0);
      // What it sends is lost.
      const session = await openTester(['net_null0', `net_pcap0,rx_pcap=${others}`], {
        tx: 'net_null0',
        rx: 'net_pcap0',
        frames: 1024,
        source: { profile: 'campus' },
      });
      await session.ask({ do: 'start', packets: 1000, inFlight: 64, graceMs: 0 });
      const { result } = await session.ask({ do: 'stop' });
      await session.close();
      expect(result).toMatchObject({ foreign: 40, all: { sent: 64, received: 0 } });
    });

    test('frames of 9,014 bytes come back whole, whatever the MTU is', async () => {
      const session = await openTester(['net_ring0'], {
        tx: 'net_ring0',
        frames: 256,
        longest: 9014,
        source: { profile: 'uniform', frameLength: 9014 },
      });
      await session.ask({ do: 'start', packets: 20_000, inFlight: 512, graceMs: 2000 });
      const { result } = await session.ask({ do: 'stop' });
      await session.close();
      expect(result).toMatchObject({
        sent: 20_000,
        received: 20_000,
        outOfOrder: 0,
        duplicates: 0,
        foreign: 0,
      });
    });
  });
}
