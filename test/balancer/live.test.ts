// Real connections of Linux through the balancer, while its servers join, drain and leave.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { skipSuite } from '../helpers/cli.js';
import { clientAddresses, missingForNetwork, Network } from './network.js';

// A second and a half at the rate that clients ask for: the pool changes five times meanwhile.
const fileBytes = 900_000;
const bytesPerSecond = 600_000;
const betweenMs = 300;

/** Downloads while servers join and drain; what the balancer counted. */
async function downloads(
  settings: Readonly<Record<string, number>>,
  seen?: (network: Network) => void,
): Promise<Readonly<Record<string, number>>> {
  const network = new Network(3, fileBytes, settings);
  try {
    await network.start('cookie');
    const ids = [await network.add(1), await network.add(2)];
    await network.listens(3);
    const bodies: Promise<string>[] = [];
    const more = (): void => {
      for (const address of clientAddresses) bodies.push(network.download(address, bytesPerSecond));
    };
    const done = { done: true };
    more();
    await sleep(betweenMs);
    ids.push(await network.add(3));
    await sleep(betweenMs);
    seen?.(network);
    expect(await network.ask({ do: 'drain', id: ids[0] })).toEqual(done);
    more();
    await sleep(betweenMs);
    expect(await network.ask({ do: 'drain', id: ids[1] })).toEqual(done);
    await sleep(betweenMs);
    expect(await network.ask({ do: 'activate', id: ids[0] })).toEqual(done);
    await sleep(betweenMs);
    expect(await network.ask({ do: 'drain', id: ids[2] })).toEqual(done);
    const got = await Promise.all(bodies);
    expect(got).toEqual(got.map(() => network.sha256));
    const { stats } = (await network.ask({ do: 'stats' })) as {
      stats: Readonly<Record<string, number>>;
    };
    expect(stats).toMatchObject({ strays: 0, gone: 0, wrongCookies: 0, malformed: 0 });
    expect(stats['placed']).toBe(2 * clientAddresses.length);
    return stats;
  } finally {
    network.close();
  }
}

describe('real connections', () => {
  const missing = missingForNetwork();
  if (missing.length > 0)
    return skipSuite(`real connections through the balancer need ${missing.join(', ')}`);

  test('one clock for all clients, opened by SYN cookies', { timeout: 120_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 2, tcp_syncookies: 2 }, (network) => {
      // Linux keeps the client's window scale in the low bits of the timestamp meanwhile.
      expect(network.in('s1', 'nstat', '-az', 'TcpExtSyncookiesRecv')).toMatch(/Recv +[1-9]/);
      const shown = network.in('s1', 'ss', '-tinH', 'state', 'established');
      expect(shown).toMatch(/\bwscale:\d+,[1-9]/);
    });
    expect(stats['byCookie']).toBeGreaterThan(100);
    expect(stats['uniform']).toBeGreaterThan(0);
  });

  test('a clock for each pair of hosts, Linux’s default', { timeout: 120_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 1 });
    expect(stats['byCookie']).toBeGreaterThan(100);
    expect(stats['uniform']).toBe(0);
  });

  test('no timestamps: by the flow table', { timeout: 120_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 0 });
    expect(stats['byCookie']).toBe(0);
    expect(stats['byTable']).toBeGreaterThan(100);
  });
});
