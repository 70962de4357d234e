// A native job in a process of its own that is talked to: its first record says that it is ready, then
// every command, one JSON line on its stdin, gets one record.
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';

import { locate, type NativeFile } from './loader.js';

/** The process did not start, or ended where an answer was due. */
export class SessionError extends Error {
  constructor(
    readonly code: 'start' | 'ended',
    message: string,
  ) {
    super(message);
    this.name = 'SessionError';
  }
}

export class NativeSession<Reply> {
  private constructor(
    /** The job's first record: that it is ready, or why not. */
    readonly first: Reply,
    private readonly child: ChildProcess,
    private readonly commands: Writable,
    private readonly replies: AsyncIterator<string>,
  ) {}

  /**
   * @param within command that starts the program, such as `ip netns exec NAME`; none by default
   * @throws SessionError; NativeError when there is no such program
   */
  static async open<Reply>(
    program: NativeFile,
    job: string,
    spec: object,
    within: readonly string[] = [],
  ): Promise<NativeSession<Reply>> {
    return NativeSession.run<Reply>([...within, locate(program), job, '-'], spec);
  }

  /**
   * The same, of a command that is known whole.
   * @param signal kills the process, whatever it does
   * @throws SessionError
   */
  static async run<Reply>(
    words: readonly string[],
    spec: object,
    signal?: AbortSignal,
  ): Promise<NativeSession<Reply>> {
    const [command = '', ...args] = words;
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      killSignal: 'SIGKILL',
      ...(signal === undefined ? {} : { signal }),
    });
    const lines = createInterface({ input: child.stdout, crlfDelay: Infinity });
    const replies = lines[Symbol.asyncIterator]();
    const failed = new Promise<never>((_, reject) => {
      // Later ones are of the signal: whoever waits for a reply hears that the process ended.
      child.on('error', (error) =>
        reject(new SessionError('start', `the native process does not start: ${error.message}`)),
      );
    });
    failed.catch(() => undefined);
    // A process that ended is noticed by the reply that does not come.
    child.stdin.on('error', () => undefined);
    child.stdin.write(`${JSON.stringify(spec)}\n`);
    const first = await Promise.race([next<Reply>(replies), failed]).catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return new NativeSession(first, child, child.stdin, replies);
  }

  /** One at a time. @throws SessionError */
  async ask(command: object | string): Promise<Reply> {
    this.commands.write(`${JSON.stringify(command)}\n`);
    return next<Reply>(this.replies);
  }

  /** Closes the job's input: it ends. */
  end(): void {
    this.commands.end();
  }

  /** The same, and waits until the process is gone; one that takes longer is killed. */
  async close(patienceMs = 5000): Promise<void> {
    this.end();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), patienceMs);
    await gone;
    clearTimeout(timer);
  }
}

async function next<Reply>(replies: AsyncIterator<string>): Promise<Reply> {
  const line = await replies.next();
  if (line.done === true) throw new SessionError('ended', 'the native process ended');
  try {
    return JSON.parse(line.value) as Reply;
  } catch {
    throw new SessionError(
      'ended',
      `the native process said what is no record: ${JSON.stringify(line.value.slice(0, 80))}`,
    );
  }
}
