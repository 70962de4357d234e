// A client, the balancer and servers in network namespaces of their own: nginx answers, curl asks.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { labProgram } from '../../native/loader.js';
import { NativeSession } from '../../native/session.js';

export const service = '198.51.100.1';
const clientMac = '02:00:00:00:00:c1';
const boxMac = '02:00:00:00:00:b0';
/** Several, since a clock is known by what clients agree on. */
export const clientAddresses = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => `198.51.100.${n}`);
const serverAddress = (n: number): string => `10.99.0.${n}`;
const serverMac = (n: number): string => `02:00:00:00:01:${String(n).padStart(2, '0')}`;

type Reply = Readonly<Record<string, unknown>>;

const run = (...command: string[]): string => {
  const [program = '', ...args] = command;
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
};

/** What is missing; empty: nothing. */
export function missingForNetwork(): string[] {
  const missing = ['ip', 'ethtool', 'nginx', 'curl', 'ss'].filter(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  if (process.getuid?.() !== 0) missing.push('root, for network namespaces');
  return missing;
}

export class Network {
  readonly folder = mkdtempSync(join(tmpdir(), 'reframer-balancer-'));
  readonly sha256: string;
  readonly ids: number[] = [];
  private readonly prefix = `reframer-lb-${process.pid}-${Date.now() % 100_000}`;
  private readonly children: ChildProcess[] = [];
  private readonly namespaces: string[] = [];
  private session: NativeSession<Reply> | undefined;

  constructor(
    private readonly servers: number,
    fileBytes: number,
    settings: Readonly<Record<string, number>>,
  ) {
    const body = randomBytes(fileBytes);
    writeFileSync(join(this.folder, 'file'), body);
    this.sha256 = createHash('sha256').update(body).digest('hex');
    try {
      this.make(settings);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  inside(name: string): string[] {
    return ['ip', 'netns', 'exec', `${this.prefix}-${name}`];
  }
  in(name: string, ...command: string[]): string {
    return run(...this.inside(name), ...command);
  }

  private addNamespace(name: string): void {
    run('ip', 'netns', 'add', `${this.prefix}-${name}`);
    this.namespaces.push(`${this.prefix}-${name}`);
    this.in(name, 'ip', 'link', 'set', 'lo', 'up');
  }
  /** A cable: `end` in namespace `name`, `peer` in namespace `at`. */
  private cable(name: string, end: string, at: string, peer: string): void {
    const peerIn = ['peer', 'name', peer, 'netns', `${this.prefix}-${at}`];
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

  private make(settings: Readonly<Record<string, number>>): void {
    for (const name of ['client', 'box', 'switch']) this.addNamespace(name);
    this.cable('client', 'c', 'box', 'to-c');
    this.in('client', 'ip', 'link', 'set', 'c', 'address', clientMac);
    for (const address of clientAddresses)
      this.in('client', 'ip', 'address', 'add', `${address}/24`, 'dev', 'c');
    this.in('client', 'ip', 'neigh', 'add', service, 'lladdr', boxMac, 'dev', 'c');
    this.in('switch', 'ip', 'link', 'add', 'bridge0', 'type', 'bridge');
    this.in('switch', 'ip', 'link', 'set', 'bridge0', 'up');
    this.cable('box', 'to-s', 'switch', 'uplink');
    this.in('switch', 'ip', 'link', 'set', 'uplink', 'master', 'bridge0');
    for (let n = 1; n <= this.servers; n++) this.makeServer(n, settings);
  }

  private makeServer(n: number, settings: Readonly<Record<string, number>>): void {
    const name = `s${n}`;
    this.addNamespace(name);
    this.cable(name, 'e', 'switch', name);
    this.in('switch', 'ip', 'link', 'set', name, 'master', 'bridge0');
    this.in(name, 'ip', 'link', 'set', 'e', 'address', serverMac(n));
    this.in(name, 'ip', 'address', 'add', `${serverAddress(n)}/24`, 'dev', 'e');
    this.in(name, 'ip', 'neigh', 'add', '10.99.0.254', 'lladdr', boxMac, 'dev', 'e');
    this.in(name, 'ip', 'route', 'add', 'default', 'via', '10.99.0.254');
    for (const [setting, value] of Object.entries(settings))
      this.in(name, 'sh', '-c', `echo ${value} > /proc/sys/net/ipv4/${setting}`);
    const file = join(this.folder, `${name}.conf`);
    writeFileSync(
      file,
      `daemon off;\nuser root;\nworker_processes 1;\npid ${this.folder}/${name}.pid;\nerror_log ${this.folder}/${name}.log;\n` +
        `events { worker_connections 1024; }\nhttp { access_log off; client_body_temp_path ${this.folder}; proxy_temp_path ${this.folder}; ` +
        `fastcgi_temp_path ${this.folder}; uwsgi_temp_path ${this.folder}; scgi_temp_path ${this.folder}; server { listen 80; root ${this.folder}; } }\n`,
    );
    const [program = '', ...args] = [...this.inside(name), 'nginx', '-c', file];
    this.children.push(spawn(program, args, { stdio: 'ignore' }));
  }

  async start(memory: string): Promise<void> {
    const spec = { clients: 'to-c', servers: 'to-s', service, clientMac, memory };
    this.session = await NativeSession.open<Reply>(
      labProgram,
      'balance-servers',
      spec,
      this.inside('box'),
    );
    if (this.session.first['ready'] === undefined)
      throw new Error(JSON.stringify(this.session.first));
  }
  async ask(command: object): Promise<Reply> {
    if (this.session === undefined) throw new Error('not started');
    return this.session.ask(command);
  }
  /** Waits until nginx of the first `servers` does. */
  async listens(servers: number): Promise<void> {
    for (let n = 1; n <= servers; n++)
      for (let i = 0; this.in(`s${n}`, 'ss', '-ltnH', 'sport', '=', ':80') === ''; i++) {
        if (i > 200) throw new Error(`nginx of server ${n} does not listen`);
        await sleep(50);
      }
  }
  /** Server `n`, from 1. */
  async add(n: number): Promise<number> {
    const { id } = await this.ask({ do: 'add', address: serverAddress(n), mac: serverMac(n) });
    return Number(id);
  }

  /** The body's SHA-256, or what went wrong. */
  download(from: string, bytesPerSecond: number): Promise<string> {
    const limit = ['--limit-rate', String(bytesPerSecond)];
    const curl = ['curl', '-sS', '-f', '--max-time', '80', '--interface', from, ...limit];
    const [program = '', ...args] = [...this.inside('client'), ...curl, `http://${service}/file`];
    return new Promise((resolve) => {
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const hash = createHash('sha256');
      let said = '';
      child.stdout.on('data', (data: Buffer) => hash.update(data));
      child.stderr.on('data', (data: Buffer) => (said += data.toString()));
      child.on('close', (code) => resolve(code === 0 ? hash.digest('hex') : `curl: ${said}`));
    });
  }

  close(): void {
    this.session?.end();
    for (const child of this.children) child.kill('SIGTERM');
    for (const name of this.namespaces) {
      // Workers of nginx, by the namespace that is ours.
      const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout;
      for (const pid of pids.split('\n').filter(Boolean)) spawnSync('kill', ['-KILL', pid]);
      spawnSync('ip', ['netns', 'delete', name]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
