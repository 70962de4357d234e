// `reframer balance --backend cpumap` on a veth between two namespaces of the test's own: UDP goes both
// ways through it, and the programs leave however the command ends.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { missingForCpumap, type CpumapTrial } from '../../experiments/cli/linux/cpumap.js';
import { reframerJson, runProgram, skipSuite, type Outcome } from '../helpers/cli.js';

const cli = 'experiments/cli/reframer.mjs';
const client = `reframer-cpumap-${process.pid}-c`;
const server = `reframer-cpumap-${process.pid}-s`;

const ip = (...args: string[]): { status: number | null; stdout: string } =>
  spawnSync('ip', args, { encoding: 'utf8' });

/** What a killed run left behind. */
function sweep(): void {
  for (const name of ip('netns', 'list').stdout?.match(/reframer-cpumap-\d+-[cs]/g) ?? [])
    if (!existsSync(`/proc/${name.split('-')[2]}`)) ip('netns', 'del', name);
}

const echo = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (m, from) => socket.send(m, from.port, from.address));
socket.bind(9000, '10.79.0.2', () => console.log('ready'));
`;
// Four at a time, so that no queue is ever full; ends when all have come back.
const ask = `
const dgram = require('node:dgram');
const [count, flows] = process.argv.slice(1).map(Number);
let back = 0;
for (let f = 0; f < flows; f++) {
  const socket = dgram.createSocket('udp4');
  let next = 0;
  const more = () => socket.send(String(next++), 9000, '10.79.0.2');
  socket.on('message', () => {
    if (++back === count * flows) { console.log('all back'); process.exit(0); }
    if (next < count) more();
  });
  socket.bind(0, '10.79.0.1', more);
}
setTimeout(() => { console.log('back:', back); process.exit(1); }, 30000);
`;

describe('on a veth between two namespaces', () => {
  sweep();
  if (availableParallelism() < 2) return skipSuite('cpumap was not tested: no second CPU');
  if (process.getuid?.() !== 0 || ip('netns', 'add', client).status !== 0)
    return skipSuite('cpumap was not tested: it needs root, for network namespaces');
  let echoing: ChildProcess | undefined;
  afterAll(() => {
    echoing?.kill();
    for (const name of [client, server]) ip('netns', 'del', name);
  });
  const within = (space: string, ...command: string[]): [string, string[]] => [
    'ip',
    ['netns', 'exec', space, ...command],
  ];
  beforeAll(async () => {
    ip('netns', 'add', server);
    ip('-n', client, ...'link add c0 type veth peer name s0 netns'.split(' '), server);
    for (const [space, device, address] of [
      [client, 'c0', '10.79.0.1/24'],
      [server, 's0', '10.79.0.2/24'],
    ] as const) {
      ip('-n', space, 'address', 'add', address, 'dev', device);
      ip('-n', space, 'link', 'set', device, 'up');
      // A frame that a program has redirected needs the checksum that a NIC would have filled in.
      spawnSync(...within(space, 'ethtool', '-K', device, 'tx', 'off'));
    }
    const [command, list] = within(server, process.execPath, '-e', echo);
    echoing = spawn(command, list, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => echoing?.stdout?.once('data', resolve));
  });

  const attached = (): boolean => ip('-n', server, 'link', 'show', 's0').stdout.includes('xdp');
  const until = async (is: boolean): Promise<void> => {
    for (let i = 0; i < 600 && attached() !== is; i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(attached()).toBe(is);
  };

  async function balancing(
    args: readonly string[],
    signal: NodeJS.Signals,
    during: () => Promise<void>,
  ): Promise<Outcome> {
    let stop: (signal: NodeJS.Signals) => void = () => undefined;
    const [command, list] = within(
      server,
      process.execPath,
      cli,
      ...['balance', '--backend', 'cpumap', '--interface', 's0'],
      ...args,
    );
    const outcome = runProgram(command, list, { started: (kill) => (stop = kill) });
    await until(true);
    await during();
    stop(signal);
    return outcome;
  }

  test('every packet is given to a CPU and answered', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await balancing(
      ['--cpus', '0,1', '--reta', '128', '--interval', '20ms', '--json'],
      'SIGINT',
      async () => {
        const [command, list] = within(client, process.execPath, '-e', ask, '500', '16');
        const asked = await runProgram(command, list);
        expect(asked.stdout.trim()).toBe('all back');
      },
    );
    expect(code, stderr).toBe(0);
    const lines = stdout.trim().split('\n');
    const { summary } = JSON.parse(lines.at(-1) ?? '') as {
      summary: { cores: number; entries: number; device: Record<string, number> };
    };
    expect(summary).toMatchObject({ cores: 2, entries: 128 });
    const { counted = 0, processed, dropped, passed } = summary.device;
    expect(counted).toBeGreaterThanOrEqual(8000);
    expect([processed, dropped, passed]).toEqual([counted, 0, 0]);
    await until(false);
  });

  test('people are told that the program has left', { timeout: 60_000 }, async () => {
    const { code, stdout, stderr } = await balancing([], 'SIGTERM', async () => undefined);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('the program has left the interface');
    expect(attached()).toBe(false);
  });

  test('it leaves after kill -9, too', { timeout: 60_000 }, async () => {
    await balancing([], 'SIGKILL', async () => undefined);
    await until(false);
  });

  test('an interface whose driver has no XDP: exit code 3', { timeout: 30_000 }, async () => {
    const [command, list] = within(
      server,
      process.execPath,
      cli,
      ...['balance', '--backend', 'cpumap', '--interface', 'lo'],
    );
    const { code, stderr } = await runProgram(command, list);
    expect(stderr).toMatch(/lo: no XDP program can be attached to its driver/);
    expect(code).toBe(3);
  });
});

const missing = missingForCpumap();
if (missing.length > 0) skipSuite(`bench cpumap was not tested: it needs ${missing.join(', ')}`);
test.skipIf(missing.length > 0)(
  'bench cpumap runs through, in order and without drops, and leaves nothing behind',
  { timeout: 120_000 },
  async () => {
    const { trials } = await reframerJson<{ trials: CpumapTrial[] }>([
      ...['bench', 'cpumap', '--rounds', '1', '--time', '1s', '--connections', '8', '--quiet'],
    ]);
    expect(trials.map(({ mode }) => mode)).toEqual(['plain', 'rps', 'static', 'balanced']);
    for (const trial of trials) {
      expect(trial.requestsPerSecond, trial.mode).toBeGreaterThan(0);
      expect([trial.outOfOrder, trial.dropped, trial.socketErrors]).toEqual([0, 0, 0]);
    }
    expect(ip('netns', 'list').stdout).not.toMatch(/^reframer-cpumap-bench-/m);
  },
);
