// The balancer in the box: `reframer run --balancer FILE` between two interfaces of Linux, its servers
// told by a file that changes under way.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';

import {
  clientMac,
  endsOf,
  missingForNetwork,
  Network,
  serverAddress,
  serverMac,
} from '../../experiments/balancer/real/network.js';
import { download, ended } from '../../experiments/balancer/real/programs.js';
import { BalancerFile, readPool, type BalancerReply } from '../../experiments/cli/balancer-file.js';
import { UsageError } from '../../experiments/cli/errors.js';
import { dpdkProgram, locate, packageRoot } from '../../native/loader.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';

const service = [endsOf[4].service, endsOf[6].service];
const pool = (servers: readonly object[], more: object = {}): string =>
  JSON.stringify({ service, clientMac, policy: 'least', ...more, servers });
const server = (n: number, more: object = {}): object => ({
  address: [serverAddress(n, 4), serverAddress(n, 6)],
  mac: serverMac(n),
  ...more,
});

test('a file that says something else is refused, by the place', () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'pool.json');
  const why = (text: string): string => {
    writeFileSync(file, text);
    try {
      readPool(file);
    } catch (error) {
      if (error instanceof UsageError) return error.message;
    }
    return 'nothing';
  };
  expect(why(pool([server(1), server(2, { state: 'draining', load: 3, weight: 2 })]))).toBe(
    'nothing',
  );
  expect(why('{')).toMatch(/JSON/);
  expect(why('[]')).toMatch(/list of servers/);
  expect(why(pool([server(1), server(1)]))).toMatch(/server 2: .* is there twice/);
  expect(why(pool([server(1, { state: 'dead' })]))).toMatch(/active or draining/);
  expect(why(pool([server(1, { weight: -1 })]))).toMatch(/weight must be 0 to 1000/);
  expect(why(pool([server(1, { lode: 1 })]))).toMatch(/'lode' is none of/);
  expect(why(JSON.stringify({ service, servers: [] }))).toMatch(/clientMac is missing/);
  const one = serverAddress(1);
  expect(why(pool([server(1, { address: one })]))).toMatch(/families of the service/);
  expect(why(pool([server(1, { address: [one, one] })]))).toMatch(/one of each family/);
  expect(why(pool([server(1), server(2, { address: [one, '2001:0db8::9'] })]))).toMatch(/twice/);
  expect(why(pool([server(1)], { service: 'x' }))).toMatch(/service must be an IP address/);
  expect(why(pool([server(1), server(2)], { maxServers: 1 }))).toMatch(
    /2 servers, maxServers is 1/,
  );
  const cores = { key: '01'.repeat(40), table: [0, 1, 2, 1], loads: [1, 2, 0.5] };
  expect(why(pool([server(1, { cores })]))).toBe('nothing');
  for (const [wrong, says] of [
    [{ ...cores, key: '01' }, /80 hex digits/],
    [{ ...cores, table: [0, 1, 2] }, /power of two/],
    [{ ...cores, table: [0, 256] }, /0 to 255/],
    [{ ...cores, loads: [1, 2] }, /each core of table/],
    [{ ...cores, loads: [1, 2, -1] }, /each core of table/],
  ] as const)
    expect(why(pool([server(1, { cores: wrong })]))).toMatch(says);
  folder.remove();
});

/** A pool that refuses what the native one does. */
class StrictPool {
  readonly servers = new Map<number, { address: string[]; mac: string; weight: number }>();
  readonly draining = new Set<number>();
  orders = 0;
  constructor(readonly most: number) {}

  ask(sent: object): Promise<BalancerReply> {
    const { command } = sent as { command: Record<string, unknown> };
    this.orders++;
    return Promise.resolve({ balanced: this.#obey(command) });
  }
  #obey(command: Record<string, unknown>): NonNullable<BalancerReply['balanced']> {
    const id = Number(command['id']);
    const known = this.servers.get(id);
    if (command['do'] === 'add') {
      const { address, mac, weight } = command as {
        address: string[];
        mac: string;
        weight: number;
      };
      const all = [...this.servers.values()].flatMap((each) => each.address);
      if (address.some((each) => all.includes(each))) return { failed: 'File exists' };
      if (this.servers.size === this.most) return { failed: 'No space left' };
      let free = 0;
      while (this.servers.has(free)) free++;
      this.servers.set(free, { address, mac, weight });
      return { id: free };
    }
    if (known === undefined) return { failed: 'No such file or directory' };
    if (command['do'] === 'remove') {
      this.servers.delete(id);
      this.draining.delete(id);
    }
    if (command['do'] === 'weight') known.weight = Number(command['weight']);
    if (command['do'] === 'drain') this.draining.add(id);
    if (command['do'] === 'activate') this.draining.delete(id);
    return { done: true };
  }
  told(): unknown[] {
    return [...this.servers]
      .map(([id, { address, mac, weight }]) => ({
        address,
        mac,
        weight,
        state: this.draining.has(id) ? 'draining' : 'active',
      }))
      .sort((a, b) => String(a.address).localeCompare(String(b.address)));
  }
}

test('a file counts as a whole or not at all, whatever comes after what', async () => {
  const folder = temporaryFolder();
  const path = join(folder.path, 'pool.json');
  let state = 12345;
  const below = (n: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * n);
  };
  const most = 5;
  const draw = (): object[] => {
    const fours = [1, 2, 3, 4, 5, 6, 7].sort(() => below(3) - 1);
    // Mostly the same two addresses together, at times others: then the one before has to go first.
    return fours.slice(0, below(most + 1)).map((n) => ({
      address: [serverAddress(n, 4), serverAddress(below(9) === 0 ? n + 20 : n, 6)],
      mac: serverMac(below(8) === 0 ? n + 30 : n),
      weight: below(4),
      state: below(3) === 0 ? 'draining' : 'active',
    }));
  };
  const rename = (servers: readonly object[], more: object = {}): void => {
    const next = `${path}.${below(2 ** 30)}`;
    writeFileSync(next, pool(servers, { maxServers: most, ...more }));
    renameSync(next, path);
  };
  const quiet = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  rename([]);
  const native = new StrictPool(most);
  const file = new BalancerFile(path);
  await file.start(native);
  for (let round = 0; round < 100; round++) {
    const servers = draw();
    rename(servers);
    await file.reload(native);
    const wanted = [...servers].sort((a, b) =>
      String((a as { address: string[] }).address).localeCompare(
        String((b as { address: string[] }).address),
      ),
    );
    expect(native.told()).toEqual(wanted);
    // A file of which only the last server is wrong changes nothing.
    const before = native.orders;
    rename([...draw().slice(0, 4), server(15, { weight: 1001 })]);
    await file.reload(native);
    expect(native.orders).toBe(before);
  }
  quiet.mockRestore();
  folder.remove();
});

function missing(): string[] {
  const list = missingForNetwork();
  try {
    locate(dpdkProgram);
  } catch {
    list.push('DPDK');
  }
  return list;
}

describe('a box that balances', () => {
  const lacks = missing();
  if (lacks.length > 0) return skipSuite(`the balancer in the box needs ${lacks.join(', ')}`);

  test('downloads stay whole while the file changes', { timeout: 120_000 }, async () => {
    const network = new Network({ servers: 3, fileBytes: 400_000, settings: {} });
    try {
      for (const n of [1, 2, 3]) await network.listens(n);
      const file = join(network.folder, 'pool.json');
      writeFileSync(file, pool([server(1), server(2)]));
      const ports = ['--in', 'af_packet:to-c', '--out', 'af_packet:to-s', '--both-ways'];
      const box = network.spawn('box', [
        process.execPath,
        join(packageRoot, 'experiments', 'cli', 'reframer.mjs'),
        ...['run', ...ports, '--no-reframe', '--balancer', file, '--user', 'root'],
        ...['--interval', '200ms', '--json'],
      ]);
      const end = ended(box);
      await new Promise((resolve) => box.stdout?.once('data', resolve));
      const half = [...endsOf[4].clients.slice(0, 3), ...endsOf[6].clients.slice(0, 2)];
      const from = (address: string): ReturnType<typeof download> =>
        download(network, address, 150_000, service[address.includes(':') ? 1 : 0]);
      const first = half.map(from);
      await sleep(500);
      // One more, one without new connections, one whose load is told.
      writeFileSync(file, pool([server(1, { state: 'draining' }), server(2), server(3)]));
      await sleep(600);
      const before = network.connections(1);
      const second = half.map(from);
      await sleep(300);
      expect(network.connections(1)).toBeLessThanOrEqual(before);
      expect(network.connections(3)).toBeGreaterThan(0);
      const bodies = await Promise.all([...first, ...second]);
      expect(bodies).toEqual(bodies.map(() => ({ sha256: network.sha256 })));
      box.kill('SIGINT');
      const { code, stdout } = await end;
      const { summary } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
        summary: { balancer: Readonly<Record<string, number>> };
      };
      expect(code).toBe(0);
      expect(summary.balancer).toMatchObject({ placed: 10, strays: 0, gone: 0, dropped: 0 });
      expect(summary.balancer['byCookie']).toBeGreaterThan(100);
    } finally {
      network.close();
    }
  });
});
