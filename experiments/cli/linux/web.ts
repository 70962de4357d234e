// nginx and wrk, each in a namespace: a file that many connections ask for.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { labProgram, locate } from '../../../native/loader.js';
import { CliError } from '../errors.js';
import { temporaryFolder } from '../temporary.js';
import { environment } from './spaces.js';

export interface WebAnswer {
  requestsPerSecond: number;
  medianUs: number;
  p99Us: number;
  socketErrors: number;
}

export interface WebOptions {
  /** In front of nginx: its namespace, its processor. */
  inside: readonly string[];
  address: string;
  port?: number;
  /** Names and lengths. */
  files: Readonly<Record<string, number>>;
  workers?: number;
  /** Of each connection (SO_MAX_PACING_RATE of the port that nginx inherits); otherwise as it likes. */
  bytesPerSecond?: number;
}

export const webPrograms = { nginx: 'nginx-light', wrk: 'wrk' };

export class WebServer {
  private readonly temporary = temporaryFolder('reframer-web-');
  private readonly folder = this.temporary.path;
  private readonly child: ChildProcess;

  constructor({ inside, address, port = 80, files, workers = 1, bytesPerSecond }: WebOptions) {
    for (const [name, bytes] of Object.entries(files))
      writeFileSync(join(this.folder, name), Buffer.alloc(bytes, 'x'));
    const affinity = workers > 1 ? 'worker_cpu_affinity auto;\n' : '';
    const reuse = workers > 1 ? ' reuseport' : '';
    writeFileSync(
      join(this.folder, 'nginx.conf'),
      `daemon off;\nuser root;\nworker_processes ${workers};\n${affinity}pid ${this.folder}/pid;\nerror_log ${this.folder}/error;\nevents { worker_connections 4096; }\n` +
        `http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; server { listen ${address}:${port}${reuse}; root ${this.folder}; } }\n`,
    );
    const nginx = [
      ...['nginx', '-e', join(this.folder, 'error'), '-p', this.folder],
      ...['-c', join(this.folder, 'nginx.conf')],
    ];
    const paced = bytesPerSecond !== undefined;
    const [program = '', ...args] = [
      ...inside,
      ...(paced ? [locate(labProgram), 'linux-listen'] : nginx),
    ];
    this.child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'], env: environment });
    this.child.on('error', () => undefined); // noticed by requests without answer
    this.child.stdin?.on('error', () => undefined);
    this.child.stdin?.end(
      paced ? JSON.stringify({ address, port, bytesPerSecond, command: nginx }) : '',
    );
  }

  get pid(): number {
    return this.child.pid ?? 0;
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
    this.temporary.remove();
  }
}

export interface WebClient {
  /** Of wrk: its time, and the counters of its namespace, are to be had by it. */
  pid: number;
  /** Rejects with CliError where no answer came. */
  answer: Promise<WebAnswer>;
}

/**
 * As often as the answers come, for `seconds`.
 * @param from address, port where it is not 80, and file
 */
export function startWebClient(
  inside: readonly string[],
  from: string,
  connections: number,
  seconds: number,
): WebClient {
  const [program = '', ...args] = [
    ...inside,
    ...['wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`],
    ...['--timeout', '2s', '--latency', `http://${from}`],
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const answer = new Promise<WebAnswer>((resolve, reject) => {
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
  answer.catch(() => undefined); // told where it is waited for
  return { pid: child.pid ?? 0, answer };
}

/** @throws CliError where no answer came */
export const askWeb = (...asked: Parameters<typeof startWebClient>): Promise<WebAnswer> =>
  startWebClient(...asked).answer;

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
