// `reframer run` on ports that lead elsewhere: memif and vhost to a second process; tap, af_packet and
// af_xdp to kernels that talk TCP through the box.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../../native/loader.js';
import { reframer, runProgram, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { framesOf } from '../helpers/frames.js';

interface Lane {
  in: string;
  out: string;
  received: number;
  sent: number;
  held: number;
  slfIn: number;
  slfOut: number;
}

interface Line {
  lanes?: Lane[];
  summary?: { lanes: Lane[]; lost: number };
}

const folder = temporaryFolder();
afterAll(() => folder.remove());

/** `reframer run` in the background; `lines` grows by one a look at its counters. */
class Box {
  readonly lines: Line[] = [];
  stderr = '';
  readonly closed: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(name: string, args: readonly string[], within: readonly string[] = []) {
    // virtio-user can share memory only where it is one file.
    const eal = `--no-huge -m 256 --single-file-segments --no-shconf --no-telemetry --file-prefix reframer-${name}-${process.pid}`;
    const [command = '', ...rest] = [
      ...within,
      process.execPath,
      join(packageRoot, 'experiments/cli/reframer.mjs'),
      'run',
      ...args,
      // Refused where nothing is held.
      ...(args.includes('--no-reframe') ? [] : ['--packets', '8k']),
      '--eal',
      eal,
      '--interval',
      '50ms',
      '--json',
    ];
    this.child = spawn(command, rest, {
      env: { ...process.env, REFRAMER_NO_SETUP: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    this.child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const parts = text.split('\n');
      text = parts.pop() ?? '';
      this.lines.push(...parts.map((line) => JSON.parse(line) as Line));
    });
    this.child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      this.stderr += part;
    });
    this.closed = new Promise((resolve) => this.child.on('close', resolve));
  }

  get lanes(): Lane[] {
    return this.lines.findLast((line) => line.lanes !== undefined)?.lanes ?? [];
  }

  /** Once or more often. */
  async stop(): Promise<NonNullable<Line['summary']>> {
    this.child.kill('SIGTERM');
    await this.closed;
    const summary = this.lines.at(-1)?.summary;
    if (summary === undefined) throw new Error(this.stderr);
    return summary;
  }
}

const server = `const net = require('node:net'), crypto = require('node:crypto');
net.createServer((socket) => {
  const hash = crypto.createHash('sha256');
  socket.on('data', (part) => hash.update(part));
  socket.on('end', () => { console.log(hash.digest('hex')); process.exit(); });
}).listen(7000, '10.78.0.2', () => console.log('listening'));`;
const client = `const net = require('node:net'), crypto = require('node:crypto');
const bytes = crypto.randomBytes(1 << 20);
console.log(crypto.createHash('sha256').update(bytes).digest('hex'));
net.connect(7000, '10.78.0.2', function () { this.end(bytes); });`;

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
const ip = (...args: string[]): void => run('ip', ...args);

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk'))) {
  skipSuite(
    'reframer-dpdk was not built (libdpdk-dev is missing): `reframer run` was not tested on memif, vhost, tap, af_packet and af_xdp',
  );
} else {
  // Of each the end that waits, and the one that connects to it as its port starts.
  test.each([
    {
      kind: 'memif',
      waits: (socket: string) =>
        `net_memif0,role=server,id=0,socket=${socket},socket-abstract=no,bsize=2048`,
      connects: (socket: string) =>
        `net_memif0,role=client,id=0,socket=${socket},socket-abstract=no,bsize=2048`,
    },
    {
      kind: 'vhost to virtio-user, as to a virtual machine',
      waits: (socket: string) => `net_vhost0,iface=${socket},queues=1`,
      connects: (socket: string) => `net_virtio_user0,path=${socket},queues=1`,
    },
  ])(
    '$kind: a box hands every packet to another process, grouped',
    { timeout: 60_000 },
    async ({ kind, waits, connects }) => {
      const packets = 3000;
      expect(
        (
          await reframer([
            'generate',
            folder.file('in.pcap'),
            '--packets',
            String(packets),
            '--seed',
            '5',
            '--quiet',
          ])
        ).code,
      ).toBe(0);
      const name = kind.slice(0, 5);
      const socket = folder.file(`${name}.sock`);
      // Held longer than the capture takes, so that the order depends on arrivals alone.
      const first = new Box(`${name}-a`, [
        '--in',
        `net_pcap0,rx_pcap=${folder.file('in.pcap')},tx_pcap=/dev/null`,
        '--out',
        waits(socket),
        '--delay',
        '1s',
      ]);
      // A client connects as its port starts, while it may still do so.
      await expect.poll(() => first.lanes.length || first.stderr, { timeout: 20_000 }).toBe(1);
      const second = new Box(`${name}-b`, [
        '--in',
        connects(socket),
        '--out',
        `net_pcap0,rx_pcap=${folder.file('in.pcap')},tx_pcap=${folder.file('out.pcap')}`,
        '--no-reframe',
      ]);
      await expect
        .poll(() => second.lanes[0]?.sent ?? second.stderr, { timeout: 20_000 })
        .toBe(packets)
        .catch(() => undefined); // told by what follows
      const [a, b] = await Promise.all([first.stop(), second.stop()]);
      expect(a).toMatchObject({ lost: 0, lanes: [{ received: packets, sent: packets, held: 0 }] });
      expect(b).toMatchObject({ lost: 0, lanes: [{ received: packets, sent: packets }] });
      expect(
        (
          await reframer([
            'reorder',
            folder.file('in.pcap'),
            folder.file('reordered.pcap'),
            '--delay',
            '1s',
            '--rate',
            '40Gbps',
            '--quiet',
          ])
        ).code,
      ).toBe(0);
      expect(framesOf(folder.file('out.pcap'))).toEqual(framesOf(folder.file('reordered.pcap')));
    },
  );

  const namespaces = ['near', 'box', 'far'].map((name) => `reframer-${process.pid}-${name}`);
  const [near = '', middle = '', far = ''] = namespaces;
  const ends = [
    { name: near, device: 'rf-near', address: '10.78.0.1' },
    { name: far, device: 'rf-far', address: '10.78.0.2' },
  ] as const;

  /** What the box opens, and where the devices are that the ends speak to. */
  const kinds = [
    {
      kind: 'tap',
      ports: ['net_tap0,iface=rf-near', 'net_tap1,iface=rf-far'],
      here: '/dev/net/tun',
      veth: false,
    },
    {
      kind: 'af_packet',
      ports: ['net_af_packet0,iface=box-near', 'net_af_packet1,iface=box-far'],
      here: '/',
      veth: true,
    },
    {
      kind: 'af_xdp',
      ports: ['net_af_xdp0,iface=box-near', 'net_af_xdp1,iface=box-far'],
      here: '/',
      veth: true,
    },
  ] as const;

  if (
    process.getuid?.() !== 0 ||
    spawnSync('unshare', ['--net', 'ip', 'link']).status !== 0 ||
    spawnSync('ethtool', ['--version']).status !== 0
  ) {
    skipSuite(
      '`reframer run` was not tested on tap, af_packet and af_xdp between two namespaces: needs root, ip and ethtool',
    );
  } else {
    describe.each(kinds.filter(({ here }) => existsSync(here)))(
      '$kind',
      { timeout: 60_000 },
      ({ ports, veth }) => {
        beforeAll(() => {
          for (const name of namespaces) ip('netns', 'add', name);
          if (!veth) return;
          for (const { name, device } of ends) {
            ip(
              '-n',
              middle,
              'link',
              'add',
              device.replace('rf', 'box'),
              'type',
              'veth',
              'peer',
              'name',
              device,
              'netns',
              name,
            );
            ip('-n', middle, 'link', 'set', device.replace('rf', 'box'), 'up');
            // Frames pass through user space: each is one segment with its checksum.
            run(
              'ip',
              'netns',
              'exec',
              name,
              'ethtool',
              '-K',
              device,
              'tso',
              'off',
              'gso',
              'off',
              'tx',
              'off',
            );
          }
        });
        afterAll(() => namespaces.forEach((name) => spawnSync('ip', ['netns', 'del', name])));

        /** How many wish it of each interface that the box opens. */
        const promiscuous = (): number[] =>
          (veth ? ['box-near', 'box-far'] : []).map(
            (device) =>
              (
                JSON.parse(
                  spawnSync('ip', ['-n', middle, '-d', '-j', 'link', 'show', device], {
                    encoding: 'utf8',
                  }).stdout,
                ) as { promiscuity: number }[]
              )[0]?.promiscuity ?? -1,
          );

        /** A megabyte from one namespace to the other: its hash at either end. */
        async function transfer(box: Box): Promise<{ sent: string; received: string }> {
          await expect.poll(() => box.lanes.length || box.stderr, { timeout: 20_000 }).toBe(2);
          for (const { name, device, address } of ends) {
            if (!veth) ip('-n', middle, 'link', 'set', device, 'netns', name);
            ip('-n', name, 'address', 'add', `${address}/24`, 'dev', device);
            ip('-n', name, 'link', 'set', device, 'up');
          }
          const receiving = spawn('ip', ['netns', 'exec', far, process.execPath, '-e', server], {
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          const closed = new Promise((resolve) => receiving.on('close', resolve));
          let told = '';
          receiving.stdout.setEncoding('utf8').on('data', (part: string) => {
            told += part;
          });
          try {
            await expect.poll(() => told, { timeout: 10_000 }).toContain('listening');
            const { stdout, stderr } = await runProgram('ip', [
              'netns',
              'exec',
              near,
              process.execPath,
              '-e',
              client,
            ]);
            expect(stderr).toBe('');
            await closed;
            return { sent: stdout.trim(), received: told.split('\n')[1] ?? '' };
          } finally {
            receiving.kill();
          }
        }

        test.skipIf(!veth)('a box that is refused leaves nothing on its interfaces', async () => {
          const box = new Box(
            'refused',
            ['--in', ports[0], '--out', ports[1], '--balance', 'reta'],
            ['ip', 'netns', 'exec', middle],
          );
          expect(await box.closed).toBe(3);
          expect(box.stderr).toContain('--balance software');
          expect(promiscuous()).toEqual([0, 0]);
          for (const device of ['box-near', 'box-far'])
            expect(
              spawnSync('ip', ['-n', middle, 'link', 'show', device], { encoding: 'utf8' }).stdout,
            ).not.toContain('xdp');
        });

        test('a TCP connection between two namespaces passes through the box unharmed', async () => {
          const box = new Box(
            'ends',
            ['--in', ports[0], '--out', ports[1], '--both-ways'],
            ['ip', 'netns', 'exec', middle],
          );
          const [during, hashes] = await transfer(box)
            .then((all) => [promiscuous(), all] as const)
            .finally(() => box.stop());
          expect(hashes.received).toBe(hashes.sent);
          // Interfaces of the kernel are as they were.
          expect(during).toEqual(veth ? [1, 1] : []);
          expect(promiscuous()).toEqual(veth ? [0, 0] : []);
          const summary = await box.stop();
          expect(summary.lost).toBe(0);
          for (const lane of summary.lanes) expect(lane.sent).toBe(lane.received);
          expect(summary.lanes[0]?.received).toBeGreaterThan(500);
        });
      },
    );
  }
}
