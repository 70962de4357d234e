// Names that a job cannot open by itself: `-` and the standard streams (its own carry JSON), other
// open descriptors, and names whose bytes are not UTF-8, which JSON cannot hold. The job gets a
// descriptor instead, and the name it knows it by is `/dev/fd/N`.
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

import { CliError, UsageError } from './errors.js';

export interface HandedOver {
  /** The specification with other names where it must be. */
  spec: object;
  /** For the child, from number 3 on. */
  descriptors: number[];
  /** A line of the job with the names that the user gave. */
  asGiven: (line: string) => string;
  /** After the child has them. */
  close: () => void;
}

// Where specifications have captures.
const inputs = ['in', 'file', 'files'] as const;
const output = 'out';
const firstOfChild = 3;
// What decoding makes of bytes that are not UTF-8.
const lost = '\ufffd';

/** Does a capture that is written to this name go where the command's words go? */
export const isStandardOutput = (name: string): boolean => descriptorOf(name, 1) === 1;

/** @throws CliError when a name cannot be opened here */
export function handOver(spec: object): HandedOver {
  const changed: Record<string, unknown> = { ...spec };
  const descriptors: number[] = [];
  const given: string[] = [];
  const opened: number[] = [];
  const close = (): void => opened.splice(0).forEach((descriptor) => closeSync(descriptor));
  const take = (name: string, descriptor: number): string => {
    descriptors.push(descriptor);
    given.push(name);
    return `/dev/fd/${firstOfChild + descriptors.length - 1}`;
  };
  const read = (name: unknown): unknown => {
    if (typeof name !== 'string') return name;
    checkWhole(name);
    const descriptor = descriptorOf(name, 0);
    if (descriptor !== undefined) return take(name, checked(name, descriptor, 'read'));
    if (!name.includes(lost) || existsSync(name)) return name;
    opened.push(openBytes(name));
    return take(name, opened[opened.length - 1] as number);
  };
  try {
    for (const key of inputs) {
      const value = changed[key];
      if (value !== undefined) changed[key] = Array.isArray(value) ? value.map(read) : read(value);
    }
    const name = changed[output];
    if (typeof name === 'string') {
      checkWhole(name);
      const descriptor = descriptorOf(name, 1);
      if (descriptor !== undefined)
        changed[output] = take(name, checked(name, descriptor, 'write'));
      else if (name.includes(lost) && !existsSync(name)) {
        throw new CliError(
          'file-name',
          `${name}: a name with bytes that are not UTF-8 can be read but not written; write to - and redirect it: - > FILE`,
        );
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  const asGiven = (line: string): string =>
    given.length === 0
      ? line
      : line.replace(/\/dev\/fd\/(\d+)/g, (text, number: string) => {
          const name = given[Number(number) - firstOfChild];
          return name === undefined ? text : JSON.stringify(name).slice(1, -1);
        });
  return { spec: changed, descriptors, asGiven, close };
}

/** No command line holds such a name; a program that calls this one may. */
function checkWhole(name: string): void {
  if (name.includes('\0'))
    throw new CliError(
      'file-name',
      `${JSON.stringify(name)}: no file has a name with a NUL byte; what stands before it is another file`,
    );
}

/** The number of an open descriptor that a name stands for. */
function descriptorOf(name: string, dash: 0 | 1): number | undefined {
  if (name === '-') return dash;
  const standard = ['/dev/stdin', '/dev/stdout', '/dev/stderr'].indexOf(name);
  if (standard >= 0) return standard;
  const number = /^\/(?:dev|proc\/self)\/fd\/(\d{1,9})$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

function checked(name: string, descriptor: number, purpose: 'read' | 'write'): number {
  try {
    fstatSync(descriptor);
  } catch {
    throw new CliError('capture-open', `cannot open ${name}: nothing is open there`);
  }
  if (isatty(descriptor)) {
    const redirect = purpose === 'read' ? '< FILE' : '> FILE';
    throw new UsageError(
      `${name} is a terminal; a capture cannot be ${purpose === 'read' ? 'read from' : 'written to'} it (use ${redirect})`,
    );
  }
  return descriptor;
}

/** By the bytes that the kernel has of the command line. */
function openBytes(name: string): number {
  for (const bytes of commandLine()) {
    if (bytes.toString() !== name || bytes.equals(Buffer.from(name))) continue;
    try {
      return openSync(bytes, 'r');
    } catch (error) {
      throw new CliError(
        'capture-open',
        `cannot open ${name} (bytes that are not UTF-8): ${(error as Error).message.split(',')[0]}`,
      );
    }
  }
  throw new CliError(
    'capture-open',
    `cannot open ${name}: the name holds bytes that are not UTF-8, and what started this command (npx, npm) has lost them; give the file on standard input: - < FILE`,
  );
}

function commandLine(): Buffer[] {
  let all: Buffer;
  try {
    all = readFileSync('/proc/self/cmdline');
  } catch {
    return [];
  }
  const found: Buffer[] = [];
  for (let start = 0, end: number; (end = all.indexOf(0, start)) >= 0; start = end + 1)
    found.push(all.subarray(start, end));
  return found;
}
