// Real connections of Linux through the balancer, while its servers join, drain and leave.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { skipSuite } from '../helpers/cli.js';
import { clientAddresses, missingForNetwork, Network } from './network.js';

const fileBytes = 3_000_000;

/** Downloads of some seconds while the pool changes twice a second; what the balancer counted. */
async function downloads(
  settings: Readonly<Record<string, number>>,
  seen?: (network: Network) => void,
): Promise<Readonly<Record<string, number>>> {
  const network = new Network(4, fileBytes, settings);
  try {
    await network.start('cookie');
    const ids = [await network.add(1), await network.add(2)];
    await sleep(300); // nginx listens
    const bodies: Promise<string>[] = [];
    const more = (): void => {
      for (const address of clientAddresses) bodies.push(network.download(address, 1_000_000));
    };
    more();
    await sleep(500);
    ids.push(await network.add(3));
    seen?.(network);
    await sleep(500);
    expect(await network.ask({ do: 'drain', id: ids[0] })).toEqual({ done: true });
    more();
    await sleep(500);
    ids.push(await network.add(4));
    await sleep(500);
    expect(await network.ask({ do: 'drain', id: ids[1] })).toEqual({ done: true });
    more();
    await sleep(500);
    expect(await network.ask({ do: 'activate', id: ids[0] })).toEqual({ done: true });
    await sleep(500);
    expect(await network.ask({ do: 'drain', id: ids[2] })).toEqual({ done: true });
    const got = await Promise.all(bodies);
    expect(got).toEqual(got.map(() => network.sha256));
    const { stats } = (await network.ask({ do: 'stats' })) as {
      stats: Readonly<Record<string, number>>;
    };
    expect(stats).toMatchObject({ strays: 0, gone: 0, wrongCookies: 0, malformed: 0 });
    expect(stats['placed']).toBe(3 * clientAddresses.length);
    return stats;
  } finally {
    network.close();
  }
}

describe('real connections', () => {
  const missing = missingForNetwork();
  if (missing.length > 0)
    return skipSuite(`real connections through the balancer need ${missing.join(', ')}`);

  test('one clock for all clients: by cookie, nothing is cut', { timeout: 60_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 2 });
    expect(stats['byCookie']).toBeGreaterThan(1000);
    expect(stats['uniform']).toBeGreaterThan(0);
  });

  test('a clock for each pair of hosts, Linux’s default', { timeout: 60_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 1 });
    expect(stats['byCookie']).toBeGreaterThan(1000);
    expect(stats['uniform']).toBe(0);
  });

  test('no timestamps: by the flow table', { timeout: 60_000 }, async () => {
    const stats = await downloads({ tcp_timestamps: 0 });
    expect(stats['byCookie']).toBe(0);
    expect(stats['byTable']).toBeGreaterThan(1000);
  });

  test('what SYN cookies keep in timestamps comes back', { timeout: 60_000 }, async () => {
    await downloads({ tcp_timestamps: 2, tcp_syncookies: 2 }, (network) => {
      const shown = network.in('s1', 'ss', '-tinH', 'state', 'established');
      expect(shown).toMatch(/\bwscale:\d+,[1-9]/);
      expect(shown).toMatch(/\bsack\b/);
      expect(shown).toMatch(/\bts\b/);
    });
  });
});
