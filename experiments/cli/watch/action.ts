// The command that runs while a trigger is on.
import { spawn, type ChildProcess } from 'node:child_process';

import { talk } from '../output.js';

export class Action {
  private child: ChildProcess | undefined;
  /** It was told to end. */
  private ending = false;
  /** The trigger came on again before it had. */
  private again = false;

  constructor(private readonly command: string | undefined) {
    // However this process ends: a group of its own gets no Ctrl-C of ours.
    if (command !== undefined) process.once('exit', () => this.stop());
  }

  start(): void {
    if (this.command === undefined) return;
    if (this.child !== undefined) {
      this.again = this.ending;
      return;
    }
    this.ending = false;
    // In a group of its own, so that all that it starts can be told to end. stdout is ours.
    const child = spawn('sh', ['-c', this.command], { stdio: ['ignore', 2, 2], detached: true });
    this.child = child;
    const ended = (how: string): void => {
      if (this.child !== child) return;
      this.child = undefined;
      talk(`reframer: --run ended ${how}`);
      if (!this.again) return;
      this.again = false;
      this.start();
    };
    child.on('error', (error) => ended(`before it began: ${error.message}`));
    child.on('close', (code, signal) => ended(signal === null ? `with ${code}` : `by ${signal}`));
  }

  /** SIGTERM to it and all that it started; does nothing where it has ended. */
  stop(): void {
    this.again = false;
    this.ending = true;
    const pid = this.child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGTERM');
    } catch {
      // ended meanwhile
    }
  }
}
