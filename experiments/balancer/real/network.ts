// A client, the balancer and servers in network namespaces of their own. Beside the way through the
// balancer there is one past it: the kernel of the balancer's namespace forwards frames that are for
// its own addresses.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { labProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import { environment, missingPrograms, Spaces } from '../../cli/linux/spaces.js';
import { temporaryFolder } from '../../cli/temporary.js';

export type Family = 4 | 6;

/** Addresses of a family. */
export interface Ends {
  service: string;
  /** Several, since a clock is known by what clients agree on. */
  clients: readonly string[];
  /** Of the way past the balancer. */
  directClient: string;
  boxOnClients: string;
  boxOnServers: string;
  /** The balancer, as servers see it. */
  gateway: string;
  servers: string;
  prefix: number;
}

const endsIn = (clients: string, servers: string, prefix: number): Ends => ({
  service: `${clients}1`,
  clients: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => `${clients}${n}`),
  directClient: `${clients}200`,
  boxOnClients: `${clients}254`,
  boxOnServers: `${servers}253`,
  gateway: `${servers}254`,
  servers,
  prefix,
});
export const endsOf: Readonly<Record<Family, Ends>> = {
  4: endsIn('198.51.100.', '10.99.0.', 24),
  6: endsIn('2001:db8:1::', '2001:db8:2::', 64),
};
const families = [4, 6] as const;
export const serverAddress = (n: number, family: Family = 4): string =>
  `${endsOf[family].servers}${n}`;
export const serverMac = (n: number): string => `02:00:00:00:01:${n.toString(16).padStart(2, '0')}`;
/** An address where a port or a path follows. */
export const inUrl = (address: string): string =>
  address.includes(':') ? `[${address}]` : address;

export const clientMac = '02:00:00:00:00:c1';
const boxMac = '02:00:00:00:00:b0';

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
  /** What clients use; everybody has both. Default 4. */
  family?: Family;
}

const prefix = 'reframer-lb-';

export class Network {
  readonly #temporary = temporaryFolder('reframer-balancer-');
  readonly folder = this.#temporary.path;
  readonly file = join(this.folder, 'file');
  readonly sha256: string;
  readonly ends: Ends;
  readonly #spaces: Spaces<string>;
  readonly #web = new Map<number, ChildProcess>();
  readonly #children: ChildProcess[] = [];
  readonly #sessions: NativeSession<Reply>[] = [];
  #balancer: NativeSession<Reply> | undefined;

  constructor(readonly options: NetworkOptions) {
    this.ends = endsOf[options.family ?? 4];
    const body = randomBytes(options.fileBytes);
    writeFileSync(this.file, body);
    writeFileSync(join(this.folder, 'small'), body.subarray(0, 10_000));
    this.sha256 = createHash('sha256').update(body).digest('hex');
    const servers = Array.from({ length: options.servers }, (_, i) => `s${i + 1}`);
    this.#spaces = new Spaces(prefix, ['client', 'box', 'switch', ...servers]);
    try {
      this.#make();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  inside(name: string): string[] {
    return this.#spaces.inside(name);
  }
  in(name: string, ...command: string[]): string {
    return this.#spaces.in(name, ...command);
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

  /** A cable: `end` in namespace `name`, `peer` in namespace `at`. */
  #cable(name: string, end: string, at: string, peer: string): void {
    this.#spaces.link(name, end, at, peer);
    for (const [where, link] of [
      [name, end],
      [at, peer],
    ] as const)
      this.in(where, 'ethtool', '-K', link, 'gro', 'off'); // user space takes single segments
  }
  #address(name: string, device: string, address: string, prefix: number, ...more: string[]): void {
    // Nobody else can have it: no need to ask first.
    const alone = address.includes(':') ? ['nodad'] : [];
    const at = [`${address}/${prefix}`, 'dev', device];
    this.#spaces.ip(name, 'address', 'add', ...at, ...alone, ...more);
  }
  #set(name: string): void {
    for (const [setting, value] of Object.entries(this.options.settings))
      this.#spaces.write(name, `/proc/sys/net/ipv4/${setting}`, String(value));
  }

  #make(): void {
    this.#cable('client', 'c', 'box', 'to-c');
    this.#spaces.ip('client', 'link', 'set', 'c', 'address', clientMac);
    this.#spaces.ip('switch', 'link', 'add', 'bridge0', 'type', 'bridge');
    this.#spaces.ip('switch', 'link', 'set', 'bridge0', 'up');
    this.#cable('box', 'to-s', 'switch', 'uplink');
    this.#spaces.ip('switch', 'link', 'set', 'uplink', 'master', 'bridge0');
    for (const forwarding of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
      this.#spaces.write('box', `/proc/sys/net/${forwarding}`, '1');
    for (const family of families) {
      const ends = endsOf[family];
      for (const address of ends.clients) this.#address('client', 'c', address, ends.prefix);
      // Answers to it do not come through the balancer: nobody takes it who does not say so.
      this.#address('client', 'c', ends.directClient, ends.prefix, 'preferred_lft', '0');
      this.#address('box', 'to-c', ends.boxOnClients, ends.prefix);
      this.#address('box', 'to-s', ends.boxOnServers, ends.prefix);
      this.#spaces.ip('client', 'neigh', 'add', ends.service, 'lladdr', boxMac, 'dev', 'c');
      const servers = `${family === 4 ? ends.servers + '0' : ends.servers}/${ends.prefix}`;
      this.#spaces.ip('client', `-${family}`, 'route', 'add', servers, 'via', ends.boxOnClients);
    }
    this.#set('client');
    for (let n = 1; n <= this.options.servers; n++) this.#makeServer(n);
  }

  #makeServer(n: number): void {
    const name = `s${n}`;
    this.#cable(name, 'e', 'switch', name);
    this.#spaces.ip('switch', 'link', 'set', name, 'master', 'bridge0');
    this.#spaces.ip(name, 'link', 'set', 'e', 'address', serverMac(n));
    for (const family of families) {
      const { gateway, directClient, boxOnServers, prefix } = endsOf[family];
      const route = [`-${family}`, 'route', 'add'];
      this.#address(name, 'e', serverAddress(n, family), prefix);
      this.#spaces.ip(name, 'neigh', 'add', gateway, 'lladdr', boxMac, 'dev', 'e');
      this.#spaces.ip(name, ...route, 'default', 'via', gateway);
      this.#spaces.ip(name, ...route, directClient, 'via', boxOnServers);
    }
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
        `events { worker_connections 1024; }\nhttp { access_log off; keepalive_requests 100; ${temporary.join(' ')} server { listen 80; listen [::]:80; root ${this.folder}; } }\n`,
    );
    this.#web.set(n, this.spawn(name, ['nginx', '-c', file]));
  }
  killWeb(n: number): void {
    this.#web.get(n)?.kill('SIGKILL');
    this.#web.delete(n);
  }
  /** Until it is told to continue it takes requests and answers none. */
  silenceWeb(n: number, silent: boolean): void {
    this.#web.get(n)?.kill(silent ? 'SIGSTOP' : 'SIGCONT');
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
    const service = families.map((family) => endsOf[family].service);
    const spec = { clients: 'to-c', servers: 'to-s', service, clientMac, ...more };
    this.#balancer = await this.session('box', 'balance-servers', spec);
  }
  async ask(command: object): Promise<Reply> {
    if (this.#balancer === undefined) throw new Error('not started');
    return this.#balancer.ask(command);
  }
  /** Server `n`, from 1. @returns its id */
  async add(n: number): Promise<number> {
    const address = families.map((family) => serverAddress(n, family));
    const said = await this.ask({ do: 'add', address, mac: serverMac(n) });
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
    this.#spaces.close();
    this.#temporary.remove();
  }
}
