// `reframer run` on DPDK's virtual ports, `reframer top` beside it, and its metrics.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { exposition } from '../../experiments/cli/metrics.js';
import { reframer, reframerJson, skipSuite, temporaryFolder, type Outcome } from '../helpers/cli.js';

interface Lane {
  received: number;
  sent: number;
  held: number;
  slfIn: number;
  slfOut: number;
}

interface Summary {
  summary: { lanes: Lane[]; missed: number; lost: number };
}

const folder = temporaryFolder();
afterAll(() => folder.remove());
const packets = 3000;

const capture = (name: string): string => folder.file(`${name}.pcap`);
const prefix = `reframer-run-${process.pid}`;
const eal = (...devices: string[]): string => `--no-huge -m 256 --no-shconf --file-prefix ${prefix} ${devices.map((device) => `--vdev=${device}`).join(' ')}`;
const sizes = (file: string): number => readFileSync(file).length;

function summaryOf({ stdout }: Outcome): Summary['summary'] {
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return (JSON.parse(last) as Summary).summary;
}

test('metrics are in the text format of Prometheus', () => {
  const text = exposition([{ name: 'a_total', type: 'counter', help: 'What it counts.', samples: [{ labels: { port: 'x"\\y', queue: 0 }, value: 3 }, { labels: {}, value: 1.5 }] }]);
  expect(text).toBe('# HELP a_total What it counts.\n# TYPE a_total counter\na_total{port="x\\"\\\\y",queue="0"} 3\na_total 1.5\n');
});

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite('reframer-dpdk was not built (libdpdk-dev is missing): `reframer run` and `top` were not tested');
} else {
  describe('reframer run', { timeout: 60_000 }, () => {
    beforeAll(async () => {
      expect((await reframer(['generate', capture('in'), '--packets', String(packets), '--seed', '9', '--quiet'])).code).toBe(0);
    });

    test('forwards a capture, all of it, in the order of release', async () => {
      const [outcome, reordered] = await Promise.all([
        reframer(['run', '--in', `net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('out')}`, '--out', 'net_pcap0', '--eal', eal(),
          '--delay', '1s', '--packets', '8k', '--idle', '1500ms', '--interval', '100ms', '--json']),
        reframerJson<{ slfOut: number }>(['reorder', capture('in'), capture('reordered'), '--delay', '1s', '--rate', '40Gbps']),
      ]);
      expect(outcome.code).toBe(0);
      const { lanes, lost } = summaryOf(outcome);
      expect(lanes).toHaveLength(1);
      expect(lanes[0]).toMatchObject({ received: packets, sent: packets, held: 0 });
      expect(lanes[0]?.slfOut).toBeCloseTo(reordered.slfOut, 3);
      expect(lost).toBe(0);
      expect(sizes(capture('out'))).toBe(sizes(capture('in')));
    });

    test('a signal drains what is held, both ways', async () => {
      const child = spawn(process.execPath, [
        join(packageRoot, 'experiments/cli/reframer.mjs'), 'run', '--in', 'net_pcap0', '--out', 'net_pcap1', '--both-ways', '--delay', '1s', '--packets', '8k',
        '--eal', eal(`net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('back')}`, `net_pcap1,rx_pcap=${capture('in')},tx_pcap=${capture('forth')}`), '--interval', '50ms', '--json',
      ], { env: { ...process.env, REFRAMER_NO_SETUP: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
      let stdout = '';
      let told = false;
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        // All in, hardly any out.
        if (told || text.split(`"received":${packets}`).length < 3) return;
        told = true;
        child.kill('SIGTERM');
      });
      const code = await new Promise((resolve) => child.on('close', resolve));
      expect(code).toBe(128 + 15);
      const { lanes, lost } = summaryOf({ code: 0, stdout, stderr: '' });
      expect(lanes.map(({ received, sent, held }) => ({ received, sent, held }))).toEqual(Array.from({ length: 2 }, () => ({ received: packets, sent: packets, held: 0 })));
      expect(lost).toBe(0);
      for (const name of ['back', 'forth']) expect(sizes(capture(name))).toBe(sizes(capture('in')));
    });

    test('metrics and telemetry tell what it does', async () => {
      const child = spawn(process.execPath, [
        join(packageRoot, 'experiments/cli/reframer.mjs'), 'run', '--in', 'net_pcap0', '--out', 'net_pcap0', '--metrics', '127.0.0.1:0', '--quiet',
        '--eal', eal(`net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('told')}`), '--interval', '50ms',
      ], { env: { ...process.env, REFRAMER_NO_SETUP: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
      const closed = new Promise((resolve) => child.on('close', resolve));
      const url = await new Promise<string>((resolve, reject) => {
        let stderr = '';
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          stderr += text;
          const found = /metrics at (\S+)/.exec(stderr)?.[1];
          if (found !== undefined) resolve(found);
        });
        child.on('close', () => reject(new Error(stderr)));
      });
      try {
        await expect.poll(async () => (await fetch(url)).text(), { timeout: 10_000 }).toContain(`reframer_packets_sent_total{in="net_pcap0",out="net_pcap0",queue="0"} ${packets}`);
        expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
        const outcome = await reframer(['top', '--file-prefix', prefix, '--once', '--json']);
        expect(outcome.stderr).toBe('');
        const { queues } = JSON.parse(outcome.stdout) as { queues: Record<string, number>[] };
        expect(queues).toHaveLength(1);
        expect(queues[0]).toMatchObject({ port: 0, queue: 0, packets_in: packets, packets_out: packets, packets_held: 0, delay_ns: 64_000 });
        const people = await reframer(['top', '--file-prefix', prefix, '--once']);
        expect(people.stdout).toMatch(/^DPDK .*\n *port +queue .*\n +0 +0 /);
      } finally {
        child.kill('SIGINT');
      }
      expect(await closed).toBe(128 + 2);
    });

    test.each([
      { what: 'a port that is not there', args: ['--in', 'net_null7', '--out', 'net_null7', '--eal', eal('net_null0')], code: 2, text: "no port 'net_null7'" },
      { what: 'a delay that is none', args: ['--in', 'a', '--out', 'a', '--delay', 'soon'], code: 2, text: '--delay' },
      { what: 'an option that EAL does not have', args: ['--in', 'a', '--out', 'a', '--eal', '--no-such-option'], code: 3, text: 'EAL does not come up' },
      { what: 'metrics without a host', args: ['--in', 'a', '--out', 'a', '--metrics', '9464'], code: 2, text: 'HOST:PORT' },
    ])('refuses $what', async ({ args, code, text }) => {
      const outcome = await reframer(['run', ...args]);
      expect(outcome.stderr).toContain(text);
      expect(outcome.code).toBe(code);
    });

    test('top without a program says where it looked', async () => {
      const outcome = await reframer(['top', '--file-prefix', 'reframer-nobody']);
      expect(outcome.code).toBe(3);
      expect(outcome.stderr).toContain('/var/run/dpdk');
    });
  });
}
