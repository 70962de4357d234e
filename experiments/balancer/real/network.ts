// A client, the balancer and servers in network namespaces of their own. Beside the way through the
// balancer there is one past it: the kernel of the balancer's namespace forwards frames that are for
// its own addresses.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { labProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import { environment, missingPrograms, run, sweepSpaces } from '../../cli/linux/spaces.js';

export const service = '198.51.100.1';
export const clientMac = '02:00:00:00:00:c1';
const boxMac = '02:00:00:00:00:b0';
/** Several, since a clock is known by what clients agree on. */
export const clientAddresses = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => `198.51.100.${n}`);
/** Of the way past the balancer. */
export const directClient = '198.51.100.200';
const boxOnClients = '198.51.100.254';
const boxOnServers = '10.99.0.253';
const gateway = '10.99.0.254'; // the balancer, as servers see it
export const serverAddress = (n: number): string => `10.99.0.${n}`;
export const serverMac = (n: number): string => `02:00:00:00:01:${n.toString(16).padStart(2, '0')}`;

export type Reply = Readonly<Record<string, unknown>>;

/** What is missing; empty: nothing. */
export const missingForNetwork = (): string[] =>
  missingPrograms({ ip: 'iproute2', ethtool: 'ethtool', nginx: 'nginx-light', curl: 'curl' });

export type Settings = Readonly<Record<string, number | string>>;

export interface NetworkOptions {
  servers: number;
  /** Of the file that every server has. */
  fileBytes: number;
  /** Under /proc/sys/net/ipv4, of client and servers. */
  settings: Settings;
  /** Servers begin without nginx. */
  withoutWeb?: boolean;
}

const prefix = 'reframer-lb-';

export class Network {
  readonly folder = mkdtempSync(join(tmpdir(), 'reframer-balancer-'));
  readonly file = join(this.folder, 'file');
  readonly sha256: string;
  readonly #name = `${prefix}${process.pid}-${Date.now() % 100_000}`;
  readonly #web = new Map<number, ChildProcess>();
  readonly #children: ChildProcess[] = [];
  readonly #namespaces: string[] = [];
  readonly #sessions: NativeSession<Reply>[] = [];
  #balancer: NativeSession<Reply> | undefined;

  constructor(readonly options: NetworkOptions) {
    sweepSpaces(prefix);
    const body = randomBytes(options.fileBytes);
    writeFileSync(this.file, body);
    writeFileSync(join(this.folder, 'small'), body.subarray(0, 10_000));
    this.sha256 = createHash('sha256').update(body).digest('hex');
    try {
      this.#make();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  inside(name: string): string[] {
    return ['ip', 'netns', 'exec', `${this.#name}-${name}`];
  }
  in(name: string, ...command: string[]): string {
    const [program = '', ...args] = [...this.inside(name), ...command];
    return run(program, ...args);
  }
  /** A program in a namespace, ended with the network. */
  spawn(name: string, command: readonly string[]): ChildProcess {
    const [program = '', ...args] = [...this.inside(name), ...command];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    child.on('error', () => undefined); // noticed by what it does not answer
    this.#children.push(child);
    return child;
  }
  /** A job of the lab in a namespace. */
  async session(name: string, job: string, spec: object): Promise<NativeSession<Reply>> {
    const session = await NativeSession.open<Reply>(labProgram, job, spec, this.inside(name));
    if (session.first['ready'] === undefined) {
      session.end();
      throw new Error(JSON.stringify(session.first));
    }
    this.#sessions.push(session);
    return session;
  }

  #addNamespace(name: string): void {
    run('ip', 'netns', 'add', `${this.#name}-${name}`);
    this.#namespaces.push(`${this.#name}-${name}`);
    this.in(name, 'ip', 'link', 'set', 'lo', 'up');
  }
  /** A cable: `end` in namespace `name`, `peer` in namespace `at`. */
  #cable(name: string, end: string, at: string, peer: string): void {
    const peerIn = ['peer', 'name', peer, 'netns', `${this.#name}-${at}`];
    this.in(name, 'ip', 'link', 'add', end, 'type', 'veth', ...peerIn);
    for (const [where, link] of [
      [name, end],
      [at, peer],
    ] as const) {
      // Frames pass through user space: each is one segment with its checksum.
      this.in(where, 'ethtool', '-K', link, 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off');
      this.in(where, 'ip', 'link', 'set', link, 'up');
    }
  }
  #set(name: string): void {
    for (const [setting, value] of Object.entries(this.options.settings))
      this.in(name, 'sh', '-c', `echo ${value} > /proc/sys/net/ipv4/${setting}`);
  }

  #make(): void {
    for (const name of ['client', 'box', 'switch']) this.#addNamespace(name);
    this.#cable('client', 'c', 'box', 'to-c');
    this.in('client', 'ip', 'link', 'set', 'c', 'address', clientMac);
    for (const address of [...clientAddresses, directClient])
      this.in('client', 'ip', 'address', 'add', `${address}/24`, 'dev', 'c');
    this.in('client', 'ip', 'neigh', 'add', service, 'lladdr', boxMac, 'dev', 'c');
    this.in('switch', 'ip', 'link', 'add', 'bridge0', 'type', 'bridge');
    this.in('switch', 'ip', 'link', 'set', 'bridge0', 'up');
    this.#cable('box', 'to-s', 'switch', 'uplink');
    this.in('switch', 'ip', 'link', 'set', 'uplink', 'master', 'bridge0');
    this.in('box', 'ip', 'address', 'add', `${boxOnClients}/24`, 'dev', 'to-c');
    this.in('box', 'ip', 'address', 'add', `${boxOnServers}/24`, 'dev', 'to-s');
    this.in('box', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    this.in('client', 'ip', 'route', 'add', '10.99.0.0/24', 'via', boxOnClients);
    this.#set('client');
    for (let n = 1; n <= this.options.servers; n++) this.#makeServer(n);
  }

  #makeServer(n: number): void {
    const name = `s${n}`;
    this.#addNamespace(name);
    this.#cable(name, 'e', 'switch', name);
    this.in('switch', 'ip', 'link', 'set', name, 'master', 'bridge0');
    this.in(name, 'ip', 'link', 'set', 'e', 'address', serverMac(n));
    this.in(name, 'ip', 'address', 'add', `${serverAddress(n)}/24`, 'dev', 'e');
    this.in(name, 'ip', 'neigh', 'add', gateway, 'lladdr', boxMac, 'dev', 'e');
    this.in(name, 'ip', 'route', 'add', 'default', 'via', gateway);
    this.in(name, 'ip', 'route', 'add', directClient, 'via', boxOnServers);
    this.#set(name);
    if (this.options.withoutWeb !== true) this.startWeb(n);
  }

  startWeb(n: number): void {
    const name = `s${n}`;
    const file = join(this.folder, `${name}.conf`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${this.folder};`,
    );
    // One process, so that its end is the server's. Connections of wrk end now and then, so that a server
    // that is drained loses them.
    writeFileSync(
      file,
      `daemon off;\nmaster_process off;\nuser root;\npid ${this.folder}/${name}.pid;\nerror_log ${this.folder}/${name}.log;\n` +
        `events { worker_connections 1024; }\nhttp { access_log off; keepalive_requests 100; ${temporary.join(' ')} server { listen 80; root ${this.folder}; } }\n`,
    );
    this.#web.set(n, this.spawn(name, ['nginx', '-c', file]));
  }
  killWeb(n: number): void {
    this.#web.get(n)?.kill('SIGKILL');
    this.#web.delete(n);
  }
  hasWeb(n: number): boolean {
    return this.#web.has(n);
  }
  /** Connections of TCP that a server has, also half open ones. */
  connections(n: number): number {
    const states = ['state', 'connected', 'exclude', 'time-wait'];
    const said = this.in(`s${n}`, 'ss', '-tnH', ...states);
    return said.split('\n').filter(Boolean).length;
  }
  /** Waits until a port of server `n` is open. */
  async listens(n: number, port = 80): Promise<void> {
    for (let i = 0; this.in(`s${n}`, 'ss', '-ltnH', 'sport', '=', `:${port}`) === ''; i++) {
      if (i > 200) throw new Error(`nothing listens on port ${port} of server ${n}`);
      await sleep(50);
    }
  }

  /** @param more of the job `balance-servers` */
  async start(more: object = {}): Promise<void> {
    const spec = { clients: 'to-c', servers: 'to-s', service, clientMac, ...more };
    this.#balancer = await this.session('box', 'balance-servers', spec);
  }
  async ask(command: object): Promise<Reply> {
    if (this.#balancer === undefined) throw new Error('not started');
    return this.#balancer.ask(command);
  }
  /** Server `n`, from 1. @returns its id */
  async add(n: number): Promise<number> {
    const said = await this.ask({ do: 'add', address: serverAddress(n), mac: serverMac(n) });
    if (typeof said['id'] !== 'number') throw new Error(JSON.stringify(said));
    return said['id'];
  }
  async stats(): Promise<Readonly<Record<string, number>>> {
    const { stats } = await this.ask({ do: 'stats' });
    return stats as Readonly<Record<string, number>>;
  }

  close(): void {
    for (const session of this.#sessions) session.end();
    for (const child of this.#children) child.kill('SIGKILL');
    for (const name of this.#namespaces) {
      // Whatever still runs in a namespace of ours is ours.
      for (const pid of namespacePids(name)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // ended meanwhile
        }
      }
      try {
        run('ip', 'netns', 'delete', name);
      } catch {
        // was never made
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function namespacePids(name: string): number[] {
  try {
    return run('ip', 'netns', 'pids', name)
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1);
  } catch {
    return [];
  }
}
