// QUIC: Debian's ngtcp2 client, servers of ours on libngtcp2 whose connection ids name them, and ports
// that change in mid-transfer while the pool does.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { locate, type NativeFile } from '../../../native/loader.js';
import { inUrl, Network, serverAddress, type Family } from './network.js';
import { ended } from './programs.js';
import { randomOf } from './random.js';

/** `none`: the balancer knows nothing of ids, packets go by addresses and ports. */
export type Ids = 'plain' | 'encrypted' | 'none';

const quicServer: NativeFile = { variable: 'REFRAMER_QUIC_SERVER', file: 'reframer-quic-server' };
const port = 443;
const servers = 4;
const fileBytes = 12_000_000;
const key = '00112233445566778899aabbccddeeff';

/** @returns why it cannot be; undefined: nothing is missing */
export function missingForQuic(): string | undefined {
  try {
    locate(quicServer);
    return undefined;
  } catch {
    return 'a QUIC server (Debian packages libngtcp2-dev, libngtcp2-crypto-gnutls-dev, libnghttp3-dev, libgnutls28-dev)';
  }
}

interface Said {
  connections: number;
  moved: number;
  unknown: number;
}

async function transfer(
  network: Network,
  n: number,
  upload: boolean,
  movesMs: number,
): Promise<boolean> {
  const folder = `${network.folder}/quic-${n}`;
  mkdirSync(folder);
  // A download whose client moves, with a new id; an upload whose NAT gives it another port under way,
  // with the id that it has: a client that only receives would not notice.
  const kind = upload ? ['-m', 'POST', '-d', network.file, '--nat-rebinding'] : [];
  const options = ['-q', '--no-quic-dump', '--no-http-dump', '--exit-on-all-streams-close'];
  const command = ['timeout', '60', 'gtlsclient', ...options, ...kind];
  const { service } = network.ends;
  const target = [service, String(port), `https://${inUrl(service)}/file`];
  await ended(
    network.spawn('client', [
      ...command,
      ...[`--change-local-addr=${movesMs}ms`, `--download=${folder}`, ...target],
    ]),
  );
  try {
    const body = readFileSync(`${folder}/file`);
    return upload
      ? body.toString() === network.sha256
      : createHash('sha256').update(body).digest('hex') === network.sha256;
  } catch {
    return false;
  }
}

export interface QuicSpec {
  contender: Ids;
  /** Of a download and an upload. */
  pairs: number;
  /** When ports and pool change, and which servers. */
  seed: number;
  family?: Family;
}

export async function runQuic({ contender: ids, pairs, seed, family }: QuicSpec): Promise<object> {
  const below = randomOf(seed);
  const network = new Network({
    servers,
    fileBytes,
    settings: {},
    withoutWeb: true,
    ...(family === undefined ? {} : { family }),
  });
  try {
    const form =
      ids === 'encrypted'
        ? { rotation: 2, serverIdLength: 3, nonceLength: 8, key }
        : { rotation: 0, serverIdLength: 2, nonceLength: 6 };
    await network.start(ids === 'none' ? {} : { quic: { port, ...form } });
    const running = [];
    for (let n = 1; n <= servers; n++) {
      const id = await network.add(n);
      const shape = [form.rotation, form.serverIdLength, form.nonceLength].map(String);
      const secret = ids === 'encrypted' ? [key] : [];
      const where = [serverAddress(n, family), String(port), network.file, String(id)];
      const child = network.spawn(`s${n}`, [locate(quicServer), ...where, ...shape, ...secret]);
      running.push({ id, child, end: ended(child) });
    }
    await sleep(500);
    const bodies = network.ends.clients
      .slice(0, pairs)
      .flatMap((_, i) => [
        transfer(network, 2 * i, false, 120 + below(60)),
        transfer(network, 2 * i + 1, true, 120 + below(60)),
      ]);
    // Meanwhile the pool changes: no new connections for the half of it, then for the other.
    await sleep(80 + below(40));
    const first = below(2);
    const rotated = below(servers);
    for (const half of [first, 1 - first]) {
      for (const [i, { id }] of running.entries())
        await network.ask({
          do: ((i + rotated) % servers) % 2 === half ? 'drain' : 'activate',
          id,
        });
      await sleep(150 + below(100));
    }
    const right = await Promise.all(bodies);
    for (const { child } of running) child.kill('SIGTERM');
    const said = (await Promise.all(running.map(({ end }) => end))).map(
      ({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Said,
    );
    const sum = (of: keyof Said): number => said.reduce((total, each) => total + each[of], 0);
    const stats = await network.stats();
    return {
      contender: ids,
      transfers: right.length,
      broken: right.filter((ok) => !ok).length,
      connections: sum('connections'),
      moved: sum('moved'),
      astray: sum('unknown'),
      byQuic: stats['byQuic'] ?? 0,
      unroutableIds: stats['unroutableIds'] ?? 0,
    };
  } finally {
    network.close();
  }
}
