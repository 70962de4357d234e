// An unmodified program of Debian's, dpdk-testpmd, with Reframer preloaded: what leaves it, frame by frame.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import {
  reframer,
  reframerJson,
  skipSuite,
  temporaryFolder,
  type Outcome,
} from '../helpers/cli.js';
import { framesOf } from '../helpers/frames.js';

const preload = join(packageRoot, 'native/build/libreframer_preload.so');
const testpmd = ['/usr/bin/dpdk-testpmd', '/usr/local/bin/dpdk-testpmd'].find((path) =>
  existsSync(path),
);

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** Forwards in.pcap to `output` and ends once all of it came out, or after ten seconds. */
function forward(
  output: string,
  environment: NodeJS.ProcessEnv,
  packets: number,
): Promise<Outcome> {
  const child = spawn(
    testpmd ?? '',
    [
      '--lcores',
      cpus().length > 1 ? '0,1@(0-1)' : '(0,1)@0',
      '--no-huge',
      '-m',
      '256',
      '--no-pci',
      '--no-shconf',
      '--file-prefix',
      `reframer-test-${process.pid}`,
      '--vdev',
      `net_pcap0,rx_pcap=${folder.file('in.pcap')},tx_pcap=${output}`,
      '--',
      '--no-flush-rx',
      '--total-num-mbufs=16384',
      '--port-topology=loop',
      '-i',
    ],
    { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let stdout = '';
  let stderr = '';
  let started = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (!started && stdout.includes('testpmd>')) {
      started = true;
      child.stdin.write('start\n');
    }
    if (new RegExp(`TX-packets: ${packets}\\b`).test(stdout)) child.stdin.end('quit\n');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const asking = setInterval(() => {
    if (started && !child.stdin.writableEnded) child.stdin.write('show port stats 0\n');
  }, 100);
  const patience = setTimeout(() => child.stdin.end('quit\n'), 10_000);
  child.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(asking);
      clearTimeout(patience);
      resolve({ code, stdout, stderr });
    });
  });
}

if (testpmd === undefined || !existsSync(preload)) {
  skipSuite(
    'dpdk-testpmd (Debian package dpdk-dev) or libreframer_preload.so (needs libdpdk-dev at build time) is missing: the preloaded library was not tested',
  );
} else {
  describe('dpdk-testpmd with libreframer_preload.so', { timeout: 60_000 }, () => {
    const packets = 4000;
    beforeAll(async () => {
      const { code } = await reframer([
        'generate',
        folder.file('in.pcap'),
        '--packets',
        String(packets),
        '--seed',
        '7',
        '--quiet',
      ]);
      expect(code).toBe(0);
    });

    test('releases in the order that `reframer reorder` writes', async () => {
      // T longer than the capture takes, however slow the machine is: the order depends on arrivals alone.
      const [{ code, stderr }, reordered] = await Promise.all([
        forward(
          folder.file('preloaded.pcap'),
          { LD_PRELOAD: preload, REFRAMER: 'delay=1s,packets=8k,bytes=1G' },
          packets,
        ),
        reframerJson<{ slfIn: number; slfOut: number }>([
          'reorder',
          folder.file('in.pcap'),
          folder.file('reordered.pcap'),
          '--delay',
          '1s',
          '--rate',
          '40Gbps',
        ]),
      ]);
      expect(stderr).toContain(
        `in ${packets}, out ${packets}, thinned 0, freed at stop 0, held 0; SLF ${reordered.slfIn.toFixed(3)} in, ${reordered.slfOut.toFixed(3)} out`,
      );
      expect(code).toBe(0);
      const out = framesOf(folder.file('preloaded.pcap'));
      expect(out).toEqual(framesOf(folder.file('reordered.pcap')));
      expect([...out].sort()).toEqual(framesOf(folder.file('in.pcap')).sort());
    });

    test('loses nothing and gains locality at the T of the paper', async () => {
      const { code, stderr } = await forward(
        folder.file('paper.pcap'),
        { LD_PRELOAD: preload, REFRAMER: 'delay=64us' },
        packets,
      );
      expect(code).toBe(0);
      expect(stderr).toContain(`in ${packets}, out ${packets}, thinned 0, freed at stop 0, held 0`);
      const out = framesOf(folder.file('paper.pcap'));
      expect([...out].sort()).toEqual(framesOf(folder.file('in.pcap')).sort());
      const [, before, after] = /SLF ([\d.]+) in, ([\d.]+) out/.exec(stderr) ?? [];
      expect(Number(after)).toBeGreaterThan(Number(before));
    });

    test('REFRAMER=off leaves the program as it is', async () => {
      const { code, stderr } = await forward(
        folder.file('off.pcap'),
        { LD_PRELOAD: preload, REFRAMER: 'off' },
        packets,
      );
      expect(code).toBe(0);
      expect(stderr).not.toContain('reframer:');
      expect(framesOf(folder.file('off.pcap'))).toEqual(framesOf(folder.file('in.pcap')));
    });

    test('a REFRAMER that cannot be understood ends the program, and says why', async () => {
      const { code, stderr } = await forward(
        folder.file('wrong.pcap'),
        { LD_PRELOAD: preload, REFRAMER: 'delay=64us,polcy=adaptive' },
        packets,
      );
      expect(code).not.toBe(0);
      expect(stderr).toContain("'polcy' is not known");
      expect(stderr).toContain('policy=fixed|adaptive|burst');
    });
  });
}
