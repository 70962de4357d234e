// Programs that open connections through the balancer, and what came of them.
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { inUrl, type Network } from './network.js';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export function ended(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    const result: Ended = { code: null, stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (result.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
    child.on('close', (code) => resolve({ ...result, code }));
  });
}

export interface Download {
  /** The body's SHA-256. */
  sha256: string;
  /** What curl says where it did not get all of it. */
  failed?: string;
}

/** @param bytesPerSecond 0: as fast as it goes */
export function download(
  network: Network,
  from: string,
  bytesPerSecond: number,
  host = network.ends.service,
): Promise<Download> {
  const limit = bytesPerSecond > 0 ? ['--limit-rate', String(bytesPerSecond)] : [];
  const options = ['-sS', '-f', '--max-time', '300', '--interface', from, ...limit];
  const child = network.spawn('client', ['curl', ...options, `http://${inUrl(host)}/file`]);
  return new Promise((resolve) => {
    const hash = createHash('sha256');
    let said = '';
    child.stdout?.on('data', (data: Buffer) => hash.update(data));
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    child.on('close', (code) => {
      const sha256 = hash.digest('hex');
      resolve(code === 0 ? { sha256 } : { sha256, failed: said.trim() || `curl ended: ${code}` });
    });
  });
}

export interface Downloads {
  bodies: number;
  wrong: number;
  cut: number;
  why: string[];
}

/** Keeps as many downloads under way as there are client addresses, until told to stop. */
export class SteadyDownloads {
  readonly result: Downloads = { bodies: 0, wrong: 0, cut: 0, why: [] };
  readonly #all: Promise<void>[];
  #stopping = false;

  constructor(
    private readonly network: Network,
    private readonly bytesPerSecond: number,
  ) {
    this.#all = network.ends.clients.map((address) => this.#repeat(address));
  }
  async #repeat(address: string): Promise<void> {
    while (!this.#stopping) {
      const got = await download(this.network, address, this.bytesPerSecond);
      this.result.bodies++;
      if (got.failed !== undefined) {
        this.result.cut++;
        this.result.why.push(got.failed);
      } else if (got.sha256 !== this.network.sha256) {
        this.result.wrong++;
      }
    }
  }
  async stop(): Promise<Downloads> {
    this.#stopping = true;
    await Promise.all(this.#all);
    return this.result;
  }
}

export interface Requests {
  requests: number;
  /** Connections that failed or were cut, answers that are none. */
  errors: number;
  /** Answers that took longer than two seconds, as on a busy machine. */
  late: number;
  /** Requests without an answer in `patience` seconds: their connection is stuck, and broken. */
  overdue: number;
}

const wrkConnections = 8;

/** For wrk, one thread a connection: only so a script knows which answer belongs to which request. */
const wrkScript = (patience: number): string => `
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() sent, overdue = 0, 0 end
function delay() return 20 end -- ms
function request()
  sent = os.time()
  return wrk.format()
end
function response()
  if os.time() - sent > ${patience} then overdue = overdue + 1 end
  sent = 0
end
function done()
  local all = 0
  for _, thread in ipairs(threads) do
    local sent = thread:get('sent')
    all = all + thread:get('overdue')
    if sent > 0 and os.time() - sent > ${patience} then all = all + 1 end
  end
  print('Overdue: ' .. all)
end
`;

/** wrk with connections that stay, some hundred requests a second. */
export async function requests(
  network: Network,
  seconds: number,
  patience = 10,
): Promise<Requests> {
  const script = `${network.folder}/wrk.lua`;
  writeFileSync(script, wrkScript(patience));
  const number = String(wrkConnections);
  const command = ['wrk', '-t', number, '-c', number, '-d', `${seconds}s`, '-s', script];
  const url = `http://${inUrl(network.ends.service)}/small`;
  const got = await ended(network.spawn('client', [...command, url]));
  const said = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(
    got.stdout,
  );
  const [connect = 0, read = 0, write = 0, late = 0] = (said ?? []).slice(1).map(Number);
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(got.stdout)?.[1];
  const count = /(\d+) requests in/.exec(got.stdout)?.[1];
  const overdue = /Overdue: (\d+)/.exec(got.stdout)?.[1];
  if (got.code !== 0 || count === undefined || overdue === undefined)
    throw new Error(`wrk: ${got.stdout} ${got.stderr}`);
  return {
    requests: Number(count),
    errors: connect + read + write + Number(bad ?? 0),
    late,
    overdue: Number(overdue),
  };
}

export interface Transfer {
  bytes: number;
  failed?: string;
}

/** iperf3 against server 1, which has to be the only one while it opens its two connections. */
export class Iperf {
  readonly result: Promise<Transfer>;

  private constructor(child: ChildProcess) {
    this.result = ended(child).then(({ code, stdout, stderr }) => {
      try {
        const said = JSON.parse(stdout) as {
          error?: string;
          end?: { sum_received?: { bytes?: number } };
        };
        const bytes = said.end?.sum_received?.bytes ?? 0;
        return code === 0 && said.error === undefined && bytes > 0
          ? { bytes }
          : { bytes, failed: said.error ?? `iperf3 ended: ${code}` };
      } catch {
        return { bytes: 0, failed: stderr.trim() || `iperf3 ended: ${code}` };
      }
    });
  }

  static async start(
    network: Network,
    port: number,
    seconds: number,
    {
      reverse = false,
      host = network.ends.service,
      from = network.ends.clients[0] ?? '',
      rate = '8M',
    } = {},
  ): Promise<Iperf> {
    network.spawn('s1', ['iperf3', '-s', '-1', '-p', String(port)]);
    await network.listens(1, port);
    const way = reverse ? ['-R'] : [];
    const options = [
      '-p',
      String(port),
      '-B',
      from,
      '-t',
      String(seconds),
      '-b',
      rate,
      '-J',
      ...way,
    ];
    return new Iperf(network.spawn('client', ['iperf3', '-c', host, ...options]));
  }
}
