// `reframer run --claim --deny` over AF_XDP, between namespaces of the test's own: the box takes what it
// claims, the kernel keeps the rest, what is denied reaches neither.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { reframer, runProgram, skipSuite, temporaryFolder } from '../helpers/cli.js';

const ip = (...args: string[]): { status: number | null; stdout: string } =>
  spawnSync('ip', args, { encoding: 'utf8' });
const space = (which: string): string => `reframer-guard-${process.pid}-${which}`;
const [client, box, server] = [space('c'), space('b'), space('s')];

/** What a killed run left behind. */
function sweep(): void {
  for (const name of ip('netns', 'list').stdout?.match(/reframer-guard-\d+-[cbs]/g) ?? [])
    if (!existsSync(`/proc/${name.split('-')[2]}`)) ip('netns', 'del', name);
}

const within = (name: string, ...command: string[]): [string, string[]] => [
  'ip',
  ['netns', 'exec', name, ...command],
];

// Answers on TCP with what it gets, on UDP likewise.
const echoes = `
const net = require('node:net');
const udp = require('node:dgram').createSocket('udp4');
const [address, ...ports] = process.argv.slice(1);
udp.on('message', (m, from) => udp.send(m, from.port, from.address));
udp.bind(9000, address, () => console.log('ready'));
for (const port of ports) net.createServer((s) => s.pipe(s)).listen(Number(port), address);
`;
// One exchange, or none within so many ms.
const exchange = `
const [kind, address, port, bytes, from, patience] = process.argv.slice(1);
const text = 'x'.repeat(Number(bytes));
const give = (got) => { console.log(got === text ? 'same' : 'other'); process.exit(0); };
setTimeout(() => { console.log('nothing'); process.exit(0); }, Number(patience));
if (kind === 'udp') {
  const s = require('node:dgram').createSocket('udp4');
  s.on('message', (m) => give(String(m)));
  s.bind(0, from, () => s.send(text, Number(port), address));
} else {
  let got = '';
  const s = require('node:net').connect({ port: Number(port), host: address, localAddress: from });
  s.setEncoding('utf8').on('data', (part) => { got += part; if (got.length >= text.length) give(got); });
  s.on('error', (e) => { console.log(e.code); process.exit(0); });
  s.write(text);
}
`;

describe('AF_XDP that takes only what it claims', { timeout: 120_000 }, () => {
  sweep();
  if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk')))
    return skipSuite('claims were not tested: reframer-dpdk was not built');
  if (process.getuid?.() !== 0 || ip('netns', 'add', client).status !== 0)
    return skipSuite('claims were not tested: they need root, for network namespaces');
  const folder = temporaryFolder();
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    for (const name of [client, box, server]) ip('netns', 'del', name);
    folder.remove();
  });

  /** A program that prints a line when it is ready. */
  const started = async (name: string, ...command: string[]): Promise<void> => {
    const [program, args] = within(name, ...command);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  };
  beforeAll(async () => {
    for (const name of [box, server]) ip('netns', 'add', name);
    for (const [inner, outer, name] of [
      ['b0', 'c0', client],
      ['b1', 's0', server],
    ] as const) {
      ip('-n', box, 'link', 'add', inner, 'type', 'veth', 'peer', 'name', outer, 'netns', name);
      ip('-n', box, 'link', 'set', inner, 'up');
      ip('-n', name, 'link', 'set', outer, 'up');
      // Frames pass through user space: each is one segment with its checksum.
      const off = ['tso', 'off', 'gso', 'off', 'tx', 'off'];
      spawnSync(...within(name, 'ethtool', '-K', outer, ...off));
      spawnSync(...within(box, 'ethtool', '-K', inner, 'tx', 'off'));
    }
    // The server is behind the box on the same link; the box's own address answers on it, too.
    ip('-n', client, 'address', 'add', '10.80.0.1/24', 'dev', 'c0');
    ip('-n', client, 'address', 'add', '10.80.0.66/24', 'dev', 'c0');
    ip('-n', box, 'address', 'add', '10.80.0.254/24', 'dev', 'b0');
    ip('-n', server, 'address', 'add', '10.80.0.2/24', 'dev', 's0');
    // Only what is claimed reaches the server: neighbours are told, not asked for.
    const mac = (name: string, device: string): string =>
      (
        JSON.parse(ip('-n', name, '-json', 'link', 'show', device).stdout) as { address: string }[]
      )[0]?.address ?? '';
    const neighbour = (name: string, device: string, address: string, of: string): void => {
      ip('-n', name, 'neighbour', 'replace', address, 'lladdr', of, 'dev', device);
    };
    neighbour(client, 'c0', '10.80.0.2', mac(server, 's0'));
    for (const address of ['10.80.0.1', '10.80.0.66'])
      neighbour(server, 's0', address, mac(client, 'c0'));
    await started(server, process.execPath, '-e', echoes, '10.80.0.2', '80', '81');
    await started(box, process.execPath, '-e', echoes, '10.80.0.254', '22');
  });

  const exchanged = async (
    kind: 'tcp' | 'udp',
    address: string,
    port: number,
    { from = '10.80.0.1', bytes = 100, patience = 20_000 } = {},
  ): Promise<string> => {
    const [program, args] = within(
      client,
      ...[process.execPath, '-e', exchange, kind, address, String(port)],
      ...[String(bytes), from, String(patience)],
    );
    return (await runProgram(program, args)).stdout.trim();
  };
  type Exchange = Parameters<typeof exchanged>;
  /** At once. */
  const answered = async (...all: Exchange[]): Promise<void> =>
    expect(await Promise.all(all.map((one) => exchanged(...one)))).toEqual(all.map(() => 'same'));
  const silent = async (...all: Exchange[]): Promise<void> => {
    const got = await Promise.all(
      all.map(([kind, address, port, options]) =>
        exchanged(kind, address, port, { ...options, patience: 1000 }),
      ),
    );
    expect(got).not.toContain('same');
  };
  const ssh: Exchange = ['tcp', '10.80.0.254', 22];
  const dns: Exchange = ['udp', '10.80.0.254', 9000];
  const web: Exchange = ['tcp', '10.80.0.2', 80, { bytes: 100_000 }];
  /** The kernel answers for the box: SSH's port, UDP, and ARP, asked anew. */
  const forgetBox = (): void => {
    ip('-n', client, 'neighbour', 'del', '10.80.0.254', 'dev', 'c0');
  };
  const attached = (device = 'b0'): boolean =>
    ip('-n', box, 'link', 'show', device).stdout.includes('xdp');

  interface Guards {
    claimed: number;
    passed: number;
    deniedSource: number;
    deniedPort: number;
  }
  interface Running {
    stderr: () => string;
    end: (signal: NodeJS.Signals) => Promise<{ code: number | null; guards: Guards[] }>;
  }
  let running: Running | undefined;
  afterEach(async () => {
    await running?.end('SIGKILL');
    running = undefined;
  });

  async function run(...args: string[]): Promise<Running> {
    const [program, list] = within(
      box,
      process.execPath,
      'experiments/cli/reframer.mjs',
      'run',
      ...['--in', 'af_xdp:b0', '--out', 'af_xdp:b1', '--both-ways'],
      ...['--json', '--interval', '100ms', '--eal', '--no-huge -m 128 --log-level=error'],
      ...args,
    );
    const child = spawn(program, list, {
      cwd: packageRoot,
      env: { ...process.env, REFRAMER_NO_SETUP: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let stdout = '';
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const code = new Promise<number | null>((resolve) => child.on('close', resolve));
    await Promise.race([
      code,
      new Promise<void>((resolve) =>
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          stdout += text;
          resolve();
        }),
      ),
    ]);
    running = {
      stderr: () => stderr,
      end: async (signal) => {
        if (child.exitCode === null) child.kill(signal);
        const ended = await code;
        running = undefined;
        const line = stdout.trim().split('\n').at(-1) ?? '';
        const { summary } = (signal === 'SIGKILL' ? {} : JSON.parse(line)) as {
          summary?: { guards: Guards[] };
        };
        return { code: ended, guards: summary?.guards ?? [] };
      },
    };
    if (stdout === '') throw new Error(`the box did not start: ${stderr}`);
    return running;
  }

  test('claims go through the box, the kernel keeps the rest, rules change', async () => {
    const file = folder.file('deny');
    chmodSync(folder.path, 0o755); // the box reads it as nobody
    /** At once: a box that looks meanwhile must not see half of it. */
    const deny = (text: string): void => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    };
    deny('# nobody yet\n');
    await Promise.all([answered(ssh, dns), silent(web)]);
    const box = await run('--claim', 'tcp port 80', '--deny-file', file);
    forgetBox();
    const other = { from: '10.80.0.66' };
    await Promise.all([
      answered(ssh, dns, web, ['tcp', '10.80.0.2', 80, other]),
      silent(['tcp', '10.80.0.2', 81], ['udp', '10.80.0.2', 9000]), // not claimed, not forwarded
    ]);
    deny('10.80.0.66   # that one\nudp port 9000\n');
    await expect.poll(() => box.stderr(), { timeout: 20_000 }).toContain('4 rules in force');
    await Promise.all([answered(web, ssh), silent(dns, ['tcp', '10.80.0.254', 22, other])]);
    deny('nonsense\n');
    await expect.poll(() => box.stderr(), { timeout: 20_000 }).toContain('the former rules stay');
    await silent(dns);
    deny('');
    await expect.poll(() => box.stderr(), { timeout: 20_000 }).toContain('2 rules in force');
    forgetBox();
    await answered(ssh, dns);
    const { code, guards } = await box.end('SIGTERM');
    expect(code).toBe(0);
    const [inside, outside] = guards;
    expect(inside?.claimed).toBeGreaterThan(70);
    expect(outside?.claimed).toBeGreaterThan(70);
    expect(inside?.deniedSource).toBeGreaterThan(0);
    expect(inside?.deniedPort).toBeGreaterThanOrEqual(2);
    expect(inside?.passed).toBeGreaterThan(0);
    expect(attached()).toBe(false);
    await answered(ssh);
  });

  test('after kill -9 the guard is gone, and the next start works', async () => {
    const first = await run('--claim', 'tcp port 80');
    expect([attached(), attached('b1')]).toEqual([true, true]);
    // The box itself is killed; its command line must not keep anything either.
    for (const pid of ip('netns', 'pids', box).stdout.trim().split('\n'))
      if (existsSync(`/proc/${pid}/comm`) && !children.some((child) => String(child.pid) === pid)) {
        const name = spawnSync('cat', [`/proc/${pid}/comm`], { encoding: 'utf8' }).stdout;
        if (name.startsWith('reframer-dpdk')) process.kill(Number(pid), 'SIGKILL');
      }
    await first.end('SIGKILL');
    await expect.poll(() => attached() || attached('b1'), { timeout: 20_000 }).toBe(false);
    await answered(ssh);
    const second = await run('--claim', 'tcp port 80');
    await answered(web);
    expect((await second.end('SIGINT')).code).toBe(0);
  });
});

test('rules that are none, and ports without XDP, are refused by name', async () => {
  for (const [args, words] of [
    [['--in', 'net_null0', '--claim', 'tcp port 80'], /--claim and --deny need --in af_xdp/],
    [['--in', 'af_xdp:no-such', '--deny-file', '/no/such'], /--deny-file \/no\/such: no such file/],
  ] as const) {
    const { code, stderr } = await reframer(['run', '--out', 'net_null1', ...args]);
    expect(stderr).toMatch(words);
    expect(code).toBe(2);
  }
});
