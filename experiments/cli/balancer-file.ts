// The file by which `reframer run --balancer FILE` is told of its servers, their health and their load.
// It is read again when it has changed; what differs is done, what does not is left alone.
import { readFileSync } from 'node:fs';

import { policies } from '../../balancer/options.js';
import { UsageError } from './errors.js';
import { ChangedFile } from './guard.js';
import { talk } from './output.js';

type Json = Readonly<Record<string, unknown>>;

interface Server {
  mac: string;
  weight: number;
  /** No new connections. */
  draining: boolean;
  load?: number;
  cores?: Json;
}

interface Pool {
  /** What the box is made with. */
  fixed: Json;
  /** By address. */
  servers: ReadonlyMap<string, Server>;
}

export interface BalancerReply {
  balanced?: { id?: number; done?: boolean; failed?: string };
  failed?: string;
}
interface Session {
  ask(command: object): Promise<BalancerReply>;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const fixedNames = ['service', 'clientMac', 'policy', 'maxServers', 'connectionLoad', 'quic'];
const serverNames = ['address', 'mac', 'weight', 'state', 'load', 'cores'];

function only(where: string, given: Json, names: readonly string[]): void {
  const odd = Object.keys(given).find((name) => !names.includes(name));
  if (odd !== undefined) throw new UsageError(`${where}: '${odd}' is none of ${names.join(', ')}`);
}

function text(where: string, given: Json, name: string): string {
  const value = given[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new UsageError(`${where}: ${name} is missing`);
}

function serverOf(where: string, given: Json): Server {
  only(where, given, serverNames);
  const { weight = 1, state = 'active', load, cores } = given;
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 1000)
    throw new UsageError(`${where}: weight must be 0 to 1000`);
  if (state !== 'active' && state !== 'draining')
    throw new UsageError(`${where}: state must be active or draining; one that died is left out`);
  if (load !== undefined && (typeof load !== 'number' || !(load >= 0)))
    throw new UsageError(`${where}: load must be 0 or more`);
  if (cores !== undefined && !isObject(cores))
    throw new UsageError(`${where}: cores must have key and table, or loads`);
  return {
    mac: text(where, given, 'mac'),
    weight,
    draining: state === 'draining',
    ...(load === undefined ? {} : { load }),
    ...(cores === undefined ? {} : { cores }),
  };
}

/** @throws UsageError */
export function readPool(path: string): Pool {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(given) || !Array.isArray(given['servers']))
    throw new UsageError(`${path}: must be an object with a list of servers`);
  const { servers: list, ...fixed } = given;
  only(path, fixed, fixedNames);
  for (const name of ['service', 'clientMac']) text(path, fixed, name);
  const policy = fixed['policy'] ?? 'round-robin';
  if (!policies.some((known) => known === policy))
    throw new UsageError(`${path}: policy must be one of ${policies.join(', ')}`);
  const servers = new Map<string, Server>();
  for (const [i, one] of (list as unknown[]).entries()) {
    const where = `${path}: server ${i + 1}`;
    if (!isObject(one)) throw new UsageError(`${where} must be an object`);
    const address = text(where, one, 'address');
    if (servers.has(address)) throw new UsageError(`${where}: ${address} is there twice`);
    servers.set(address, serverOf(where, one));
  }
  return { fixed, servers };
}

/** Keeps a box's balancer as a file says. */
export class BalancerFile {
  readonly #file: ChangedFile;
  readonly #first: Pool;
  readonly #ids = new Map<string, number>();
  #now = new Map<string, Server>();

  /** @throws UsageError */
  constructor(private readonly path: string) {
    this.#file = new ChangedFile(path);
    this.#first = readPool(path);
  }
  /** Of the job `forward`. */
  get spec(): Json {
    return this.#first.fixed;
  }
  async start(session: Session): Promise<void> {
    await this.#become(session, this.#first.servers);
  }
  async reload(session: Session): Promise<void> {
    if (!this.#file.changed()) return;
    try {
      const { fixed, servers } = readPool(this.path);
      if (JSON.stringify(fixed) !== JSON.stringify(this.#first.fixed))
        throw new UsageError(
          `${this.path}: all but the servers stays until the box is started anew`,
        );
      await this.#become(session, servers);
      talk(`reframer: ${this.path}: ${servers.size} servers`);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      talk(`reframer: ${error.message}; the servers stay as they are`);
    }
  }

  async #order(session: Session, command: Json): Promise<number> {
    const { balanced, failed } = await session.ask({ do: 'balancer', command });
    const why = failed ?? balanced?.failed;
    if (why !== undefined) throw new UsageError(`${this.path}: ${String(command['do'])}: ${why}`);
    return balanced?.id ?? -1;
  }
  async #become(session: Session, wanted: ReadonlyMap<string, Server>): Promise<void> {
    // Those that come first: connections of those that leave have somewhere to go.
    for (const [address, server] of wanted) {
      let before = this.#now.get(address);
      if (before !== undefined && before.mac !== server.mac)
        before = await this.#leave(session, address);
      if (before === undefined) {
        const { mac, weight } = server;
        const id = await this.#order(session, { do: 'add', address, mac, weight });
        this.#ids.set(address, id);
        before = { mac, weight, draining: false };
      }
      await this.#change(session, this.#ids.get(address) ?? -1, before, server);
      this.#now.set(address, server);
    }
    for (const address of [...this.#now.keys()])
      if (!wanted.has(address)) await this.#leave(session, address);
  }
  async #leave(session: Session, address: string): Promise<undefined> {
    await this.#order(session, { do: 'remove', id: this.#ids.get(address) });
    this.#ids.delete(address);
    this.#now.delete(address);
    return undefined;
  }
  async #change(session: Session, id: number, before: Server, now: Server): Promise<void> {
    if (before.weight !== now.weight)
      await this.#order(session, { do: 'weight', id, weight: now.weight });
    if (before.draining !== now.draining)
      await this.#order(session, { do: now.draining ? 'drain' : 'activate', id });
    // A report ends what was booked since the last one, so it counts even where the value is the same.
    if (now.load !== undefined) await this.#order(session, { do: 'load', id, load: now.load });
    if (now.cores !== undefined) await this.#order(session, { ...now.cores, do: 'cores', id });
  }
}
