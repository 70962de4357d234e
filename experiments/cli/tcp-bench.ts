// Three network namespaces in a row, client - box - server, with real TCP through them: nginx answers,
// wrk asks, and between them DPDK forwards the frames of two veth interfaces.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { dpdkProgram } from '../../native/loader.js';
import { NativeSession } from '../../native/session.js';
import { CliError, exitCodes } from './errors.js';
import { parseWrk } from './linux/web.js';

export interface TcpOptions {
  /** Bytes of the file that every request gets. */
  fileBytes: number;
  connections: number;
  timeMs: number;
  /** How long the ends gather frames before GRO passes on what it has, as a NIC's interrupt coalescing; 0: not. */
  gatherNs: number;
  /** Bytes that a connection of the server may have on their way to its interface at a time; 0: the kernel's choice. */
  senderQueueBytes: number;
}

export interface TcpTrial {
  requestsPerSecond: number;
  /** Of a request, and so of a response's flow of packets. */
  medianUs: number;
  p99Us: number;
  /** Frames on the client's interface over what its IP layer got of them. */
  packetsPerAggregate: number;
  retransmitted: number;
  socketErrors: number;
  /** Packets of a flow in a row on their way from server to client, before and after the box; where it reframes. */
  slf?: { in: number; out: number };
}

interface Reply {
  ready?: object;
  error?: { code: string; message: string };
  summary?: {
    lost: number;
    missed: number;
    lanes: { in: string; slfIn: number; slfOut: number }[];
  };
}

const server = '10.77.0.1';
const client = '10.77.0.2';
// Frames of an AF_PACKET ring; its default of 512 is some milliseconds of what a window of TCP holds.
const ringFrames = 4096;

const run = (command: string, ...args: string[]): string => {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const text =
      error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new CliError('tcp-setup', `${command} ${args.join(' ')}: ${text}`);
  }
};

/** What is missing for this experiment; empty: nothing. */
export function missingForTcp(): string[] {
  const programs = { ip: 'iproute2', ethtool: 'ethtool', nginx: 'nginx-light', wrk: 'wrk' };
  const missing = Object.entries(programs)
    .filter(
      ([program]) =>
        spawnSync('sh', ['-c', `command -v ${program}`], {
          env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
        }).status !== 0,
    )
    .map(([program, debian]) => `${program} (Debian package ${debian})`);
  if (process.getuid?.() !== 0) missing.push('root, for network namespaces');
  return missing;
}

export class TcpPath {
  private readonly folder = mkdtempSync(join(tmpdir(), 'reframer-tcp-'));
  private readonly names = ['client', 'box', 'server'].map(
    (name) => `reframer-${process.pid}-${name}`,
  );
  private nginx: ChildProcess | undefined;

  constructor(private readonly options: TcpOptions) {
    try {
      this.makeNamespaces();
      this.startServer();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private inside(name: 'client' | 'box' | 'server'): string[] {
    return ['ip', 'netns', 'exec', this.names[['client', 'box', 'server'].indexOf(name)] ?? ''];
  }

  private in(name: 'client' | 'box' | 'server', ...command: string[]): string {
    const [program = '', ...args] = [...this.inside(name), ...command];
    return run(program, ...args);
  }

  private makeNamespaces(): void {
    for (const name of this.names) run('ip', 'netns', 'add', name);
    const [clientName = '', boxName = '', serverName = ''] = this.names;
    for (const [end, peer, name] of [
      ['tcp-c', 'box-c', clientName],
      ['tcp-s', 'box-s', serverName],
    ] as const) {
      run(
        'ip',
        '-n',
        boxName,
        'link',
        'add',
        peer,
        'type',
        'veth',
        'peer',
        'name',
        end,
        'netns',
        name,
      );
      run('ip', '-n', boxName, 'link', 'set', peer, 'up');
      run('ip', '-n', name, 'link', 'set', end, 'up');
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
      run(
        'ip',
        '-n',
        name,
        'address',
        'add',
        `${end === 'tcp-c' ? client : server}/24`,
        'dev',
        end,
      );
    }
    // Frames pass through user space: each is one segment with its checksum. What arrives is aggregated.
    this.in(
      'client',
      'ethtool',
      '-K',
      'tcp-c',
      'tso',
      'off',
      'gso',
      'off',
      'tx',
      'off',
      'gro',
      'on',
    );
    // A veth's poll finds one frame at a time; a NIC gathers for as long before it interrupts.
    for (const [name, end] of [
      ['client', 'tcp-c'],
      ['server', 'tcp-s'],
    ] as const)
      this.in(
        name,
        'sh',
        '-c',
        `echo ${this.options.gatherNs} > /sys/class/net/${end}/gro_flush_timeout`,
      );
    // One process sends for all connections, a window at a time; with a short queue they take turns, as the
    // senders of many machines do.
    if (this.options.senderQueueBytes > 0)
      this.in(
        'server',
        'sh',
        '-c',
        `echo ${this.options.senderQueueBytes} > /proc/sys/net/ipv4/tcp_limit_output_bytes`,
      );
    // A veth aggregates only what comes from a peer that cannot send aggregates itself.
    for (const end of ['box-c', 'box-s'])
      this.in('box', 'ethtool', '-K', end, 'tso', 'off', 'gso', 'off');
    this.in(
      'server',
      'ethtool',
      '-K',
      'tcp-s',
      'tso',
      'off',
      'gso',
      'off',
      'tx',
      'off',
      'gro',
      'on',
    );
  }

  private startServer(): void {
    writeFileSync(join(this.folder, 'file'), Buffer.alloc(this.options.fileBytes, 'x'));
    writeFileSync(
      join(this.folder, 'nginx.conf'),
      `daemon off;\nuser root;\nworker_processes 1;\npid ${this.folder}/pid;\nerror_log ${this.folder}/error;\nevents { worker_connections 4096; }\n` +
        `http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; server { listen ${server}:80; root ${this.folder}; } }\n`,
    );
    const [program = '', ...args] = [
      ...this.inside('server'),
      'nginx',
      '-e',
      join(this.folder, 'error'),
      '-p',
      this.folder,
      '-c',
      join(this.folder, 'nginx.conf'),
    ];
    this.nginx = spawn(program, args, { stdio: 'ignore' });
    this.nginx.on('error', () => undefined); // noticed by requests without answer
  }

  private counter(name: 'client' | 'server', group: string, field: string): number {
    const lines = this.in(name, 'cat', '/proc/net/snmp')
      .split('\n')
      .filter((line) => line.startsWith(`${group}:`));
    const [names = '', values = ''] = lines;
    return Number(values.split(' ')[names.split(' ').indexOf(field)] ?? 0);
  }

  private counters(): { frames: number; received: number; retransmitted: number } {
    return {
      frames: Number(this.in('client', 'cat', '/sys/class/net/tcp-c/statistics/rx_packets')),
      received: this.counter('client', 'Ip', 'InReceives'),
      retransmitted: this.counter('server', 'Tcp', 'RetransSegs'),
    };
  }

  /** @param reframer what the job `forward` takes beside its ports. */
  async trial(reframer: object): Promise<TcpTrial> {
    const eal = [
      '--no-huge',
      '-m',
      '128',
      '--no-shconf',
      '--no-telemetry',
      '--log-level=error',
      `--file-prefix=reframer-tcp-${process.pid}`,
      `--vdev=net_af_packet0,iface=box-s,framecnt=${ringFrames}`,
      `--vdev=net_af_packet1,iface=box-c,framecnt=${ringFrames}`,
    ];
    const spec = {
      eal,
      in: 'net_af_packet0',
      out: 'net_af_packet1',
      bothWays: true,
      descriptors: 512,
      ...reframer,
    };
    const box = await NativeSession.open<Reply>(dpdkProgram, 'forward', spec, this.inside('box'));
    if (box.first.ready === undefined)
      throw new CliError(
        box.first.error?.code ?? 'tcp-box',
        `the box: ${box.first.error?.message ?? 'did not get ready'}`,
        box.first.error?.code === 'not-supported' ? exitCodes.notSupported : exitCodes.failed,
      );
    const fromServer = 'net_af_packet0';
    try {
      await this.wrk(200); // connections, ARP and the congestion window begin outside of what is measured
      const before = this.counters();
      const text = await this.wrk(this.options.timeMs);
      const after = this.counters();
      const { summary } = await box.ask({ do: 'stop' });
      const lane = summary?.lanes.find((each) => each.in === fromServer && each.slfOut > 0);
      return {
        ...parseWrk(text),
        packetsPerAggregate:
          (after.frames - before.frames) / Math.max(1, after.received - before.received),
        retransmitted: after.retransmitted - before.retransmitted,
        ...(lane === undefined ? {} : { slf: { in: lane.slfIn, out: lane.slfOut } }),
      };
    } catch (error) {
      await box.ask({ do: 'stop' }).catch(() => undefined);
      throw error;
    } finally {
      box.end();
    }
  }

  private wrk(timeMs: number): Promise<string> {
    const seconds = Math.max(1, Math.round(timeMs / 1000));
    const [program = '', ...args] = [
      ...this.inside('client'),
      'wrk',
      '-t',
      '1',
      '-c',
      String(this.options.connections),
      '-d',
      `${seconds}s`,
      '--latency',
      `http://${server}/file`,
    ];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0
          ? resolve(text)
          : reject(new CliError('tcp-client', `wrk ended with ${code}: ${text.trim()}`)),
      );
    });
  }

  close(): void {
    this.nginx?.kill('SIGTERM');
    for (const name of this.names) {
      // Whatever still runs in a namespace of ours is ours.
      const pids =
        spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
          .stdout?.split('\n')
          .map(Number)
          .filter((pid) => pid > 1) ?? [];
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGTERM');
        } catch {
          // ended meanwhile
        }
      }
      spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** nginx's own words, for an experiment that failed. */
  serverErrors(): string {
    try {
      return readFileSync(join(this.folder, 'error'), 'utf8').trim();
    } catch {
      return '';
    }
  }
}
