// Testers of others, re-implemented as far as their remote interfaces go: TRex's JSON-RPC over ZeroMQ
// (ZMTP 3.0 by hand, from the specification), Pktgen-DPDK's Lua socket. Neither is packaged here; names
// and forms of requests and answers follow their sources.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Peer {
  address: string;
  /** Requests as they came. */
  asked: string[];
  /** What the tester would do still if its client were gone. */
  state: () => { sends: boolean; owned: number };
  close: () => Promise<void>;
}

/** What sends the packets. */
export interface Wire {
  start: (pps: number) => Promise<void>;
  /** While it sends; one that cannot goes on as it began. */
  change?: (pps: number) => void;
  stop: () => Promise<void>;
  /** Since the first start. */
  counts: () => Promise<{ sent: number; received: number }>;
}

/** Sends by the clock, and loses `lossShare` of it. */
export function clockWire(lossShare: number): Wire {
  let before = 0;
  let startedAt = 0;
  let pps = 0;
  const sent = (): number =>
    before + (startedAt === 0 ? 0 : Math.round(((Date.now() - startedAt) / 1000) * pps));
  return {
    start: (wanted) => {
      [pps, startedAt] = [wanted, Date.now()];
      return Promise.resolve();
    },
    change: (wanted) => {
      [before, startedAt, pps] = [sent(), Date.now(), wanted];
    },
    stop: () => {
      [before, startedAt] = [sent(), 0];
      return Promise.resolve();
    },
    counts: () => {
      const n = sent();
      return Promise.resolve({ sent: n, received: n - Math.round(n * lossShare) });
    },
  };
}

function listen(
  server: Server,
  asked: string[],
  state: Peer['state'],
  sockets = new Set<Socket>(),
): Promise<Peer> {
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({
        address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        asked,
        state,
        close: () =>
          new Promise((done) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => done());
          }),
      }),
    );
  });
}

interface Request {
  id: number;
  method: string;
  params: Record<string, unknown> & { stream?: Record<string, Record<string, unknown>> };
}

/** Ports with owners, and two streams on one wire: of ten thousand packets one is of the second. */
class TrexState {
  private streams: Record<string, Record<string, unknown>>[] = [];
  readonly owned = new Set<unknown>();
  sends = false;
  private starts = 0;

  constructor(private readonly wire: Wire) {}

  async answer({ method, params }: Request): Promise<{ result: unknown } | { error: unknown }> {
    const { port_id: port } = params;
    if (method !== 'api_sync_v2' && params.api_h !== 'key')
      return { error: { code: -32000, message: 'bad API handler' } };
    if (
      /^(add|remove|start|stop|release)/.test(method) &&
      (params.handler !== 'owner' || !this.owned.has(port))
    )
      return { error: { code: -32000, specific_err: 'port is not owned' } };
    switch (method) {
      case 'api_sync_v2':
        return { result: { api_h: 'key' } };
      case 'get_version':
        return { result: { version: 'v3.04', mode: 'STL' } };
      case 'acquire':
        if (this.owned.has(port) && params.force !== true)
          return { error: { code: -32000, specific_err: 'port is already owned by reframer' } };
        this.owned.add(port);
        return { result: 'owner' };
      case 'release':
        this.owned.delete(port);
        return { result: {} };
      case 'remove_all_streams':
        this.streams = [];
        return { result: {} };
      case 'add_stream':
        if (params.stream !== undefined) this.streams.push(params.stream);
        return { result: {} };
      case 'start_traffic':
        this.sends = true;
        this.starts++;
        await this.wire.start(
          this.streams.reduce(
            (sum, { mode }) => sum + (mode as { rate: { value: number } }).rate.value,
            0,
          ),
        );
        return { result: { multiplier: 1 } };
      case 'stop_traffic':
        this.sends = false;
        await this.wire.stop();
        return { result: {} };
      case 'get_pgid_stats':
        return { result: await this.stats() };
      default:
        return { error: { code: -32601, message: `no method ${method}` } };
    }
  }

  private async stats(): Promise<object> {
    const all = await this.wire.counts();
    const flow: Record<string, object> = {};
    const latency: Record<string, object> = { g: { old_flow: 0, bad_hdr: 0 } };
    for (const stream of this.streams) {
      const rule = stream.flow_stats as { stream_id: number; rule_type: string };
      const { binary } = stream.packet as { binary: string };
      const bytes = Buffer.from(binary, 'base64').length;
      const part = (n: number): number =>
        rule.rule_type === 'latency' ? Math.floor(n / 10_000) : n - Math.floor(n / 10_000);
      const [sent, received] = [part(all.sent), part(all.received)];
      flow[String(rule.stream_id)] = {
        tp: { '0': sent, '1': 0 },
        rp: { '0': 0, '1': received },
        tb: { '0': sent * bytes, '1': 0 },
        rb: { '0': 0, '1': received * bytes },
      };
      if (rule.rule_type === 'latency')
        latency[String(rule.stream_id)] = {
          // Of each start a hundred more; so are packets out of order, two of them.
          lat: {
            h: { '10': 90 * this.starts, '20': 9 * this.starts, '100': this.starts },
            s_avg: 12,
            t_max: 120,
            t_min: 9,
            jit: 1,
          },
          er: { ooo: 2 * this.starts },
        };
    }
    return { flow_stats: flow, latency, ver_id: {} };
  }
}

export function trexPeer(wire: Wire): Promise<Peer> {
  const asked: string[] = [];
  const state = new TrexState(wire);
  const server = createServer((socket) => {
    let last = Promise.resolve();
    let bytes = Buffer.alloc(0);
    let greeted = false;
    let empty = false;
    const greeting = Buffer.alloc(64);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
    greeting.write('NULL', 12);
    socket.write(greeting);
    socket.write(Buffer.from('\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REP', 'latin1'));
    socket.on('data', (part) => {
      bytes = Buffer.concat([bytes, part]);
      if (!greeted) {
        if (bytes.length < 64) return;
        if (bytes[0] !== 0xff || bytes[9] !== 0x7f || bytes.toString('latin1', 12, 16) !== 'NULL')
          return void socket.destroy();
        bytes = bytes.subarray(64);
        greeted = true;
      }
      for (;;) {
        if (bytes.length < 2) return;
        const flags = bytes[0] ?? 0;
        const wide = (flags & 2) !== 0;
        if (wide && bytes.length < 9) return;
        const size = wide ? Number(bytes.readBigUInt64BE(1)) : (bytes[1] ?? 0);
        const head = wide ? 9 : 2;
        if (bytes.length < head + size) return;
        const body = bytes.subarray(head, head + size);
        bytes = bytes.subarray(head + size);
        if ((flags & 4) !== 0) continue;
        // A request is an empty part, then the body.
        if ((flags & 1) !== 0) {
          empty = body.length === 0;
          continue;
        }
        if (!empty) return void socket.destroy();
        const request = JSON.parse(body.toString()) as Request;
        asked.push(request.method);
        last = last.then(async () => {
          const answer = Buffer.from(
            JSON.stringify({ jsonrpc: '2.0', id: request.id, ...(await state.answer(request)) }),
          );
          const size8 = Buffer.alloc(8);
          size8.writeBigUInt64BE(BigInt(answer.length));
          socket.write(Buffer.concat([Buffer.from([1, 0, 2]), size8, answer]));
        });
      }
    });
  });
  return listen(server, asked, () => ({ sends: state.sends, owned: state.owned.size }));
}

/** Of the frames that an emulated Pktgen sends. */
const pktgenBytes = 100;

/**
 * A line is a statement of Lua; of those that the driver sends it knows what they do. The link has 10 Gbps.
 * @param overhead bytes that a frame takes on the link beside its own
 */
export function pktgenPeer(wire: Wire, overhead = 0): Promise<Peer> {
  const asked: string[] = [];
  let rate = 100;
  let sends = false;
  const run = async (line: string): Promise<string> => {
    asked.push(line);
    const mark = /^io\.write\("(.*)\\n"\) io\.flush\(\)$/.exec(line)?.[1];
    if (mark !== undefined) return `${mark}\n`;
    const [, share] = /^pktgen\.set\("0", "rate", ([\d.e-]+)\)$/.exec(line) ?? [];
    if (share !== undefined) rate = Number(share);
    const pps = (rate * 1e8) / 8 / (pktgenBytes + overhead);
    if (share !== undefined && sends) wire.change?.(pps);
    if (line === 'pktgen.start("0")') {
      sends = true;
      await wire.start(pps);
    }
    if (line === 'pktgen.stop("0")') {
      sends = false;
      await wire.stop();
    }
    if (line.includes('linkState')) return '<UP-10000-FD>\n';
    if (line.includes('Pktgen_Version')) return '23.10.0\n';
    if (!line.includes('portStats')) return '';
    const { sent, received } = await wire.counts();
    return `0 opackets ${sent}\n0 obytes ${sent * pktgenBytes}\n0 ipackets 0\n0 ibytes 0\n1 opackets 0\n1 obytes 0\n1 ipackets ${received}\n1 ibytes ${received * pktgenBytes}\n`;
  };
  const server = createServer((socket) => {
    let text = '';
    let last = Promise.resolve();
    socket.setEncoding('utf8').on('data', (part) => {
      text += String(part);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      // Two writes: an answer may come in pieces.
      for (const line of lines)
        last = last.then(async () => {
          for (const piece of (await run(line)).match(/.{1,7}|\n/gs) ?? []) socket.write(piece);
        });
    });
  });
  return listen(server, asked, () => ({ sends, owned: 0 }));
}
