// Frames that a host's segmentation offload joined, as `reframer run` and `analyze` tell of them.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { reframer, skipSuite, temporaryFolder, type Outcome } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const capture = (name: string): string => folder.file(`${name}.pcap`);

const built = existsSync(join(packageRoot, 'native/build/reframer-dpdk'));
if (!built)
  skipSuite('reframer-dpdk was not built (libdpdk-dev is missing): joined frames were not tested');

test.skipIf(!built)(
  'frames that segmentation offload joined are told of, jumbo frames are not',
  { timeout: 60_000 },
  async () => {
    const write = (name: string, length: number): void => {
      const header = Buffer.alloc(24 + 16 + length);
      header.writeUInt32LE(0xa1b2c3d4, 0);
      header.writeUInt16LE(2, 4);
      header.writeUInt16LE(4, 6);
      header.writeUInt32LE(262144, 16);
      header.writeUInt32LE(1, 20);
      header.writeUInt32LE(length, 32);
      header.writeUInt32LE(length, 36);
      writeFileSync(capture(name), header);
    };
    write('joined', 20_000);
    write('jumbo', 9018);
    const run = (name: string): Promise<Outcome> =>
      reframer([
        'run',
        '--in',
        `net_pcap0,rx_pcap=${capture(name)}`,
        '--out',
        `net_pcap1,tx_pcap=${capture(`${name}-out`)}`,
        '--eal',
        `--no-huge -m 256 --no-shconf --file-prefix reframer-frames-${process.pid}`,
        '--idle',
        '300ms',
        '--interval',
        '100ms',
        '--quiet',
      ]);
    const joined = await run('joined');
    expect(joined.code).toBe(0);
    expect(joined.stderr).toContain('1 frame from net_pcap0 is longer than 9,238 bytes');
    expect(joined.stderr).toContain('tso off');
    expect((await run('jumbo')).stderr).not.toContain('longer');
    const [told, not] = await Promise.all(
      ['joined', 'jumbo'].map((name) => reframer(['analyze', capture(name)])),
    );
    expect(told?.stdout.replaceAll(/\s+/g, ' ')).toContain('1 frame is longer than any MTU');
    expect(told?.stdout.match(/TSO/g)).toHaveLength(1);
    expect(not?.stdout).not.toContain('longer than any MTU');
  },
);
