// `reframer watch`: what it counts is what `analyze` says of the same packets; it leaves with its process.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { localityOf, type Locality, type Sample } from '../../experiments/cli/watch/sample.js';
import { Trigger } from '../../experiments/cli/watch/trigger.js';
import { verdictOf } from '../../experiments/cli/watch/verdict.js';
import {
  reframer,
  reframerJson,
  runProgram,
  skipSuite,
  temporaryFolder,
  type Outcome,
} from '../helpers/cli.js';

const quiet = { tcp: 0, udp: 0, icmp: 0, other: 0, notIp: 0, syn: 0, synAck: 0, fin: 0, rst: 0 };
const seen = (change: Partial<Locality>): Locality => ({
  seconds: 1,
  packets: 1000,
  bytes: 1e6,
  packetsPerSecond: 1000,
  bitsPerSecond: 8e6,
  flows: 10,
  perSecond: quiet,
  ...change,
});

describe('triggers', () => {
  test('come on after the time, once, and go off by their own rule', () => {
    const trigger = new Trigger('pps > 100k and slf < 1.5 for 3s until pps < 50k for 2s');
    const fast = seen({ packetsPerSecond: 150_000, slf: 1.2 });
    const middle = seen({ packetsPerSecond: 70_000, slf: 3 });
    const slow = seen({ packetsPerSecond: 10_000, slf: 3 });
    const run = (...all: Locality[]): (string | undefined)[] =>
      all.map((locality) => trigger.update(locality));
    expect(run(fast, fast, middle, fast, fast, fast)).toEqual([
      ...new Array<undefined>(5).fill(undefined),
      'on',
    ]);
    expect(run(fast, middle, middle, slow, middle, slow, slow, slow)).toEqual([
      ...new Array<undefined>(6).fill(undefined),
      'off',
      undefined,
    ]);
  });

  test('without until they go off when the first rule fails for as long', () => {
    const trigger = new Trigger('syn >= 1k for 2s');
    const flood = seen({ perSecond: { ...quiet, syn: 1000 } });
    expect(
      [flood, flood, seen({}), flood, seen({}), seen({})].map((l) => trigger.update(l)),
    ).toEqual([undefined, 'on', undefined, undefined, undefined, 'off']);
  });

  test('without packets no bound on locality holds', () => {
    expect(new Trigger('slf < 100').update(seen({ packets: 0 }))).toBeUndefined();
  });

  test('what is no rule is refused with its place', () => {
    for (const text of [
      '',
      'pps',
      'pps > ',
      'speed > 1',
      'pps > 1 for',
      'pps > 1 until x < 2',
      'pps > 1 for 1s for 2s',
    ])
      expect(() => new Trigger(text), text).toThrow(/--when|'/);
  });
});

test('the verdict names the least T that gives nearly all, or none', () => {
  const held = (a: number, b: number, c: number): Partial<Locality> => ({
    slf: 1,
    slfHeld: { '16': a, '64': b, '128': c },
  });
  expect(verdictOf(seen(held(1.2, 1.9, 2.0))).at(-1)).toContain('T = 64 µs');
  expect(verdictOf(seen(held(1, 1.05, 1.1))).at(-1)).toContain('Hold nothing');
  expect(verdictOf(seen({ packets: 0 }))).toEqual(['No packet came: nothing can be said.']);
});

test('an interval counts what came since the look before', () => {
  const sample = (packets: number, runs: number): Sample => ({
    ...quiet,
    packets,
    bytes: 100 * packets,
    runs,
    reused: { '4': 0, '16': 0, '64': packets },
    heldRuns: { '16': runs, '64': runs / 2, '128': runs / 4 },
    buckets: [packets, 0],
    flows: 9,
    flowsSince: 4,
    runNs: 0,
    runCount: 0,
  });
  const locality = localityOf(sample(3000, 1500), sample(1000, 500), 2);
  expect(locality).toMatchObject({ packets: 2000, packetsPerSecond: 1000, slf: 2, flows: 4 });
  expect(locality.slfHeld).toEqual({ '16': 2, '64': 4, '128': 8 });
  expect(locality.heaviestBucket).toBe(1);
});

test('--run without --when, and a wrong interface, are refused', async () => {
  const { code, stderr } = await reframer(['watch', '--interface', 'lo', '--run', 'true']);
  expect(code).toBe(2);
  expect(stderr).toContain('--when');
  const none = await reframer(['watch', '--interface', 'no-such-one', '--duration', '1s']);
  // 3: this user may load no XDP program.
  expect([2, 3]).toContain(none.code);
  expect(none.stderr).toContain('no-such-one');
});

describe('on a veth', () => {
  const space = `reframer-watch-${process.pid}`;
  const ip = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync('ip', args, { encoding: 'utf8' });
  // What a killed run left behind.
  for (const name of ip('netns', 'list').stdout?.match(/reframer-watch-\d+/g) ?? [])
    if (!existsSync(`/proc/${name.split('-').at(-1)}`)) ip('netns', 'del', name);
  if (process.getuid?.() !== 0 || ip('netns', 'add', space).status !== 0)
    return skipSuite('watch on a veth needs root, for a network namespace');
  const within = (program: string, ...args: string[]): [string, string[]] => [
    'ip',
    ['netns', 'exec', space, program, ...args],
  ];
  const cli = 'experiments/cli/reframer.mjs';
  const folder = temporaryFolder();
  afterAll(() => {
    ip('netns', 'del', space);
    folder.remove();
  });
  beforeAll(() => {
    // Nothing of the kernel's own must come between.
    const file = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
    spawnSync(...within('sh', '-c', `[ ! -e ${file} ] || echo 1 > ${file}`));
    ip('-n', space, 'link', 'add', 'w0', 'type', 'veth', 'peer', 'name', 'w1');
    for (const end of ['w0', 'w1']) {
      ip('-n', space, 'link', 'set', end, 'arp', 'off');
      ip('-n', space, 'link', 'set', end, 'up');
    }
  });
  const attached = (): boolean => ip('-n', space, 'link', 'show', 'w1').stdout.includes('xdp');

  /** Runs `watch` on w1, and `during` once it counts. */
  async function watching(
    args: readonly string[],
    signal: NodeJS.Signals,
    during: () => Promise<void>,
  ): Promise<Outcome> {
    let stop: (signal: NodeJS.Signals) => void = () => undefined;
    const [command, list] = within(process.execPath, cli, 'watch', '--interface', 'w1', ...args);
    const outcome = runProgram(command, list, { started: (kill) => (stop = kill) });
    for (let i = 0; i < 600 && !attached(); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await during();
    stop(signal);
    return outcome;
  }

  const send = async (file: string): Promise<void> => {
    const [command, list] = within(
      process.execPath,
      cli,
      'run',
      '--in',
      `net_pcap0,rx_pcap=${file}`,
      '--out',
      'net_af_packet0,iface=w0',
      '--no-reframe',
      '--idle',
      '300ms',
      '--quiet',
    );
    const { code, stderr } = await runProgram(command, list);
    expect(code, stderr).toBe(0);
  };

  test('counts and SLF are those of analyze, flows nearly', { timeout: 180_000 }, async () => {
    const file = folder.file('campus.pcap');
    const made = await reframer(['generate', file, '--packets', '20k', '--seed', '5', '--quiet']);
    expect(made.code, made.stderr).toBe(0);
    const { files } = await reframerJson<{
      files: {
        packets: number;
        bytes: number;
        slf: number;
        flows: number;
        protocols: { tcp: number };
      }[];
    }>(['analyze', file, '--quiet']);
    const [analysis] = files;
    if (analysis === undefined) throw new Error('no analysis');
    const { code, stdout, stderr } = await watching(
      ['--json', '--interval', '100ms'],
      'SIGINT',
      () => send(file),
    );
    expect(code, stderr).toBe(0);
    const { summary } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      summary: { counts: Sample; nsPerPacket: number; verdict: string[] };
    };
    expect(summary.counts.packets).toBe(analysis.packets);
    expect(summary.counts.bytes).toBe(analysis.bytes);
    expect(summary.counts.packets / summary.counts.runs).toBeCloseTo(analysis.slf, 9);
    expect(summary.counts.tcp / summary.counts.packets).toBeCloseTo(analysis.protocols.tcp, 9);
    expect(Math.abs(summary.counts.flows / analysis.flows - 1)).toBeLessThan(0.07);
    expect(summary.counts.buckets.reduce((sum, count) => sum + count)).toBe(analysis.packets);
    expect(summary.nsPerPacket).toBeGreaterThan(0);
    expect(summary.verdict.length).toBeGreaterThan(1);
    expect(attached()).toBe(false);
  });

  test('a trigger runs its command, and ends it', { timeout: 180_000 }, async () => {
    const file = folder.file('few.pcap');
    await reframer(['generate', file, '--packets', '2k', '--seed', '6', '--quiet']);
    const { code, stderr } = await watching(
      ['--quiet', '--interval', '50ms', '--when', 'pps > 1', '--run', 'echo begun >&2; sleep 1000'],
      'SIGTERM',
      () => send(file),
    );
    expect(code).toBe(0);
    expect(stderr).toContain('begun');
    expect(stderr.match(/--when went on/g)).toHaveLength(1);
    expect(stderr).toContain('--when went off');
  });

  test('the program is gone after kill -9', { timeout: 60_000 }, async () => {
    await watching([], 'SIGKILL', async () => expect(attached()).toBe(true));
    for (let i = 0; i < 200 && attached(); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(attached()).toBe(false);
  });
});
