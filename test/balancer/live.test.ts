// Real connections of Linux through the balancer, while its servers join, drain and leave.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { runChanges } from '../../experiments/balancer/real/changes.js';
import {
  missingForNetwork,
  Network,
  type Family,
} from '../../experiments/balancer/real/network.js';
import { download, requests } from '../../experiments/balancer/real/programs.js';
import { missingForQuic, runQuic } from '../../experiments/balancer/real/quic.js';
import { measureTransport, runLoss } from '../../experiments/balancer/real/transport.js';
import { missingPrograms } from '../../experiments/cli/linux/spaces.js';
import { skipSuite } from '../helpers/cli.js';

// A second and a half at the rate that clients ask for: the pool changes five times meanwhile.
const fileBytes = 900_000;
const bytesPerSecond = 600_000;
const betweenMs = 300;

/** Downloads while servers join and drain; what the balancer counted. */
async function downloads(
  settings: Readonly<Record<string, number>>,
  seen?: (network: Network) => void,
  family: Family = 4,
): Promise<Readonly<Record<string, number>>> {
  const network = new Network({ servers: 3, fileBytes, settings, family });
  try {
    await network.start();
    const ids = [await network.add(1), await network.add(2)];
    for (const n of [1, 2, 3]) await network.listens(n);
    const bodies: ReturnType<typeof download>[] = [];
    const more = (): void => {
      for (const address of network.ends.clients)
        bodies.push(download(network, address, bytesPerSecond));
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
    expect(got).toEqual(got.map(() => ({ sha256: network.sha256 })));
    const stats = await network.stats();
    expect(stats).toMatchObject({ strays: 0, gone: 0, wrongCookies: 0, malformed: 0 });
    expect(stats['placed']).toBe(2 * network.ends.clients.length);
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

  test.each([2, 1, 0])('over IPv6, timestamps %i', { timeout: 120_000 }, async (timestamps) => {
    const stats = await downloads({ tcp_timestamps: timestamps }, undefined, 6);
    expect(stats[timestamps === 0 ? 'byTable' : 'byCookie']).toBeGreaterThan(100);
    expect(stats[timestamps === 0 ? 'byCookie' : 'toAll']).toBe(0);
  });

  test('random changes while wrk, curl and iperf3 run', { timeout: 120_000 }, async (context) => {
    if (missingPrograms({ wrk: 'wrk', iperf3: 'iperf3' }).length > 0) return context.skip();
    const got = await runChanges({ seconds: 5, timestamps: 1, perSecond: 4, seed: 3 });
    expect(got).toMatchObject({ broken: 0, lostPackets: 0, wrongBodies: 0, cutBodies: 0 });
    expect(got).toHaveProperty(
      'changes',
      expect.toSatisfy((n: number) => n >= 15),
    );
  });

  test('a request that is never answered counts', { timeout: 120_000 }, async (context) => {
    if (missingPrograms({ wrk: 'wrk' }).length > 0) return context.skip();
    const network = new Network({ servers: 1, fileBytes, settings: {} });
    try {
      await network.start();
      await network.add(1);
      await network.listens(1);
      expect(await requests(network, 2, 1)).toMatchObject({ errors: 0, overdue: 0 });
      const asked = requests(network, 5, 1);
      await sleep(1000);
      network.silenceWeb(1, true);
      expect((await asked).overdue).toBeGreaterThan(0);
      network.silenceWeb(1, false);
    } finally {
      network.close();
    }
  });

  test('ends see each other as without a balancer', { timeout: 120_000 }, async (context) => {
    if (missingPrograms({ iperf3: 'iperf3', nstat: 'iproute2' }).length > 0) return context.skip();
    const direct = await measureTransport('direct');
    const balanced = await measureTransport('balanced');
    const same = ['windowScale', 'sack', 'ecn', 'broken'] as const;
    const only = (of: object): object =>
      Object.fromEntries(Object.entries(of).filter(([key]) => same.some((name) => name === key)));
    expect(only(balanced)).toEqual(only(direct));
    expect(balanced).toMatchObject({ sack: 1, openedByCookie: 6, broken: 0 });
    expect(balanced).toHaveProperty(
      'windowScale',
      expect.toSatisfy((n: number) => n > 0),
    );
  });

  test('lost packets lead to no undone cuts', { timeout: 120_000 }, async () => {
    const lossy = { oneIn: 100, downloads: 3, seed: 1 };
    const balanced = await runLoss({ contender: 'balanced', ...lossy });
    expect(balanced).toMatchObject({ undoneLossUndo: 0, undoneFullUndo: 0, broken: 0 });
    expect(balanced).toHaveProperty(
      'retransmitted',
      expect.toSatisfy((n: number) => n > 20),
    );
  });

  test('QUIC clients change their ports under way', { timeout: 120_000 }, async (context) => {
    if (
      missingForQuic() !== undefined ||
      missingPrograms({ gtlsclient: 'ngtcp2-client' }).length > 0
    )
      return context.skip();
    for (const family of [4, 6] as const) {
      const got = await runQuic({ contender: 'encrypted', pairs: 2, seed: 1, family });
      expect(got).toMatchObject({ transfers: 4, broken: 0, astray: 0, moved: 4 });
    }
  });
});
