// The file by which `reframer run --balancer FILE` is told of its servers, their health and their load.
// It is read again when it has changed; what differs is done, what does not is left alone.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

import { policies } from '../../balancer/options.js';
import { addressBytes, addressText } from '../../native/address.js';
import { systemText } from '../core/errors.js';
import { UsageError } from './errors.js';
import { ChangedFile } from './guard.js';
import { talk } from './output.js';

type Json = Readonly<Record<string, unknown>>;

interface Server {
  address: readonly string[];
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
  /** By address, as text. */
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
const mostLoad = 1e12;
const tableSizes = Array.from({ length: 10 }, (_, bits) => 1 << bits);
const fixedNames = ['service', 'clientMac', 'policy', 'maxServers', 'connectionLoad', 'quic'];
const serverNames = ['address', 'mac', 'weight', 'state', 'load', 'cores'];

function only(where: string, given: Json, names: readonly string[]): void {
  const odd = Object.keys(given).find((name) => !names.includes(name));
  if (odd !== undefined) throw new UsageError(`${where}: '${odd}' is none of ${names.join(', ')}`);
}

function macOf(where: string, given: Json, name: string): string {
  const value = given[name];
  if (value === undefined) throw new UsageError(`${where}: ${name} is missing`);
  if (typeof value === 'string' && /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(value)) return value;
  throw new UsageError(`${where}: ${name} must be six bytes, 02:00:00:00:00:01`);
}

/** One address, or a list with one of each family, as they are usually written. */
function addresses(where: string, given: Json, name: string): readonly string[] {
  const value = given[name];
  const list = (Array.isArray(value) ? value : [value]) as unknown[];
  const all = list.map((one) => (typeof one === 'string' ? addressBytes(one) : undefined));
  const known = all.filter((bytes) => bytes !== undefined);
  if (known.length < list.length || new Set(known.map(({ length }) => length)).size < list.length)
    throw new UsageError(`${where}: ${name} must be an IP address, or one of each family`);
  return known.sort((one, other) => one.length - other.length).map(addressText);
}

/** How a server spreads packets over its cores: nothing of it is left to be refused. */
function coresOf(where: string, given: unknown): Json {
  const wrong = (what: string): UsageError => new UsageError(`${where}: cores: ${what}`);
  if (!isObject(given)) throw wrong('must have key, table and perhaps loads');
  only(`${where}: cores`, given, ['key', 'table', 'loads']);
  const { key, table, loads = [] } = given;
  const numbers = (of: unknown, most: number): of is number[] =>
    Array.isArray(of) && of.every((n) => typeof n === 'number' && n >= 0 && n <= most);
  if (typeof key !== 'string' || !/^[0-9a-f]{80}$/i.test(key))
    throw wrong('key must have 80 hex digits');
  if (!numbers(table, 255) || !table.every(Number.isInteger) || !tableSizes.includes(table.length))
    throw wrong('table must have a power of two of cores, each 0 to 255, at most 512 of them');
  if (!numbers(loads, mostLoad) || ![0, Math.max(...table) + 1].includes(loads.length))
    throw wrong('loads must have a number of 0 or more for each core of table');
  return loads.length === 0 ? { key, table } : { key, table, loads };
}

function serverOf(where: string, given: Json): Omit<Server, 'address'> {
  only(where, given, serverNames);
  const { weight = 1, state = 'active', load, cores } = given;
  if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 1000)
    throw new UsageError(`${where}: weight must be 0 to 1000`);
  if (state !== 'active' && state !== 'draining')
    throw new UsageError(`${where}: state must be active or draining; one that died is left out`);
  if (load !== undefined && (typeof load !== 'number' || !(load >= 0 && load <= mostLoad)))
    throw new UsageError(`${where}: load must be 0 to ${mostLoad}`);
  return {
    mac: macOf(where, given, 'mac'),
    weight,
    draining: state === 'draining',
    ...(load === undefined ? {} : { load }),
    ...(cores === undefined ? {} : { cores: coresOf(where, cores) }),
  };
}

/** @throws UsageError */
export function readPool(path: string): Pool {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(
      error instanceof SyntaxError ? `${path}: ${error.message}` : systemText(error, path),
    );
  }
  if (!isObject(given) || !Array.isArray(given['servers']))
    throw new UsageError(`${path}: must be an object with a list of servers`);
  const { servers: list, ...fixed } = given;
  only(path, fixed, fixedNames);
  const service = addresses(path, fixed, 'service');
  macOf(path, fixed, 'clientMac');
  const policy = fixed['policy'] ?? 'round-robin';
  if (!policies.some((known) => known === policy))
    throw new UsageError(`${path}: policy must be one of ${policies.join(', ')}`);
  const most = fixed['maxServers'] ?? 256;
  if (typeof most !== 'number') throw new UsageError(`${path}: maxServers must be a number`);
  if (list.length > most)
    throw new UsageError(`${path}: there are ${list.length} servers, maxServers is ${most}`);
  const servers = new Map<string, Server>();
  const used = new Set<string>();
  for (const [i, one] of (list as unknown[]).entries()) {
    const where = `${path}: server ${i + 1}`;
    if (!isObject(one)) throw new UsageError(`${where} must be an object`);
    const address = addresses(where, one, 'address');
    if (String(address.map(isIP)) !== String(service.map(isIP)))
      throw new UsageError(`${where}: address must have the families of the service, and no other`);
    for (const each of address) {
      if (used.has(each)) throw new UsageError(`${where}: ${each} is there twice`);
      used.add(each);
    }
    servers.set(String(address), { ...serverOf(where, one), address });
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
  /**
   * readPool() has refused what could be: no order fails, unless the box is out of memory or gone. So a
   * file counts as a whole or not at all.
   */
  async #become(session: Session, wanted: ReadonlyMap<string, Server>): Promise<void> {
    const come = [...wanted].filter(([key, { mac }]) => this.#now.get(key)?.mac !== mac);
    const taken = new Set(come.flatMap(([, { address }]) => address));
    const leaving = [...this.#now].filter(([key]) => !wanted.has(key));
    const most = Number(this.#first.fixed['maxServers'] ?? 256);
    // Whoever comes first comes first, so that connections of those that leave have somewhere to go; but
    // an address, and the last id, can be given only when they are free.
    for (const [key, { address }] of [...this.#now])
      if (address.some((each) => taken.has(each))) await this.#leave(session, key);
    for (const [key] of leaving)
      if (this.#now.has(key) && this.#now.size + come.length > most)
        await this.#leave(session, key);
    for (const [key, server] of come) {
      const { address, mac, weight } = server;
      this.#ids.set(key, await this.#order(session, { do: 'add', address, mac, weight }));
      this.#now.set(key, { address, mac, weight, draining: false });
    }
    for (const [key, server] of wanted) {
      const before = this.#now.get(key);
      if (before !== undefined)
        await this.#change(session, this.#ids.get(key) ?? -1, before, server);
      this.#now.set(key, server);
    }
    for (const [key] of leaving) if (this.#now.has(key)) await this.#leave(session, key);
  }
  async #leave(session: Session, key: string): Promise<void> {
    await this.#order(session, { do: 'remove', id: this.#ids.get(key) });
    this.#ids.delete(key);
    this.#now.delete(key);
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
