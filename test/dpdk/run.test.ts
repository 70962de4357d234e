// `reframer run` on DPDK's virtual ports, `reframer top` beside it, and its metrics.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { exposition } from '../../experiments/cli/metrics.js';
import {
  reframer,
  reframerJson,
  runProgram,
  skipSuite,
  temporaryFolder,
  type Outcome,
} from '../helpers/cli.js';

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
const eal = (...devices: string[]): string =>
  `--no-huge -m 256 --no-shconf --file-prefix ${prefix} ${devices.map((device) => `--vdev=${device}`).join(' ')}`;
const sizes = (file: string): number => readFileSync(file).length;

function summaryOf({ stdout }: Outcome): Summary['summary'] {
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return (JSON.parse(last) as Summary).summary;
}

test('metrics are in the text format of Prometheus', () => {
  const text = exposition([
    {
      name: 'a_total',
      type: 'counter',
      help: 'What it counts.',
      samples: [
        { labels: { port: 'x"\\y', queue: 0 }, value: 3 },
        { labels: {}, value: 1.5 },
      ],
    },
  ]);
  expect(text).toBe(
    '# HELP a_total What it counts.\n# TYPE a_total counter\na_total{port="x\\"\\\\y",queue="0"} 3\na_total 1.5\n',
  );
});

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite(
    'reframer-dpdk was not built (libdpdk-dev is missing): `reframer run` and `top` were not tested',
  );
} else {
  describe('reframer run', { timeout: 60_000 }, () => {
    beforeAll(async () => {
      expect(
        (
          await reframer([
            'generate',
            capture('in'),
            '--packets',
            String(packets),
            '--seed',
            '9',
            '--quiet',
          ])
        ).code,
      ).toBe(0);
    });

    test('forwards a capture, all of it, in the order of release', async () => {
      const [outcome, reordered] = await Promise.all([
        reframer([
          'run',
          '--in',
          `net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('out')}`,
          '--out',
          'net_pcap0',
          '--eal',
          eal(),
          '--delay',
          '1s',
          '--packets',
          '8k',
          '--idle',
          '1500ms',
          '--interval',
          '100ms',
          '--json',
        ]),
        reframerJson<{ slfOut: number }>([
          'reorder',
          capture('in'),
          capture('reordered'),
          '--delay',
          '1s',
          '--rate',
          '40Gbps',
        ]),
      ]);
      expect(outcome.code).toBe(0);
      const { lanes, lost } = summaryOf(outcome);
      expect(lanes).toHaveLength(1);
      expect(lanes[0]).toMatchObject({ received: packets, sent: packets, held: 0 });
      expect(lanes[0]?.slfOut).toBeCloseTo(reordered.slfOut, 3);
      expect(lost).toBe(0);
      expect(sizes(capture('out'))).toBe(sizes(capture('in')));
    });

    test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
      '%s drains what is held, both ways, and that is no failure',
      async (signal) => {
        const child = spawn(
          process.execPath,
          [
            join(packageRoot, 'experiments/cli/reframer.mjs'),
            'run',
            '--in',
            'net_pcap0',
            '--out',
            'net_pcap1',
            '--both-ways',
            '--delay',
            '1s',
            '--packets',
            '8k',
            '--eal',
            eal(
              `net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('back')}`,
              `net_pcap1,rx_pcap=${capture('in')},tx_pcap=${capture('forth')}`,
            ),
            '--interval',
            '50ms',
            '--json',
          ],
          { env: { ...process.env, REFRAMER_NO_SETUP: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
        );
        let stdout = '';
        let told = false;
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          stdout += text;
          // All in, hardly any out.
          if (told || text.split(`"received":${packets}`).length < 3) return;
          told = true;
          child.kill(signal);
        });
        const code = await new Promise((resolve) => child.on('close', resolve));
        expect(code).toBe(0); // what it was asked to do is done
        const { lanes, lost } = summaryOf({ code: 0, stdout, stderr: '' });
        expect(lanes.map(({ received, sent, held }) => ({ received, sent, held }))).toEqual(
          Array.from({ length: 2 }, () => ({ received: packets, sent: packets, held: 0 })),
        );
        expect(lost).toBe(0);
        for (const name of ['back', 'forth'])
          expect(sizes(capture(name))).toBe(sizes(capture('in')));
      },
    );

    test('metrics and telemetry tell what it does', async () => {
      const child = spawn(
        process.execPath,
        [
          join(packageRoot, 'experiments/cli/reframer.mjs'),
          'run',
          '--in',
          'net_pcap0',
          '--out',
          'net_pcap0',
          '--metrics',
          '127.0.0.1:0',
          '--quiet',
          '--eal',
          eal(`net_pcap0,rx_pcap=${capture('in')},tx_pcap=${capture('told')}`),
          '--interval',
          '50ms',
        ],
        { env: { ...process.env, REFRAMER_NO_SETUP: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
      );
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
        await expect
          .poll(async () => (await fetch(url)).text(), { timeout: 10_000 })
          .toContain(
            `reframer_packets_sent_total{in="net_pcap0",out="net_pcap0",queue="0"} ${packets}`,
          );
        expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
        const page = await (await fetch(url)).text();
        const lane = 'in="net_pcap0",out="net_pcap0",queue="0"';
        const bytes = sizes(capture('in')) - 24 - 16 * packets;
        for (const direction of ['in', 'out']) {
          expect(page).toContain(
            `reframer_bytes_total{${lane},direction="${direction}"} ${bytes}\n`,
          );
          expect(page).toMatch(
            new RegExp(`reframer_runs_total\\{${lane},direction="${direction}"\\} [1-9]`),
          );
        }
        expect(page).toContain('reframer_packets_missed_total{port="net_pcap0"} 0\n');
        const released = [...page.matchAll(/reframer_released_total\{.*reason="(\w+)"\} (\d+)/g)];
        expect(released.map(([, reason]) => reason).sort()).toEqual([
          'burst',
          'bypass',
          'capacity',
          'deadline',
          'drain',
          'early',
        ]);
        expect(released.reduce((sum, [, , groups]) => sum + Number(groups), 0)).toBeGreaterThan(0);
        const holds = [
          ...page.matchAll(/reframer_hold_seconds_bucket\{.*le="([^"]+)"\} (\d+)/g),
        ].map(([, le, count]) => [Number(le === '+Inf' ? Infinity : le), Number(count)] as const);
        expect(holds.at(-1)).toEqual([Infinity, packets]);
        expect(holds).toEqual([...holds].sort(([a, m], [b, n]) => a - b || m - n));
        expect(holds.every(([, count], i) => count >= (holds[i - 1]?.[1] ?? 0))).toBe(true);
        expect(page).toContain(`reframer_hold_seconds_count{${lane}} ${packets}\n`);
        expect(page).toMatch(/# TYPE reframer_hold_seconds histogram\n/);
        // Each series belongs to a metric that was announced, and no value is missing.
        for (const line of page.trim().split('\n'))
          if (!line.startsWith('#')) expect(line).toMatch(/^reframer_\w+\{[^{}]*\} -?[\d.e+-]+$/);
        for (const odd of ['//', '/%', '/metrics/..'])
          expect((await fetch(url.replace('/metrics', odd))).status).not.toBe(200);
        const outcome = await reframer(['top', '--file-prefix', prefix, '--once', '--json']);
        expect(outcome.stderr).toBe('');
        const { queues } = JSON.parse(outcome.stdout) as { queues: Record<string, number>[] };
        expect(queues).toHaveLength(1);
        expect(queues[0]).toMatchObject({
          port: 0,
          queue: 0,
          packets_in: packets,
          packets_out: packets,
          packets_held: 0,
          delay_ns: 64_000,
        });
        const people = await reframer(['top', '--file-prefix', prefix, '--once']);
        expect(people.stdout).toMatch(/^DPDK .*\n *port +queue .*\n +0 +0 /);
      } finally {
        child.kill('SIGINT');
      }
      expect(await closed).toBe(0);
    });

    test.each([
      {
        what: 'a port that is not there',
        args: ['--in', 'null7', '--out', 'null7', '--eal', eal('net_null0')],
        code: 2,
        text: "no port 'null7'",
      },
      {
        what: 'a capture that is not there, by its name',
        args: ['--in', 'net_pcap0,rx_pcap=/no/such.pcap', '--out', 'net_null0'],
        code: 2,
        text: 'net_pcap0: rx_pcap=/no/such.pcap: no such file',
      },
      {
        what: 'a capture that is not there, in the options of EAL',
        args: [
          '--in',
          'net_pcap0',
          '--out',
          'net_pcap0',
          '--eal',
          '--vdev net_pcap0,rx_pcap=/no/such.pcap',
        ],
        code: 2,
        text: 'rx_pcap=/no/such.pcap: no such file',
      },
      {
        what: 'a capture to write where there is no folder',
        args: ['--in', 'net_null0', '--out', 'net_pcap0,tx_pcap=/no/such/out.pcap'],
        code: 2,
        text: 'no folder /no/such',
      },
      {
        what: 'a delay that is none',
        args: ['--in', 'a', '--out', 'a', '--delay', 'soon'],
        code: 2,
        text: '--delay',
      },
      {
        what: 'an option that EAL does not have',
        args: ['--in', 'a', '--out', 'a', '--eal', '--no-such-option'],
        code: 3,
        text: 'EAL does not come up',
      },
      {
        what: 'metrics without a host',
        args: ['--in', 'a', '--out', 'a', '--metrics', '9464'],
        code: 2,
        text: 'HOST:PORT',
      },
    ])('refuses $what', async ({ args, code, text }) => {
      const outcome = await reframer(['run', ...args]);
      expect(outcome.stderr).toContain(text);
      expect(outcome.code).toBe(code);
    });

    test('devices without arguments are made, options of EAL come on top of the defaults, and lines tell rates', async () => {
      const { code, stdout, stderr } = await reframer([
        'run',
        '--in',
        'net_null0',
        '--out',
        'net_null1',
        '--eal',
        `--file-prefix ${prefix}-null --no-telemetry`,
        '--duration',
        '1500ms',
        '--interval',
        '200ms',
      ]);
      expect(stderr).toContain('EAL also gets --no-huge -m 512 --no-shconf');
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^in \d+\.\d{3} Mpps \d+\.\d{3} Gbps, out \d+\.\d{3} Mpps \d+\.\d{3} Gbps, \d+ drops\/s; received [\d,]+/m,
      );
      expect(stdout).toMatch(
        /held \d+\.\d µs in the median, \d+\.\d µs at most \(T is 64\.0 µs, a poll takes \d+\.\d µs\)/,
      );
      const json = await reframer([
        'run',
        '--in',
        'net_null0',
        '--out',
        'net_null1',
        '--eal',
        `--file-prefix ${prefix}-null --no-telemetry`,
        '--duration',
        '1500ms',
        '--interval',
        '200ms',
        '--json',
      ]);
      const lines = json.stdout
        .trim()
        .split('\n')
        .map(
          (line) =>
            JSON.parse(line) as { time: string; seconds?: number; rates?: Record<string, number> },
        );
      expect(lines.length).toBeGreaterThan(1);
      for (const { time } of lines) expect(new Date(time).toISOString()).toBe(time);
      expect(
        lines
          .slice(1, -1)
          .every(
            ({ seconds = 0, rates }) =>
              seconds > 0 && (rates?.['packetsIn'] ?? 0) > 0 && (rates?.['bitsIn'] ?? 0) > 0,
          ),
      ).toBe(true);
    });

    const mounts =
      process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;
    if (!mounts)
      skipSuite(
        'a full disk under a capture port was not tested: needs root, for a small file system of its own',
      );
    test.skipIf(!mounts)(
      'a disk that fills up under a capture port is told, with exit code 1',
      async () => {
        const full = folder.file('full');
        mkdirSync(full);
        const args = [
          'run',
          '--in',
          `net_pcap0,rx_pcap=${capture('in')}`,
          '--out',
          `net_pcap1,tx_pcap=${full}/out.pcap`,
          '--eal',
          eal(),
          '--idle',
          '500ms',
          '--quiet',
        ];
        const command = [
          '--mount',
          'sh',
          '-c',
          'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"',
          full,
          process.execPath,
          join(packageRoot, 'experiments/cli/reframer.mjs'),
        ];
        const { code, stdout, stderr } = await runProgram('unshare', [...command, ...args]);
        expect(stderr).toMatch(
          /full\/out\.pcap: 262,144 bytes, but its port took [\d,]+: the disk was full/,
        );
        expect(stdout).not.toContain('no packet was dropped here');
        expect(code).toBe(1);
        const json = await runProgram('unshare', [
          ...command,
          ...args.filter((arg) => arg !== '--quiet'),
          '--json',
        ]);
        expect(json.code).toBe(1);
        expect(JSON.parse(json.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
          summary: { short: [{ bytes: 262_144 }] },
        });
      },
    );

    test('top without a program says where it looked', async () => {
      const outcome = await reframer(['top', '--file-prefix', 'reframer-nobody']);
      expect(outcome.code).toBe(3);
      expect(outcome.stderr).toContain('/var/run/dpdk');
    });
  });
}
