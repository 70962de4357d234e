// nginx and wrk, each in a namespace: a file that many connections ask for.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { CliError } from '../errors.js';
import { environment } from './spaces.js';

export interface WebAnswer {
  requestsPerSecond: number;
  medianUs: number;
  p99Us: number;
  socketErrors: number;
}

export const webPrograms = { nginx: 'nginx-light', wrk: 'wrk' };

export class WebServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'reframer-web-'));
  private readonly child: ChildProcess;

  /** @param inside in front of what runs in its namespace */
  constructor(inside: readonly string[], address: string, fileBytes: number, workers: number) {
    writeFileSync(join(this.folder, 'file'), Buffer.alloc(fileBytes, 'x'));
    const affinity = workers > 1 ? 'worker_cpu_affinity auto;\n' : '';
    const reuse = workers > 1 ? ' reuseport' : '';
    writeFileSync(
      join(this.folder, 'nginx.conf'),
      `daemon off;\nuser root;\nworker_processes ${workers};\n${affinity}pid ${this.folder}/pid;\nerror_log ${this.folder}/error;\nevents { worker_connections 4096; }\n` +
        `http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; server { listen ${address}:80${reuse}; root ${this.folder}; } }\n`,
    );
    const [program = '', ...args] = [
      ...inside,
      ...['nginx', '-e', join(this.folder, 'error'), '-p', this.folder],
      ...['-c', join(this.folder, 'nginx.conf')],
    ];
    this.child = spawn(program, args, { stdio: 'ignore', env: environment });
    this.child.on('error', () => undefined); // noticed by requests without answer
  }

  /** nginx's own words, for an experiment that failed. */
  errors(): string {
    try {
      return readFileSync(join(this.folder, 'error'), 'utf8').trim();
    } catch {
      return '';
    }
  }

  close(): void {
    this.child.kill('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** As often as the answers come, for `seconds`. @throws CliError where none came */
export function askWeb(
  inside: readonly string[],
  address: string,
  connections: number,
  seconds: number,
): Promise<WebAnswer> {
  const [program = '', ...args] = [
    ...inside,
    ...['wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`],
    ...['--timeout', '2s', '--latency', `http://${address}/file`],
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0)
        return reject(new CliError('web-client', `wrk ended with ${code}: ${text.trim()}`));
      try {
        resolve(parseWrk(text));
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

function microseconds(text: string | undefined): number {
  const [, value, unit = ''] = /^([\d.]+)(us|ms|s)$/.exec(text ?? '') ?? [];
  return Number(value) * ({ us: 1, ms: 1e3, s: 1e6 }[unit] ?? Number.NaN);
}

/** @throws CliError when it holds no results */
export function parseWrk(text: string): WebAnswer {
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(requestsPerSecond > 0))
    throw new CliError('tcp-client', `no request was answered:\n${text.trim()}`);
  const [, connect = 0, read = 0, write = 0, timeout = 0] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/
      .exec(text)
      ?.map(Number) ?? [];
  return {
    requestsPerSecond,
    medianUs: microseconds(/^\s+50%\s+(\S+)/m.exec(text)?.[1]),
    p99Us: microseconds(/^\s+99%\s+(\S+)/m.exec(text)?.[1]),
    socketErrors: connect + read + write + timeout,
  };
}
