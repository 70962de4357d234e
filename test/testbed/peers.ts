// Testers of others, re-implemented as far as their remote interfaces go: TRex's JSON-RPC over ZeroMQ
// (ZMTP 3.0 by hand, from the specification), Pktgen-DPDK's Lua socket. Neither is packaged here; names
// and forms of requests and answers follow their sources.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Peer {
  address: string;
  /** Requests as they came. */
  asked: string[];
  close: () => Promise<void>;
}

function listen(server: Server, asked: string[], sockets: Set<Socket>): Promise<Peer> {
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({
        address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        asked,
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

/** Sends by the clock what its streams say, and loses `lossShare` of it. */
class TrexState {
  private streams: Record<string, Record<string, unknown>>[] = [];
  private startedAt = 0;
  private stoppedAt = 0;

  constructor(private readonly lossShare: number) {}

  answer({ method, params }: Request): { result: unknown } | { error: unknown } {
    if (method !== 'api_sync_v2' && params.api_h !== 'key')
      return { error: { code: -32000, message: 'bad API handler' } };
    if (/^(add|remove|start|stop)/.test(method) && params.handler !== 'owner')
      return { error: { code: -32000, specific_err: 'port is not owned' } };
    switch (method) {
      case 'api_sync_v2':
        return { result: { api_h: 'key' } };
      case 'get_version':
        return { result: { version: 'v3.04', mode: 'STL' } };
      case 'acquire':
        return { result: 'owner' };
      case 'remove_all_streams':
        this.streams = [];
        return { result: {} };
      case 'add_stream':
        if (params.stream !== undefined) this.streams.push(params.stream);
        return { result: {} };
      case 'start_traffic':
        this.startedAt = Date.now();
        this.stoppedAt = 0;
        return { result: { multiplier: 1 } };
      case 'stop_traffic':
        this.stoppedAt = Date.now();
        return { result: {} };
      case 'get_pgid_stats':
        return { result: this.stats() };
      default:
        return { error: { code: -32601, message: `no method ${method}` } };
    }
  }

  private stats(): object {
    const seconds = ((this.stoppedAt || Date.now()) - this.startedAt) / 1000;
    const flow: Record<string, object> = {};
    const latency: Record<string, object> = { g: { old_flow: 0, bad_hdr: 0 } };
    for (const stream of this.streams) {
      const rule = stream.flow_stats as { stream_id: number; rule_type: string };
      const { rate } = stream.mode as { rate: { value: number } };
      const { binary } = stream.packet as { binary: string };
      const sent = Math.round(rate.value * seconds);
      const received = sent - Math.round(sent * this.lossShare);
      const bytes = Buffer.from(binary, 'base64').length;
      flow[String(rule.stream_id)] = {
        tp: { '0': sent, '1': 0 },
        rp: { '0': 0, '1': received },
        tb: { '0': sent * bytes, '1': 0 },
        rb: { '0': 0, '1': received * bytes },
      };
      if (rule.rule_type === 'latency')
        latency[String(rule.stream_id)] = {
          lat: { h: { '10': 90, '20': 9, '100': 1 }, s_avg: 12, t_max: 120, t_min: 9, jit: 1 },
          er: { ooo: 2 },
        };
    }
    return { flow_stats: flow, latency, ver_id: {} };
  }
}

export function trexPeer(lossShare: number): Promise<Peer> {
  const asked: string[] = [];
  const state = new TrexState(lossShare);
  const server = createServer((socket) => {
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
        const answer = Buffer.from(
          JSON.stringify({ jsonrpc: '2.0', id: request.id, ...state.answer(request) }),
        );
        const size8 = Buffer.alloc(8);
        size8.writeBigUInt64BE(BigInt(answer.length));
        socket.write(Buffer.concat([Buffer.from([1, 0, 2]), size8, answer]));
      }
    });
  });
  return listen(server, asked, new Set());
}

/** A line is a statement of Lua; of those that the driver sends it knows what they do. */
export function pktgenPeer(lossShare: number): Promise<Peer> {
  const asked: string[] = [];
  let startedAt = 0;
  let stoppedAt = 0;
  let rate = 100;
  const sent = (): number =>
    startedAt === 0
      ? 0
      : Math.round((((stoppedAt || Date.now()) - startedAt) / 1000) * 1000 * rate);
  const run = (line: string): string => {
    asked.push(line);
    const mark = /^io\.write\("(.*)\\n"\) io\.flush\(\)$/.exec(line)?.[1];
    if (mark !== undefined) return `${mark}\n`;
    const [, share] = /^pktgen\.set\("0", "rate", ([\d.]+)\)$/.exec(line) ?? [];
    if (share !== undefined) rate = Number(share);
    if (line === 'pktgen.start("0")') [startedAt, stoppedAt] = [Date.now(), 0];
    if (line === 'pktgen.stop("0")') stoppedAt = Date.now();
    if (line.includes('linkState')) return '<UP-10000-FD>\n';
    if (line.includes('Pktgen_Version')) return '23.10.0\n';
    if (!line.includes('portStats')) return '';
    const n = sent();
    const back = n - Math.round(n * lossShare);
    return `0 opackets ${n}\n0 obytes ${n * 100}\n0 ipackets 0\n0 ibytes 0\n1 opackets 0\n1 obytes 0\n1 ipackets ${back}\n1 ibytes ${back * 100}\n`;
  };
  const server = createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => {
      text += String(part);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      // Two writes: an answer may come in pieces.
      for (const line of lines)
        for (const piece of run(line).match(/.{1,7}|\n/gs) ?? []) socket.write(piece);
    });
  });
  return listen(server, asked, new Set());
}
