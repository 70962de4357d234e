// The kernel's receiving threads of an interface: found, pinned, their time read.
import { readdirSync, readFileSync } from 'node:fs';

import { CliError, exitCodes } from '../errors.js';
import { run } from './spaces.js';

/** Names of the kernel's threads are cut at 15 characters: the interface's name must be short. */
function threadsOf(device: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return readFileSync(`/proc/${entry}/comm`, 'utf8').startsWith(`napi/${device}-`);
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(Number);
}

/** Unlike that of any other run on this machine: threads are found by it. */
export const uniqueDevice = (letter: string): string =>
  `${letter}${(process.pid % 0xffff).toString(16)}`;

/** Threads of an interface that was told to have some. @throws CliError */
export function pinThreads(device: string, queues: number, cpu: number): number[] {
  const threads = threadsOf(device);
  if (threads.length !== queues)
    throw new CliError(
      'linux-setup',
      `${threads.length} NAPI threads of ${device} instead of ${queues}: this kernel has no threaded NAPI for veth (Linux 5.12)`,
      exitCodes.notSupported,
    );
  for (const thread of threads) run('taskset', '-pc', String(cpu), String(thread));
  return threads;
}

/** Nanoseconds on a processor, of a process with its threads; 0 of one that has ended. */
export function processorNs(process: number): number {
  try {
    return readdirSync(`/proc/${process}/task`).reduce((sum, thread) => {
      const text = readFileSync(`/proc/${process}/task/${thread}/schedstat`, 'utf8');
      return sum + Number(text.split(' ')[0]);
    }, 0);
  } catch {
    return 0;
  }
}
