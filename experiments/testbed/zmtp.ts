// ZMTP 3.0, as far as a REQ socket over TCP without security needs it: what TRex's JSON-RPC is carried by.
// See https://rfc.zeromq.org/spec/23.
import { connect, type Socket } from 'node:net';

import { HarnessError } from '../core/errors.js';

const greetingBytes = 64;
/** A reply of TRex with all counters has some tens of KiB. */
const mostBytes = 16 * 2 ** 20;
const more = 1;
const long = 2;
const command = 4;

export function greeting(): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.write('NULL', 12, 'latin1');
  return bytes;
}

export function frame(flags: number, body: Buffer): Buffer {
  if (body.length < 256) return Buffer.concat([Buffer.from([flags, body.length]), body]);
  const head = Buffer.alloc(9);
  head[0] = flags | long;
  head.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([head, body]);
}

/** The command that ends the handshake. */
export function ready(socketType: string): Buffer {
  const property = (name: string, value: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    return Buffer.concat([
      Buffer.from([name.length]),
      Buffer.from(name),
      length,
      Buffer.from(value),
    ]);
  };
  return frame(
    command,
    Buffer.concat([
      Buffer.from([5]),
      Buffer.from('READY'),
      property('Socket-Type', socketType),
      property('Identity', ''),
    ]),
  );
}

export interface Frame {
  flags: number;
  body: Buffer;
}

/** Bytes to frames, behind the greeting. */
export class FrameReader {
  private bytes: Buffer = Buffer.alloc(0);
  private greeted = false;

  /** @throws HarnessError where the peer speaks something else */
  push(part: Buffer): Frame[] {
    this.bytes = Buffer.concat([this.bytes, part]);
    if (!this.greeted) {
      if (this.bytes.length > 0 && this.bytes[0] !== 0xff)
        throw new HarnessError('tester', 'it does not speak ZMTP');
      if (this.bytes.length < greetingBytes) return [];
      if ((this.bytes[10] ?? 0) < 3)
        throw new HarnessError('tester', 'it speaks an older ZMTP than 3.0');
      this.bytes = this.bytes.subarray(greetingBytes);
      this.greeted = true;
    }
    const frames: Frame[] = [];
    for (;;) {
      const flags = this.bytes[0];
      if (flags === undefined) return frames;
      const head = (flags & long) !== 0 ? 9 : 2;
      if (this.bytes.length < head) return frames;
      const size = head === 9 ? Number(this.bytes.readBigUInt64BE(1)) : (this.bytes[1] as number);
      if (size > mostBytes) throw new HarnessError('tester', `a frame of ${size} bytes`);
      if (this.bytes.length < head + size) return frames;
      frames.push({ flags, body: this.bytes.subarray(head, head + size) });
      this.bytes = this.bytes.subarray(head + size);
    }
  }
}

/** One question at a time, each with an answer. */
export class RequestSocket {
  private readonly reader = new FrameReader();
  private parts: Buffer[] = [];
  private answer: ((result: Buffer | Error) => void) | undefined;
  private ended: Error | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly patienceMs: number,
  ) {
    socket.on('data', (part: Buffer) => {
      try {
        for (const { flags, body } of this.reader.push(part)) this.take(flags, body);
      } catch (error) {
        this.end(error as Error);
      }
    });
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('it closed the connection')));
    socket.write(greeting());
    socket.write(ready('REQ'));
  }

  static open(host: string, port: number, patienceMs: number): Promise<RequestSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, timeout: patienceMs });
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.removeAllListeners('error');
        resolve(new RequestSocket(socket, patienceMs));
      });
      socket.once('error', (error) => reject(error));
      socket.once('timeout', () => {
        socket.destroy();
        reject(new Error('no answer'));
      });
    });
  }

  private take(flags: number, body: Buffer): void {
    if ((flags & command) !== 0) return;
    this.parts.push(body);
    if ((flags & more) !== 0) return;
    // An empty part stands before the answer.
    const [, ...rest] = this.parts;
    this.parts = [];
    this.answer?.(Buffer.concat(rest));
  }

  private end(error: Error): void {
    this.ended ??= error;
    this.answer?.(this.ended);
  }

  ask(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) return reject(this.ended);
      const timer = setTimeout(
        () => this.answer?.(new Error(`no answer within ${this.patienceMs / 1000} s`)),
        this.patienceMs,
      );
      this.answer = (result): void => {
        clearTimeout(timer);
        this.answer = undefined;
        if (result instanceof Error) reject(result);
        else resolve(result.toString('utf8'));
      };
      this.socket.write(frame(more, Buffer.alloc(0)));
      this.socket.write(frame(0, Buffer.from(text)));
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
