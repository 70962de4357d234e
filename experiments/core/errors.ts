// What the harness ends with. The message names what was wrong and the next step.
import { getSystemErrorMap } from 'node:util';

export class HarnessError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly exitCode: number = 1,
  ) {
    super(message);
    this.name = 'HarnessError';
  }
}

const nextSteps: Readonly<Record<string, string>> = {
  EACCES: 'check the permissions',
  EDQUOT: 'free some space, or name a place on another disk',
  EEXIST: 'remove it, or give another name',
  EIO: 'check the disk',
  EISDIR: 'name a file inside it',
  ELOOP: 'its links lead back to each other',
  EMFILE: 'raise the limit (ulimit -n)',
  ENAMETOOLONG: 'give a shorter name',
  ENOENT: 'check the name',
  ENOSPC: 'free some space, or name a place on another disk',
  ENOTDIR: 'a part of the path is a file, where a folder belongs',
  EPERM: 'check the permissions',
  EROFS: 'name a place that can be written to',
};

/**
 * What the system refused, as the other errors say it: the path, what is wrong, the next step. Node's
 * own message ends in a system call.
 * @param file where the error itself may name none, as of a read
 */
export function systemText(error: unknown, file?: string): string {
  const {
    message,
    path = file,
    dest,
    errno,
    code,
    syscall = '',
  } = error as NodeJS.ErrnoException & {
    dest?: string;
  };
  const words = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  // Of a program that could not be started, or a socket, the path is not what is wrong.
  if (words === undefined || path === undefined || /^(spawn|connect|listen|bind)/.test(syscall))
    return message;
  const next = nextSteps[code ?? ''];
  const where = dest === undefined ? path : `${path} -> ${dest}`;
  return `${where}: ${words}${next === undefined ? '' : `; ${next}`}`;
}
