// TRex in stateless mode by its remote interface: JSON-RPC 2.0 over ZeroMQ. A stream of UDP frames, and
// one of a thousand packets a second beside it whose latency and order TRex measures.
import { HarnessError } from '../core/errors.js';
import type { JsonObject, JsonValue } from '../core/types.js';
import type { TesterRole } from './bed.js';
import { addressOf } from './address.js';
import {
  shareOfAsked,
  sleep,
  type Figures,
  type LatencyNs,
  type Load,
  type Tester,
} from './tester.js';
import { RequestSocket } from './zmtp.js';

const patienceMs = 5000;
const graceMs = 200;
const loadGroup = 1;
const latencyGroup = 2;
const latencyPps = 1000;

interface Reply {
  result?: JsonValue;
  error?: { message?: string; specific_err?: string };
}

export class TrexRpc {
  private id = 0;
  private apiHandle: string | undefined;
  /** The server answers one request at a time, and the window asks by a clock of its own. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(private readonly socket: RequestSocket) {}

  static async open(address: string): Promise<TrexRpc> {
    const { host, port } = addressOf(address);
    try {
      return new TrexRpc(await RequestSocket.open(host, port, patienceMs));
    } catch (error) {
      throw new HarnessError(
        'no-tester',
        `tester: TRex does not answer at ${address} (${(error as Error).message}); start it with -i`,
      );
    }
  }

  /** Once what was asked before has its answer. @throws HarnessError with the server's words */
  call<T extends JsonValue>(method: string, params: JsonObject = {}): Promise<T> {
    const mine = this.turn.then(() => this.exchange<T>(method, params));
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private async exchange<T extends JsonValue>(method: string, params: JsonObject): Promise<T> {
    const request = {
      jsonrpc: '2.0',
      id: ++this.id,
      method,
      params: { ...(this.apiHandle === undefined ? {} : { api_h: this.apiHandle }), ...params },
    };
    let reply: Reply;
    try {
      reply = JSON.parse(await this.socket.ask(JSON.stringify(request))) as Reply;
    } catch (error) {
      throw new HarnessError('tester', `tester: TRex: ${method}: ${(error as Error).message}`);
    }
    if (reply.error !== undefined)
      throw new HarnessError(
        'tester',
        `tester: TRex: ${method}: ${reply.error.specific_err ?? reply.error.message ?? 'refused'}`,
      );
    return reply.result as T;
  }

  async greet(): Promise<void> {
    const { api_h: handle } = await this.call<{ api_h: string }>('api_sync_v2', {
      name: 'STL',
      major: 5,
      minor: 1,
    });
    this.apiHandle = handle;
  }

  close(): void {
    this.socket.close();
  }
}

/** An Ethernet frame with UDP inside, addresses of the range for benchmarks (RFC 2544). */
export function udpFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.write('020000000002020000000001', 0, 'hex');
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(bytes - 14, 16);
  frame[22] = 64;
  frame[23] = 17;
  frame.write('c6120001c6130001', 26, 'hex');
  frame.writeUInt16BE(1025, 34);
  frame.writeUInt16BE(12, 36);
  frame.writeUInt16BE(bytes - 34, 38);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at);
  sum = (sum & 0xffff) + (sum >> 16);
  frame.writeUInt16BE(~(sum + (sum >> 16)) & 0xffff, 24);
  return frame;
}

interface StreamWish {
  group: number;
  pps: number;
  rule: 'stats' | 'latency';
  bytes: number;
  /** Source ports that its packets run through: as many flows. */
  flows: number;
}

function stream({ group, pps, rule, bytes, flows }: StreamWish): JsonObject {
  const instructions: JsonObject[] =
    flows <= 1
      ? []
      : [
          {
            type: 'flow_var',
            name: 'port',
            size: 2,
            op: 'inc',
            step: 1,
            init_value: 1025,
            min_value: 1025,
            max_value: 1024 + Math.min(flows, 60_000),
          },
          {
            type: 'write_flow_var',
            name: 'port',
            pkt_offset: 34,
            add_value: 0,
            is_big_endian: true,
          },
        ];
  return {
    enabled: true,
    self_start: true,
    isg: 0,
    next_stream_id: -1,
    flags: 3,
    action_count: 0,
    random_seed: 0,
    mode: { type: 'continuous', rate: { type: 'pps', value: pps } },
    packet: { binary: udpFrame(bytes).toString('base64'), meta: '' },
    vm: { instructions },
    flow_stats: { enabled: true, stream_id: group, rule_type: rule },
  };
}

type ByPort = Record<string, number>;
interface PgidStats extends JsonObject {
  flow_stats: Record<string, { rp?: ByPort; tp?: ByPort; rb?: ByPort; tb?: ByPort }> & JsonObject;
  latency: Record<string, JsonObject> & JsonObject;
}

interface Counted {
  sent: number;
  received: number;
  sentBytes: number;
  receivedBytes: number;
  outOfOrder: number;
  histogram: [number, number][];
  average: number;
  max: number;
}

const all = (counts: ByPort | undefined): number =>
  Object.values(counts ?? {}).reduce((sum, value) => sum + value, 0);

const numberOf = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0);

/** Both streams together; the latencies are microseconds. */
export function countsOf(stats: PgidStats, bytes: number): Counted {
  const groups = [loadGroup, latencyGroup].map((group) => stats.flow_stats[String(group)] ?? {});
  const sum = (pick: (group: (typeof groups)[number]) => number): number =>
    groups.reduce((total, group) => total + pick(group), 0);
  const of = (stats.latency[String(latencyGroup)] ?? {}) as {
    lat?: Record<string, JsonValue>;
    er?: Record<string, JsonValue>;
  };
  const lat = of.lat ?? {};
  const histogram = Object.entries((lat.h ?? lat.histogram ?? {}) as Record<string, number>)
    .map(([us, n]) => [Number(us), n] as [number, number])
    .sort(([a], [b]) => a - b);
  const received = sum((group) => all(group.rp));
  const sent = sum((group) => all(group.tp));
  return {
    sent,
    received,
    sentBytes: sum((group) => all(group.tb)) || sent * bytes,
    receivedBytes: sum((group) => all(group.rb)) || received * bytes,
    outOfOrder: numberOf(of.er?.ooo),
    histogram,
    average: numberOf(lat.s_avg ?? lat.average),
    max: numberOf(lat.t_max ?? lat.total_max),
  };
}

/** Counters of a group may go on from one start to the next; where they began anew they are below. */
export function sinceStart(now: Counted, before: Counted): Counted {
  if (now.sent < before.sent || now.received < before.received) return now;
  const had = new Map(before.histogram);
  return {
    ...now,
    sent: now.sent - before.sent,
    received: now.received - before.received,
    sentBytes: now.sentBytes - before.sentBytes,
    receivedBytes: now.receivedBytes - before.receivedBytes,
    outOfOrder: Math.max(0, now.outOfOrder - before.outOfOrder),
    histogram: now.histogram
      .map(([us, n]) => [us, n - (had.get(us) ?? 0)] as [number, number])
      .filter(([, n]) => n > 0),
  };
}

/** TRex's histogram has two digits: a bucket is known by its lower end. */
export function latencyOf({ histogram, average, max }: Counted): LatencyNs | undefined {
  const total = histogram.reduce((sum, [, n]) => sum + n, 0);
  if (total === 0) return undefined;
  const quantile = (share: number): number => {
    let seen = 0;
    for (const [us, n] of histogram) if ((seen += n) >= share * total) return us * 1000;
    return max * 1000;
  };
  return {
    mean: average * 1000,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    p999: quantile(0.999),
    max: max * 1000,
  };
}

const portNumber = (word: string): number => {
  if (!/^\d+$/.test(word))
    throw new HarnessError('bad-bed', `tester.tx: TRex's ports are numbers, not '${word}'`, 2);
  return Number(word);
};

/** Mean frame of campus traffic. */
const frameBytes = 768;
const flowCount = 10_000;

export async function openTrex(role: TesterRole): Promise<Tester> {
  const [tx, rx] = [portNumber(role.tx), portNumber(role.rx)];
  const rpc = await TrexRpc.open(role.address);
  let version: string;
  try {
    await rpc.greet();
    ({ version = '' } = await rpc.call<{ version?: string }>('get_version'));
  } catch (error) {
    rpc.close();
    throw error;
  }
  const handlers = new Map<number, string>();
  const own = (port: number): JsonObject => ({ port_id: port, handler: handlers.get(port) ?? '' });
  let sends = false;
  // Traffic and ports outlive a client that only hangs up, and the next one finds them taken.
  const close = async (): Promise<void> => {
    try {
      if (sends) await rpc.call('stop_traffic', own(tx));
      for (const port of handlers.keys()) await rpc.call('release', own(port));
    } finally {
      rpc.close();
    }
  };
  try {
    for (const port of new Set([tx, rx]))
      handlers.set(
        port,
        await rpc.call<string>('acquire', {
          port_id: port,
          user: 'reframer',
          session_id: process.pid,
          force: false,
        }),
      );
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  let load: Load = { bps: 0, warmupMs: 0, windowMs: 0 };
  let first: Counted | undefined;
  let opened: Counted | undefined;
  let openedAt = 0;
  let window: Promise<void> = Promise.resolve();
  const counted = async (): Promise<Counted> =>
    countsOf(
      await rpc.call<PgidStats>('get_pgid_stats', { pgids: [loadGroup, latencyGroup] }),
      frameBytes,
    );
  return {
    about: { tester: `TRex ${version}`.trim() },
    start: async (asked) => {
      load = asked;
      if (load.bps <= 0)
        throw new HarnessError('beyond-tester', 'TRex needs a rate: this part has none', 3);
      await rpc.call('remove_all_streams', own(tx));
      const wishes: StreamWish[] = [
        {
          group: loadGroup,
          pps: load.bps / 8 / frameBytes,
          rule: 'stats',
          bytes: frameBytes,
          flows: flowCount,
        },
        { group: latencyGroup, pps: latencyPps, rule: 'latency', bytes: frameBytes, flows: 1 },
      ];
      for (const [i, wish] of wishes.entries())
        await rpc.call('add_stream', { ...own(tx), stream_id: i + 1, stream: stream(wish) });
      first = await counted();
      await rpc.call('start_traffic', {
        ...own(tx),
        mul: { op: 'abs', type: 'raw', value: 1 },
        duration: -1,
        force: true,
      });
      sends = true;
      window = sleep(load.warmupMs).then(async () => {
        opened = await counted();
        openedAt = performance.now();
      });
      window.catch(() => undefined);
    },
    stop: async (): Promise<Figures> => {
      await window;
      await sleep(load.windowMs - (performance.now() - openedAt));
      const closed = await counted();
      const seconds = (performance.now() - openedAt) / 1000;
      await rpc.call('stop_traffic', own(tx));
      sends = false;
      await sleep(graceMs);
      const end = await counted();
      const last = first === undefined ? end : sinceStart(end, first);
      const before = opened ?? closed;
      const latencyNs = latencyOf(last);
      const offeredBps = ((closed.sentBytes - before.sentBytes) * 8) / seconds;
      // Its packets bear no number of a window: losses and latency are from start to stop.
      return {
        seconds,
        sent: last.sent,
        received: last.received,
        lost: Math.max(0, last.sent - last.received),
        outOfOrder: last.outOfOrder,
        latencyNs,
        offeredBps,
        reachedShare: shareOfAsked(load, offeredBps),
        receivedBps: ((closed.receivedBytes - before.receivedBytes) * 8) / seconds,
        all: { sent: last.sent, received: last.received },
        details: { orderOf: 'the latency stream' },
      };
    },
    close,
  };
}
