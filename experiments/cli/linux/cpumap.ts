// nginx with a worker a CPU behind an interface without an indirection table, wrk in front: what spreads
// the packets over CPUs, and what that does to requests and to the order of segments.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

import { CliError } from '../errors.js';
import { missingPrograms, Spaces } from './spaces.js';
import { askWeb, WebServer, webPrograms, type WebAnswer } from './web.js';

export interface CpumapOptions {
  fileBytes: number;
  connections: number;
  seconds: number;
}

export const modes = ['plain', 'rps', 'static', 'balanced'] as const;
export type CpumapMode = (typeof modes)[number];

export interface CpumapTrial extends WebAnswer {
  mode: CpumapMode;
  /** Segments that came to either end before an earlier one (TCPOFOQueue). */
  outOfOrder: number;
  retransmitted: number;
  /** Busiest CPU less the idlest, in points; of the whole machine, client included. */
  spreadPoints: number;
  moves: number;
  /** Frames that followed earlier ones to their old CPU, and that full queues dropped. */
  stayed: number;
  dropped: number;
}

export const missingForCpumap = (): string[] => {
  const missing = missingPrograms({ ip: 'iproute2', ethtool: 'ethtool', ...webPrograms });
  if (availableParallelism() < 2) missing.push('two processors');
  return missing;
};

const server = '10.83.0.2';
const places = ['client', 'server'] as const;
/** This command line. */
const cli = process.argv[1] ?? '';

interface Balanced {
  moves: number;
  device: { stayed: number; dropped: number };
}

interface Busy {
  all: number;
  idle: number;
}

function cpuTimes(): Busy[] {
  return readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .filter((line) => /^cpu\d/.test(line))
    .map((line) => {
      const values = line.split(/\s+/).slice(1, 9).map(Number);
      return {
        all: values.reduce((a, b) => a + b, 0),
        idle: (values[3] ?? 0) + (values[4] ?? 0),
      };
    });
}

/** The mask of as many CPUs as sysfs reads it: 32 bits a word, commas between them. */
export function firstCpus(count: number): string {
  const digits = ((1n << BigInt(count)) - 1n).toString(16);
  return digits.replace(/\B(?=(?:.{8})+$)/g, ',');
}

export class CpumapPath {
  private readonly spaces = new Spaces('reframer-cpumap-bench-', places);
  private readonly web: WebServer;

  constructor(private readonly options: CpumapOptions) {
    try {
      const { spaces } = this;
      spaces.link('client', 'c0', 'server', 's0');
      spaces.ip('client', 'address', 'add', '10.83.0.1/24', 'dev', 'c0');
      spaces.ip('server', 'address', 'add', `${server}/24`, 'dev', 's0');
      this.web = new WebServer({
        inside: spaces.inside('server'),
        address: server,
        files: { file: options.fileBytes },
        workers: availableParallelism(),
      });
    } catch (error) {
      this.spaces.close();
      throw error;
    }
  }

  async trial(mode: CpumapMode): Promise<CpumapTrial> {
    const rps = '/sys/class/net/s0/queues/rx-0/rps_cpus';
    this.spaces.write('server', rps, mode === 'rps' ? firstCpus(availableParallelism()) : '0');
    const end = mode === 'static' || mode === 'balanced' ? await this.balance(mode) : undefined;
    let balanced: Balanced | undefined;
    let measured;
    try {
      const ask = (seconds: number): Promise<WebAnswer> =>
        askWeb(this.spaces.inside('client'), `${server}/file`, this.options.connections, seconds);
      await ask(1); // connections begin outside of what is measured, and the table settles
      const before = { tcp: this.tcp(), cpus: cpuTimes() };
      const answer = await ask(this.options.seconds);
      const after = { tcp: this.tcp(), cpus: cpuTimes() };
      const loads = after.cpus.map(({ all, idle }, i) => {
        const earlier = before.cpus[i] ?? { all: 0, idle: 0 };
        return 1 - (idle - earlier.idle) / Math.max(1, all - earlier.all);
      });
      measured = {
        ...answer,
        outOfOrder: after.tcp.outOfOrder - before.tcp.outOfOrder,
        retransmitted: after.tcp.retransmitted - before.tcp.retransmitted,
        spreadPoints: 100 * (Math.max(...loads) - Math.min(...loads)),
      };
    } finally {
      balanced = await end?.();
    }
    const { moves = 0, device: { stayed = 0, dropped = 0 } = {} } = balanced ?? {};
    return { mode, ...measured, moves, stayed, dropped };
  }

  /** @returns what ends it, and tells its summary */
  private async balance(method: string): Promise<() => Promise<Balanced>> {
    const [program = '', ...args] = [
      ...this.spaces.inside('server'),
      ...[process.execPath, cli, 'balance', '--backend', 'cpumap', '--interface', 's0'],
      ...['--method', method, '--json'],
    ];
    const child = spawn(program, args, {
      env: { ...process.env, REFRAMER_NO_SETUP: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const code = new Promise<number | null>((resolve) => child.on('close', resolve));
    const began = new Promise<void>((resolve) =>
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        resolve();
      }),
    );
    await Promise.race([began, code]);
    if (stdout === '') throw new CliError('cpumap', `reframer balance: ${stderr.trim()}`);
    return async () => {
      child.kill('SIGINT');
      if ((await code) !== 0) throw new CliError('cpumap', `reframer balance: ${stderr.trim()}`);
      const { summary } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
        summary: Balanced;
      };
      return summary;
    };
  }

  private tcp(): { outOfOrder: number; retransmitted: number } {
    const sum = (file: string, group: string, field: string): number =>
      places.reduce((all, place) => all + this.spaces.counter(place, file, group, field), 0);
    return {
      outOfOrder: sum('netstat', 'TcpExt', 'TCPOFOQueue'),
      retransmitted: sum('snmp', 'Tcp', 'RetransSegs'),
    };
  }

  errors(): string {
    return this.web.errors();
  }

  close(): void {
    this.web.close();
    this.spaces.close();
  }
}
