// The command that runs while a trigger is on.
import { spawn, type ChildProcess } from 'node:child_process';

import { talk } from '../output.js';

export class Action {
  private child: ChildProcess | undefined;

  constructor(private readonly command: string | undefined) {}

  start(): void {
    if (this.command === undefined || this.child !== undefined) return;
    // In a group of its own, so that all that it starts can be told to end. stdout is ours.
    const child = spawn('sh', ['-c', this.command], { stdio: ['ignore', 2, 2], detached: true });
    this.child = child;
    const ended = (how: string): void => {
      if (this.child === child) this.child = undefined;
      talk(`reframer: --run ended ${how}`);
    };
    child.on('error', (error) => ended(`before it began: ${error.message}`));
    child.on('close', (code, signal) => ended(signal === null ? `with ${code}` : `by ${signal}`));
  }

  /** SIGTERM to it and all that it started; does nothing where it has ended. */
  stop(): void {
    const pid = this.child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGTERM');
    } catch {
      // ended meanwhile
    }
  }
}
