// Faults of the box: killed at any moment, more packets than buffers, its owner killed; and that it is
// not root while it forwards.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { seededRandom } from '../../experiments/core/random.js';
import { dpdkProgram, locate, packageRoot } from '../../native/loader.js';
import { reframer, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { seed } from '../helpers/seed.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const packets = 5000;
const input = folder.file('in.pcap');
const prefix = `reframer-faults-${process.pid}`;
const eal = ['--no-huge', '-m', '256', '--no-shconf', '--file-prefix', prefix];

// REFRAMER_KILLS=100 npx vitest run test/dpdk/faults.test.ts
const kills = Number(process.env.REFRAMER_KILLS ?? 2);

interface Counters {
  lanes: { received: number; sent: number; held: number; txWaits: number }[];
  missed: number;
  noBuffer: number;
  lost?: number;
}

class Box {
  readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  readonly closed: Promise<number | null>;

  constructor(output: string, spec: object = {}) {
    this.child = spawn(locate(dpdkProgram), ['forward', '-'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.child.stdin?.on('error', () => undefined);
    if (this.child.stdout === null) throw new Error('no output');
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.closed = new Promise((resolve) => this.child.on('close', resolve));
    this.write({
      eal: [...eal, `--vdev=net_pcap0,rx_pcap=${input},tx_pcap=${output}`],
      in: 'net_pcap0',
      out: 'net_pcap0',
      maxPackets: 4096,
      ...spec,
    });
  }

  write(line: object): void {
    this.child.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  async next(): Promise<Record<string, unknown>> {
    const { value, done } = (await this.lines.next()) as IteratorResult<string, undefined>;
    if (done === true) throw new Error('it ended');
    return JSON.parse(value) as Record<string, unknown>;
  }

  async sample(): Promise<Counters> {
    this.write({ do: 'sample' });
    return (await this.next()) as unknown as Counters;
  }

  /** Once it has seen as many packets as the capture has, forwarded or not. */
  async allSeen(): Promise<void> {
    await expect
      .poll(
        async () => {
          const { lanes, missed } = await this.sample();
          return (lanes[0]?.received ?? 0) + missed;
        },
        { timeout: 20_000, interval: 20 },
      )
      .toBe(packets);
  }

  async stop(): Promise<Counters> {
    this.write({ do: 'stop' });
    const { summary } = await this.next();
    expect(await this.closed).toBe(0);
    return summary as Counters;
  }
}

/** Whole records of a capture, as hex; what is torn at the end is left out. */
function frames(file: string): string[] {
  const bytes = readFileSync(file);
  const found: string[] = [];
  for (let at = 24; at + 16 <= bytes.length;) {
    const captured = bytes.readUInt32LE(at + 8);
    if (at + 16 + captured > bytes.length) break;
    found.push(bytes.toString('hex', at + 16, at + 16 + captured));
    at += 16 + captured;
  }
  return found;
}

const tasks = (pid: number, field: string): string[] =>
  readdirSync(`/proc/${pid}/task`).map(
    (task) =>
      new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(
        readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'),
      )?.[1] ?? '',
  );

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite(
    'reframer-dpdk was not built (libdpdk-dev is missing): faults of the box were not tested',
  );
} else {
  describe('faults of the box', { timeout: 900_000 }, () => {
    beforeAll(async () => {
      expect(
        (
          await reframer([
            'generate',
            input,
            '--packets',
            String(packets),
            '--seed',
            '4',
            '--quiet',
          ])
        ).code,
      ).toBe(0);
    });

    test(`kill -9 at ${kills} random points: the output is readable up to there, and the next start works`, async () => {
      const random = seededRandom(seed);
      const sent = new Map<string, number>();
      for (const frame of frames(input)) sent.set(frame, (sent.get(frame) ?? 0) + 1);
      const bytes = statSync(input).size;
      const output = folder.file('killed.pcap');
      for (let i = 0; i < kills; i++) {
        const box = new Box(output, { delayNs: Math.floor(random() * 1e6) });
        // Anywhere: before the ports are open, while it forwards, when all is through.
        const size = Math.floor(random() * 1.1 * bytes) - 0.05 * bytes;
        const deadline = Date.now() + 300 + random() * 300;
        while (Date.now() < deadline && !(existsSync(output) && statSync(output).size > size))
          await new Promise((resolve) => setTimeout(resolve, 1));
        box.child.kill('SIGKILL');
        expect(await box.closed).toBe(null);
        if (!existsSync(output) || statSync(output).size < 24) continue;
        const left = new Map(sent);
        for (const frame of frames(output)) {
          const n = left.get(frame) ?? 0;
          expect(n).toBeGreaterThan(0); // nothing that was not sent, and not oftener
          left.set(frame, n - 1);
        }
        const whole = frames(output).length;
        if (i > 0 || whole === 0) continue;
        const { stdout, stderr } = await reframer(['analyze', output, '--keep-going', '--json']);
        expect(stderr).not.toMatch(/\bat .*\.js:\d+/);
        expect((JSON.parse(stdout) as { files: { packets: number }[] }).files[0]?.packets).toBe(
          whole,
        );
      }
      const box = new Box(output);
      expect(await box.next()).toHaveProperty('ready');
      await box.allSeen();
      expect(await box.stop()).toMatchObject({
        lanes: [{ received: packets, sent: packets, held: 0 }],
        missed: 0,
        lost: 0,
      });
      expect(statSync(output).size).toBe(bytes);
      expect(frames(output).sort()).toEqual(frames(input).sort());
    });

    test('kill -9 beside another of its file prefix: `top` asks the one that lives', async () => {
      const dead = new Box(folder.file('dead.pcap'));
      expect(await dead.next()).toHaveProperty('ready');
      const living = new Box(folder.file('living.pcap'));
      expect(await living.next()).toHaveProperty('ready');
      dead.child.kill('SIGKILL');
      await dead.closed;
      await living.allSeen();
      const { code, stdout } = await reframer(['top', '--file-prefix', prefix, '--once', '--json']);
      await living.stop();
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ queues: [{ packets_in: packets }] });
    });

    test('kill -9 of its owner: it drains and ends by itself', async () => {
      const output = folder.file('orphan.pcap');
      const box = new Box(output, { delayNs: 1e9, maxPackets: 16384 });
      expect(await box.next()).toHaveProperty('ready');
      await box.allSeen();
      box.child.stdin?.end(); // what the kernel does to the pipe of a killed owner
      expect(await box.next()).toMatchObject({
        summary: { lanes: [{ sent: packets, held: 0 }], lost: 0 },
      });
      expect(await box.closed).toBe(0);
      expect(statSync(output).size).toBe(statSync(input).size);
    });

    test('more packets than buffers: no crash, each is forwarded or counted as missed', async () => {
      const output = folder.file('starved.pcap');
      const box = new Box(output, { buffers: 64, delayNs: 1e9 });
      expect(await box.next()).toHaveProperty('ready');
      await box.allSeen();
      const { lanes, missed, noBuffer, lost } = await box.stop();
      // The loop asks for no more than it has room for; what it leaves in the port, a capture keeps.
      expect(missed).toBe(noBuffer);
      expect(lanes[0]).toMatchObject({
        received: packets - missed,
        sent: packets - missed,
        held: 0,
      });
      expect(lost).toBe(0);
      expect(frames(output)).toHaveLength(packets - missed);
    });

    test('a pool that holds alone would use up: half of it is held at most, nothing is missed', async () => {
      const box = new Box(folder.file('small.pcap'), {
        buffers: 512,
        delayNs: 1e9,
        maxPackets: 16384,
      });
      expect(await box.next()).toHaveProperty('ready');
      await box.allSeen();
      const { lanes } = await box.sample();
      expect(lanes[0]?.held).toBeLessThanOrEqual(256);
      expect(await box.stop()).toMatchObject({
        lanes: [{ received: packets, sent: packets, held: 0 }],
        missed: 0,
        lost: 0,
      });
    });

    test('a balancer is told what it must know, and ends, while its port takes nothing', async () => {
      const box = new Box('', {
        eal: [...eal, `--vdev=net_pcap0,rx_pcap=${input},tx_pcap=/dev/null`, '--vdev=net_ring0'],
        out: 'net_ring0', // which nobody reads
        reframe: false,
        balancer: { service: '192.0.2.1', clientMac: '02:00:00:00:00:01' },
      });
      onTestFinished(() => void box.child.kill('SIGKILL'));
      expect(await box.next()).toHaveProperty('ready');
      await expect
        .poll(async () => (await box.sample()).lanes[0]?.txWaits, { timeout: 20_000 })
        .toBeGreaterThan(0);
      const server = { do: 'add', address: '10.0.0.1', mac: '02:00:00:00:00:02' };
      box.write({ do: 'balancer', command: server });
      expect(await box.next()).toEqual({ balanced: { id: 0 } });
      box.child.kill('SIGTERM');
      const { summary } = await box.next();
      const { lanes, lost } = summary as Counters;
      expect(lost).toBeGreaterThan(0);
      expect((lanes[0]?.sent ?? 0) + (lost ?? 0)).toBe(lanes[0]?.received);
      expect(await box.closed).toBe(0);
    }, 60_000);

    test('too few buffers for DPDK: one message that says what to do', async () => {
      const { code, stdout, stderr } = await reframer([
        'run',
        '--in',
        'net_null0',
        '--out',
        'net_null0',
        '--buffers',
        '100M',
        '--eal',
        [...eal, '--vdev=net_null0'].join(' '),
      ]);
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/no memory for \d+ packet buffers.*-m/);
    });

    const root = process.getuid?.() === 0;
    if (!root) skipSuite('not root: that the box gives root up was not tested');
    test.skipIf(!root)(
      'no thread is root while it forwards, and it forwards all the same',
      async () => {
        const output = folder.file('nobody.pcap');
        const box = new Box(output);
        expect(await box.next()).toHaveProperty('ready');
        const pid = box.child.pid ?? 0;
        for (const field of ['Uid', 'Gid'])
          for (const ids of tasks(pid, field)) expect(ids.split(/\s+/)).not.toContain('0');
        for (const groups of tasks(pid, 'Groups')) expect(groups.trim()).toBe('');
        for (const capabilities of tasks(pid, 'CapEff'))
          expect(Number(`0x${capabilities}`)).toBe(0);
        await box.allSeen();
        expect(await box.stop()).toMatchObject({
          lanes: [{ received: packets, sent: packets }],
          lost: 0,
        });
        expect(statSync(output).size).toBe(statSync(input).size);
        const nobody = await reframer([
          'run',
          '--in',
          'net_null0',
          '--out',
          'net_null0',
          '--user',
          'no-such-user',
          '--eal',
          [...eal, '--vdev=net_null0'].join(' '),
        ]);
        expect(nobody.code).toBe(2);
        expect(nobody.stderr).toContain('no-such-user');
      },
    );
  });
}
