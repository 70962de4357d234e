// Files of a run, whoever the run came from: read only if they are files, written only where they are
// asked for. A link in a folder that somebody else packed must lead neither reader nor writer away.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { HarnessError } from './errors.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** A stat that a file in the place of a folder of the path does not fail: nothing is there then. */
function looked<T>(stat: () => T | undefined): T | undefined {
  try {
    return stat();
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** What the path itself is, links not followed; undefined where there is nothing. */
export function kindOf(path: string): 'file' | 'folder' | 'link' | 'other' | undefined {
  const found = looked(() => lstatSync(path, { throwIfNoEntry: false }));
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) return 'link';
  return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other';
}

const named = {
  link: 'a link',
  other: 'neither file nor folder',
  folder: 'a folder',
  file: 'a file',
} as const;

/**
 * @param limit bytes
 * @throws HarnessError `not-a-file`: a link, a pipe, a folder; `too-large`
 */
export function readOwnFile(path: string, limit: number): Buffer {
  const kind = kindOf(path);
  if (kind !== undefined && kind !== 'file')
    throw new HarnessError(
      'not-a-file',
      `${path}: ${named[kind]}, where a file of the run belongs; put the file itself there`,
    );
  // Between the look and the opening it may have become another: hence both flags, and a second look.
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { size } = fstatSync(fd);
    if (!fstatSync(fd).isFile())
      throw new HarnessError('not-a-file', `${path}: not a file; put the file itself there`);
    if (size > limit)
      throw new HarnessError(
        'too-large',
        `${path}: ${size} bytes; at most ${limit} are read (${limit / 2 ** 20} MiB)`,
      );
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @throws HarnessError `not-a-folder`: a file, or a link that leads nowhere */
export function refuseNoFolder(path: string, what = path): void {
  if (kindOf(path) === undefined) return;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  throw new HarnessError(
    'not-a-folder',
    `${what}: ${found === undefined ? 'a link that leads nowhere' : 'not a folder'}; name a folder, or what is not there yet`,
    2,
  );
}

/**
 * As `mkdir -p`. Node's own recursive one tries for ever where a file system has the parent and still
 * answers that there is none, as /proc does.
 */
export function makeFolder(path: string): void {
  refuseNoFolder(path);
  const missing: string[] = [];
  let at = resolve(path);
  while (looked(() => statSync(at, { throwIfNoEntry: false })) === undefined) {
    missing.push(at);
    at = dirname(at);
  }
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // Somebody else made it meanwhile.
      if (codeOf(error) !== 'EEXIST' || kindOf(folder) !== 'folder') throw error;
    }
  }
}

/**
 * A folder that is held open: what is written goes into it, even if its name comes to mean another.
 * Each file appears whole or not at all.
 */
export class OwnFolder {
  private constructor(
    readonly path: string,
    private readonly fd: number,
  ) {}

  /** The folder that the user named; made if need be. A link there is the user's own. */
  static open(path: string): OwnFolder {
    makeFolder(path);
    return new OwnFolder(path, openSync(path, O_RDONLY | O_DIRECTORY));
  }

  /** A folder inside; made if need be. @throws HarnessError `not-a-folder`: a link, or a file */
  inside(name: string): OwnFolder {
    const path = join(this.path, name);
    try {
      mkdirSync(this.at(name));
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const kind = kindOf(this.at(name));
    if (kind !== 'folder')
      throw new HarnessError(
        'not-a-folder',
        `${path}: ${kind === undefined ? 'gone' : named[kind]}, where a folder of the run belongs; remove it, nothing was written through it`,
      );
    return new OwnFolder(path, openSync(this.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  }

  /** Replaces what has the name: a link there is replaced, not followed. */
  write(name: string, content: string | Buffer): void {
    const temporary = `.${name}.${process.pid}.part`;
    rmSync(this.at(temporary), { force: true });
    const fd = openSync(this.at(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
    try {
      try {
        writeFileSync(fd, content);
      } finally {
        closeSync(fd);
      }
      const kind = kindOf(this.at(name));
      if (kind === 'folder' || kind === 'other')
        throw new HarnessError(
          'not-a-file',
          `${join(this.path, name)}: ${named[kind]}, where a file of the run belongs; remove it`,
        );
      renameSync(this.at(temporary), this.at(name));
    } catch (error) {
      rmSync(this.at(temporary), { force: true });
      throw error instanceof HarnessError
        ? error
        : new HarnessError('write', `${join(this.path, name)}: ${(error as Error).message}`);
    }
  }

  /** Removes files with such names; nothing else, no folder, and no link. */
  remove(which: (name: string) => boolean): void {
    for (const entry of readdirSync(this.at('.'), { withFileTypes: true })) {
      if (entry.isFile() && which(entry.name)) rmSync(this.at(entry.name), { force: true });
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  // By the open folder, as openat() would: Node has no call for it.
  private at(name: string): string {
    return `/proc/self/fd/${this.fd}/${name}`;
  }
}
