// What the ends of a connection know of their path and of each other, through the balancer and past it.
import { setTimeout as sleep } from 'node:timers/promises';

import { endsOf, Network, serverAddress, type Settings } from './network.js';
import { download, Iperf } from './programs.js';
import { randomOf } from './random.js';

/** `blurred`: as a balancer that keeps its number in the low eight bits of a timestamp. */
export type Way = 'direct' | 'balanced' | 'blurred';

/** Which of the clients and which ports a trial uses. */
interface Draw {
  client: string;
  port: number;
}
const draw = (seed: number): Draw => {
  const below = randomOf(seed);
  return {
    client: endsOf[4].clients[below(endsOf[4].clients.length)] ?? '',
    port: 5201 + 4 * below(1000),
  };
};

const host = (way: Way): string => (way === 'direct' ? serverAddress(1) : endsOf[4].service);
const from = (way: Way, { client }: Draw): string =>
  way === 'direct' ? endsOf[4].directClient : client;

async function open(way: Way, fileBytes: number, settings: Settings): Promise<Network> {
  const network = new Network({ servers: 1, fileBytes, settings });
  try {
    await network.listens(1);
    // A balancer that knows the server would take its direct answers for those of the service.
    if (way !== 'direct') {
      await network.start(way === 'blurred' ? { blurredBits: 8 } : {});
      await network.add(1);
    }
    return network;
  } catch (error) {
    network.close();
    throw error;
  }
}

/** A connection as `ss -tin` shows it. */
export function shown(line: string): {
  rttMs?: number;
  receiverRttMs?: number;
  windowScale?: string;
  sack: boolean;
  ecn: boolean;
} {
  const number = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(line)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const rttMs = number(/\brtt:([\d.]+)/);
  const receiverRttMs = number(/\brcv_rtt:([\d.]+)/);
  const windowScale = /\bwscale:(\d+,\d+)/.exec(line)?.[1];
  return {
    ...(rttMs === undefined ? {} : { rttMs }),
    ...(receiverRttMs === undefined ? {} : { receiverRttMs }),
    ...(windowScale === undefined ? {} : { windowScale }),
    sack: /\bsack\b/.test(line),
    ecn: /\becn\b/.test(line),
  };
}

export interface Transport {
  rttMs: number;
  receiverRttMs: number;
  windowScale: number;
  sack: number;
  ecn: number;
  /** Connections that a SYN cookie opened. */
  openedByCookie: number;
  broken: number;
}

/** Both ways, one after the other, and how far they are apart; the seed says which comes first. */
export async function runTransports({ seed }: { seed: number }): Promise<object> {
  const balancedFirst = seed % 2 === 0;
  const before = balancedFirst ? await measureTransport('balanced', seed) : undefined;
  const direct = await measureTransport('direct', seed);
  const balanced = before ?? (await measureTransport('balanced', seed));
  const off = (key: keyof Transport): number => Math.abs(balanced[key] - direct[key]);
  const told = (way: string, of: Transport): object =>
    Object.fromEntries(
      Object.entries(of).map(([key, value]) => [
        way + key.charAt(0).toUpperCase() + key.slice(1),
        value,
      ]),
    );
  return {
    rttOffMs: off('rttMs'),
    receiverRttOffMs: off('receiverRttMs'),
    optionsOff: (['windowScale', 'sack', 'ecn'] as const).filter((key) => off(key) > 0).length,
    openedByCookie: direct.openedByCookie + balanced.openedByCookie,
    ...told('direct', direct),
    ...told('balanced', balanced),
  };
}

/** The server's view of a transfer, ten times a second. */
async function watched(
  network: Network,
  way: Way,
  drawn: Draw,
  reverse: boolean,
): Promise<{ samples: ReturnType<typeof shown>[]; broken: boolean }> {
  const ends = { host: host(way), from: from(way, drawn), rate: '20M', reverse };
  const port = drawn.port + (reverse ? 1 : 0);
  const transfer = await Iperf.start(network, port, 3, ends);
  const carried = reverse ? /bytes_sent:\d{5}/ : /bytes_received:\d{5}/;
  const samples: ReturnType<typeof shown>[] = [];
  for (let i = 0; i < 22; i++) {
    await sleep(100);
    const filter = ['state', 'established', 'sport', '=', `:${port}`];
    const said = network.in('s1', 'ss', '-tinoHO', ...filter);
    // The one that carries data, not the one by which the ends agree.
    const line = said.split('\n').find((each) => carried.test(each));
    if (line !== undefined) samples.push(shown(line));
  }
  return { samples, broken: (await transfer.result).failed !== undefined };
}

/** Round-trip times, as the sender of data sees them and as its receiver, and options kept by SYN cookies. */
export async function measureTransport(way: Way, seed = 1): Promise<Transport> {
  const drawn = draw(seed);
  const settings = { tcp_timestamps: 2, tcp_syncookies: 2, tcp_ecn: 1 };
  const network = await open(way, 100_000, settings);
  try {
    const sent = await watched(network, way, drawn, true);
    const received = await watched(network, way, drawn, false);
    // A receiver's estimate begins with what it can guess: on a busy machine one transfer may end above it.
    const again = await watched(network, way, { ...drawn, port: drawn.port + 2 }, false);
    const cookies = /TcpExtSyncookiesRecv +(\d+)/.exec(network.in('s1', 'nstat', '-asz'))?.[1];
    // What else runs on this machine only adds to them.
    const least = (of: (typeof sent)['samples'], key: 'rttMs' | 'receiverRttMs'): number =>
      Math.min(...of.flatMap((sample) => sample[key] ?? []));
    const last = received.samples.at(-1);
    return {
      rttMs: least(sent.samples, 'rttMs'),
      receiverRttMs: least([...received.samples, ...again.samples], 'receiverRttMs'),
      windowScale: Number((last?.windowScale ?? '0,0').split(',')[1]),
      sack: last?.sack === true ? 1 : 0,
      ecn: last?.ecn === true ? 1 : 0,
      openedByCookie: Number(cookies ?? 0),
      broken: sent.broken || received.broken || again.broken ? 1 : 0,
    };
  } finally {
    network.close();
  }
}

// By timestamps; a receiver that has a segment twice says so itself (D-SACK), whatever they are.
const undos = ['LossUndo', 'FullUndo', 'PartialUndo'] as const;

export interface LossSpec {
  contender: Way;
  /** Frames lost on their way to the client: one in so many. */
  oneIn: number;
  downloads: number;
  /** Which frames, and which client. */
  seed: number;
}

/** Window cuts that the server took back, under real loss. */
export async function runLoss({
  contender: way,
  oneIn,
  downloads,
  seed,
}: LossSpec): Promise<object> {
  // BBR, where a machine has it by default, does not cut its window for a loss.
  const settings = { tcp_timestamps: 2, tcp_congestion_control: 'reno' };
  const network = await open(way, 4_000_000, settings);
  try {
    // On the client's side, where both ways are one.
    const loss = await network.session('client', 'drop-frames', {
      interface: 'c',
      oneIn,
      seed,
    });
    let wrong = 0;
    const started = performance.now();
    for (let i = 0; i < downloads; i++) {
      const got = await download(network, from(way, draw(seed)), 0, host(way));
      wrong += got.sha256 === network.sha256 ? 0 : 1;
    }
    const seconds = (performance.now() - started) / 1000;
    const { stats } = await loss.ask({ do: 'stats' });
    const counted = network.in('s1', 'nstat', '-asz');
    const counter = (name: string): number =>
      Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(counted)?.[1] ?? 0);
    const undone = Object.fromEntries(
      undos.map((name) => [`undone${name}`, counter(`TcpExtTCP${name}`)]),
    );
    const retransmitted = counter('TcpRetransSegs');
    const total = Object.values(undone).reduce((sum, n) => sum + n, 0);
    return {
      contender: way,
      ...undone,
      undone: total,
      undoneDsack: counter('TcpExtTCPDSACKUndo'),
      retransmitted,
      undonePercent: (100 * total) / Math.max(retransmitted, 1),
      dropped: (stats as { dropped: number }).dropped,
      megabitsPerSecond: (8e-6 * network.options.fileBytes * downloads) / seconds,
      broken: wrong,
    };
  } finally {
    network.close();
  }
}
