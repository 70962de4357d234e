// Which CPU each polling thread of the box and of the balancer runs on, read from the running process.
// No two share one.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { reframer, skipSuite } from '../helpers/cli.js';

interface Task {
  name: string;
  cpus: string;
  uids: string[];
  noNewPrivs: string;
}

const field = (status: string, name: string): string =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';

function tasksOf(pid: number): Task[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    return {
      name: field(status, 'Name'),
      cpus: field(status, 'Cpus_allowed_list'),
      uids: field(status, 'Uid').split(/\s+/),
      noNewPrivs: field(status, 'NoNewPrivs'),
    };
  });
}

/** The native process of a command. */
const childOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/)[0] ?? 0);

const eal = (name: string, more = ''): string =>
  `--no-huge -m 256 --no-shconf --no-telemetry --file-prefix reframer-cores-${name}-${process.pid} ${more}`;

class Command {
  stderr = '';
  private stdout = '';
  private readonly child: ChildProcess;
  readonly closed: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.child = spawn(
      process.execPath,
      [join(packageRoot, 'experiments/cli/reframer.mjs'), ...args],
      { env: { ...process.env, REFRAMER_NO_SETUP: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.closed = new Promise((resolve) => this.child.on('close', resolve));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Once it works; its threads are there then. */
  async working(): Promise<Task[]> {
    await expect.poll(() => this.stdout + this.stderr, { timeout: 30_000 }).toContain('"');
    return tasksOf(childOf(this.pid));
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    expect(await this.closed).toBe(0);
  }
}

const allowed = field(readFileSync('/proc/self/status', 'utf8'), 'Cpus_allowed_list')
  .split(',')
  .flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
const [first = 0, second = 0] = allowed;
const pollers = (tasks: readonly Task[]): Record<string, string> =>
  Object.fromEntries(
    tasks
      .filter(({ name }) => /^(poller-\d+|dispatcher)$/.test(name))
      .map(({ name, cpus }) => [name, cpus]),
  );

const built = existsSync(join(packageRoot, 'native/build/reframer-dpdk'));
if (!built || allowed.length < 2) {
  skipSuite('CPUs of polling threads were not tested: needs reframer-dpdk and two processors');
} else {
  describe('one core a poller', { timeout: 90_000 }, () => {
    const run = (name: string, options: readonly string[], more = ''): Command =>
      new Command([
        'run',
        '--in',
        'net_null0,copy=1',
        '--out',
        'net_null1',
        '--eal',
        eal(name, more),
        '--interval',
        '100ms',
        '--json',
        ...options,
      ]);

    test('run --cores 2: two CPUs', async () => {
      const box = run('two', ['--queues', '2', '--cores', '2']);
      expect(pollers(await box.working())).toEqual({
        'poller-0': String(first),
        'poller-1': String(second),
      });
      await box.stop();
    });

    test('lcores of -l are those of the pollers, one each', async () => {
      const box = run('lcores', ['--queues', '2'], `-l ${second},${first}`);
      expect(pollers(await box.working())).toEqual({
        'poller-0': String(first),
        'poller-1': String(second),
      });
      await box.stop();
      const one = run('lcore', ['--queues', '2'], `-l ${second}`);
      expect(pollers(await one.working())).toEqual({ 'poller-0': String(second) });
      await one.stop();
    });

    test('pollers are lcores of EAL; the main thread is left on no CPU of its own', async () => {
      const box = run('eal', ['--queues', '2', '--cores', '2']);
      const tasks = await box.working();
      // EAL's own workers are the pollers: none waits idle beside them.
      expect(tasks.filter(({ name }) => /^(rte-worker|lcore-worker)/.test(name))).toEqual([]);
      const main = tasks.find(({ name }) => name === 'reframer-dpdk');
      expect(main?.cpus).toBe(
        field(readFileSync('/proc/self/status', 'utf8'), 'Cpus_allowed_list'),
      );
      await box.stop();
    });

    test('what the ports granted is said, and what they cannot is one line', async () => {
      const box = run('grant', ['--mtu', '1400']);
      await box.working();
      expect(box.stderr).toMatch(
        /net_null0 \(net_null[^)]*\): 1 receive queue of \d+, 1 send queue of \d+; .*MTU 1400/,
      );
      await box.stop();
      const refused = async (options: readonly string[], words: RegExp): Promise<void> => {
        const { code, stderr } = await reframer([
          'run',
          '--in',
          'net_null0',
          '--out',
          'net_null1',
          '--eal',
          eal('refused'),
          '--quiet',
          ...options,
        ]);
        expect(stderr.trim().split('\n').at(-1)).toMatch(words);
        expect([2, 3]).toContain(code);
      };
      await refused(['--reta-size', '64'], /net_null0 has a table of \d+ entries/);
      await refused(['--offloads', 'timestamp'], /net_null0 has no offload timestamp; it offers/);
      await refused(['--offloads', 'lro'], /--offloads does not know 'lro'/);
      await refused(['--hash-fields', 'gtp'], /--hash-fields does not know 'gtp'/);
      await refused(['--rss-key', 'abc'], /--rss-key is microsoft, symmetric/);
      await refused(['--rss-key', 'abcd'], /net_null0 does not hash, so it takes no key/);
      await refused(['--balance', 'reta', '--queues', '2', '--cores', '2'], /does not steer by it/);
      await refused(['--chain', 'nat'], /--nat-address is missing/);
      await refused(['--autoscale'], /goes with --balance/);
    });

    test('cores that no queue keeps busy are warned of', async () => {
      const box = run('queues', ['--queues', '1', '--cores', '2']);
      expect(pollers(await box.working())).toEqual({ 'poller-0': String(first) });
      expect(box.stderr).toContain('1 receive queue keeps one core busy');
      await box.stop();
    });

    test.each([
      [
        'run',
        [
          'run',
          '--in',
          'net_null0',
          '--out',
          'net_null1',
          '--queues',
          '64',
          '--cores',
          String(allowed.length + 1),
          '--eal',
          eal('many'),
        ],
        `this process may use ${allowed.length} CPUs`,
      ],
      [
        'run, lcores given',
        [
          'run',
          '--in',
          'net_null0',
          '--out',
          'net_null1',
          '--queues',
          '2',
          '--cores',
          '2',
          '--eal',
          eal('few', `-l ${second}`),
        ],
        'EAL was given 1 lcores',
      ],
      [
        'balance',
        [
          'balance',
          '--backend',
          'dpdk',
          '--port',
          'net_null0',
          '--cores',
          String(allowed.length + 1),
          '--eal',
          eal('balances', '--vdev=net_null0'),
        ],
        `this process may use ${allowed.length} CPUs`,
      ],
    ] as const)('%s: more cores than CPUs are refused', async (_, args, words) => {
      const { code, stderr } = await reframer(args);
      expect(stderr).toContain(words);
      expect(code).toBe(2);
    });

    test('balance: each core a CPU; a dispatcher without one of its own is told', async () => {
      const balance = (name: string, table: string): Command =>
        new Command([
          'balance',
          '--backend',
          'dpdk',
          '--port',
          'net_null0',
          '--table',
          table,
          '--eal',
          eal(name, '--vdev=net_null0,copy=1'),
          '--cores',
          '2',
          '--work',
          '100',
          '--json',
        ]);
      const reta = balance('reta', 'reta');
      expect(pollers(await reta.working())).toEqual({
        'poller-0': String(first),
        'poller-1': String(second),
      });
      await reta.stop();
      const software = balance('software', 'software');
      const third = allowed[2] ?? second;
      await expect
        .poll(() => (childOf(software.pid) > 0 ? pollers(tasksOf(childOf(software.pid))) : {}), {
          timeout: 30_000,
        })
        .toEqual({
          'poller-0': String(first),
          'poller-1': String(second),
          dispatcher: String(third),
        });
      if (allowed.length === 2)
        expect(software.stderr).toContain('the dispatching core shares CPU');
      await software.working();
      await software.stop();
    });

    const root = process.getuid?.() === 0;
    if (!root) skipSuite('that no side stays root was not tested: needs root');
    test.skipIf(!root)(
      'neither side is root once it works, and no thread may gain rights',
      async () => {
        const box = run('nobody', ['--metrics', '127.0.0.1:0']);
        const tasks = await box.working();
        expect(tasks.length).toBeGreaterThan(2);
        for (const { name, noNewPrivs, uids } of tasks)
          expect([name, noNewPrivs, uids.includes('0')]).toEqual([name, '1', false]);
        for (const { name, uids } of tasksOf(box.pid))
          expect([name, uids.includes('0')]).toEqual([name, false]);
        const status = readFileSync(`/proc/${box.pid}/status`, 'utf8');
        expect(field(status, 'CapEff')).toMatch(/^0+$/);
        expect(field(status, 'Groups').trim()).toBe('');
        expect(field(status, 'Gid').split(/\s+/)).not.toContain('0');
        await box.stop();
      },
    );
  });
}
