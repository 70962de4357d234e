// The kernel's own means to merge more: what Reframer must beat, each by itself and together.
import { UsageError } from '../errors.js';

export interface KernelSettings {
  /** Of the interface that receives: each has a NAPI thread and GRO buckets of its own. */
  queues: number;
  /** gro_flush_timeout; 0: GRO passes on what it has at the end of each poll. */
  flushNs: number;
  /** TCP fragment lists instead of one large segment. */
  fraglist: boolean;
  /** A hash in each packet, as a NIC's; without one all flows share one of GRO's buckets. */
  storedHash: boolean;
  /** A program polls the queue, in place of a thread of the kernel. */
  busyPoll: boolean;
  /** GRO may merge; else its look alone is paid for. */
  merges: boolean;
  /** Checksums are the NIC's affair; else the kernel adds up each segment before it merges. */
  checkedByNic: boolean;
}

export interface Kernel extends KernelSettings {
  name: string;
}

const asItComes: KernelSettings = {
  queues: 1,
  flushNs: 0,
  fraglist: false,
  storedHash: false,
  busyPoll: false,
  merges: true,
  checkedByNic: true,
};

const usualFlushUs = 100;
const usualQueues = 4;
/** What a word with a number, or without, changes. */
const words: Readonly<Record<string, (number: number | undefined) => Partial<KernelSettings>>> = {
  default: () => ({}),
  timer: (us = usualFlushUs) => ({ flushNs: us * 1000 }),
  hash: (queues = usualQueues) => ({ queues, storedHash: true }),
  fraglist: () => ({ fraglist: true }),
  busy: () => ({ busyPoll: true }),
  nogro: () => ({ merges: false }),
  software: () => ({ checkedByNic: false }),
};
const numbered = ['timer', 'hash'];

export const kernelHelp =
  'default: the kernel as it comes behind a NIC that verifies checksums. Its own means, also joined, as hash8-timer64: timerN (gro_flush_timeout of N µs, 100 without a number, with napi_defer_hard_irqs), hashN (a hash stored in each packet as by a NIC, N queues, 4 without), fraglist (rx-gro-list), busy (a program polls the queue and never sleeps, with --lossless); nogro: GRO may merge nothing (gro_max_size 1; without GRO a veth has no threads to measure); software: checksums are left to the kernel';

/** Of words joined by `-`. */
export function parseKernel(text: string): Kernel {
  const said = new Set<string>();
  const settings = text.split('-').map((part) => {
    const [, word = '', digits = ''] = /^([a-z]+)(\d*)$/.exec(part) ?? [];
    const change = Object.hasOwn(words, word) ? words[word] : undefined;
    const number = digits === '' ? undefined : Number(digits);
    if (change === undefined || (number !== undefined && !numbered.includes(word)))
      throw new UsageError(
        `--kernels: '${text}' is not of ${Object.keys(words).join(', ')}, joined by -`,
      );
    // With one queue there is nothing to choose, and so no hash.
    const [least, most] = word === 'hash' ? [2, 16] : [1, 1e6];
    if (number !== undefined && (number < least || number > most))
      throw new UsageError(`--kernels: ${part}: 2 to 16 queues, 1 to 1000000 µs`);
    if (said.has(word)) throw new UsageError(`--kernels: '${text}' says ${word} twice`);
    said.add(word);
    return change(number);
  });
  const kernel = Object.assign({ name: text, ...asItComes }, ...settings) as Kernel;
  if (kernel.busyPoll && kernel.queues > 1)
    throw new UsageError(
      `--kernels: '${text}': a program polls one queue, and a hash takes several`,
    );
  return kernel;
}
