// The balancer in the box: `reframer run --balancer FILE` between two interfaces of Linux, its servers
// told by a file that changes under way.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import {
  clientAddresses,
  clientMac,
  missingForNetwork,
  Network,
  serverAddress,
  serverMac,
  service,
} from '../../experiments/balancer/real/network.js';
import { download, ended } from '../../experiments/balancer/real/programs.js';
import { readPool } from '../../experiments/cli/balancer-file.js';
import { UsageError } from '../../experiments/cli/errors.js';
import { dpdkProgram, locate, packageRoot } from '../../native/loader.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';

const pool = (servers: readonly object[]): string =>
  JSON.stringify({ service, clientMac, policy: 'least', servers });
const server = (n: number, more: object = {}): object => ({
  address: serverAddress(n),
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
      const half = clientAddresses.slice(0, 5);
      const first = half.map((address) => download(network, address, 150_000));
      await sleep(500);
      // One more, one without new connections, one whose load is told.
      writeFileSync(file, pool([server(1, { state: 'draining' }), server(2), server(3)]));
      await sleep(600);
      const before = network.connections(1);
      const second = half.map((address) => download(network, address, 150_000));
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
