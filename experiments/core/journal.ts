// The journal of a run: append-only JSON lines. A line is written in one call, so that a killed run
// loses at most the line it was writing; on opening, such a torn end is cut off.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';

import { cleanValue } from './clean.js';
import { HarnessError } from './errors.js';
import { kindOf, readOwnFile } from './files.js';
import type { JournalRecord } from './records.js';
import { validateRecord } from './schema.js';

export const schemaVersion = 1;

export interface ReadJournal {
  records: JournalRecord[];
  /** Bytes of whole lines; what lies behind is a torn line. */
  soundBytes: number;
  torn: boolean;
}

/** Bytes; the largest full run so far is a hundredth of it. */
export const largestJournal = 256 * 2 ** 20;
/** Bytes of a line; the longest record so far is a five-hundredth of it. */
export const longestLine = 16 * 2 ** 20;

function parseLine(line: Buffer): JournalRecord {
  if (line.length > longestLine)
    throw new HarnessError('bad-record', `${line.length} bytes; at most ${longestLine} are read`);
  return validateRecord(cleanValue(JSON.parse(line.toString('utf8'))));
}

/** Whole; compressed where its name says so, and then no larger than any other. */
function journalBytes(file: string): Buffer {
  const bytes = readOwnFile(file, largestJournal);
  if (!file.endsWith('.br')) return bytes;
  try {
    return brotliDecompressSync(bytes, { maxOutputLength: largestJournal });
  } catch (error) {
    throw new HarnessError(
      'journal-damaged',
      `${file}: ${(error as Error).message}; the run cannot be read: take a whole copy of it`,
    );
  }
}

/**
 * Reads a journal whose last line may be torn. Damage anywhere else is an error with its line. Whoever
 * wrote it: strings come out as one clean line each.
 * @throws HarnessError `journal-damaged`, `not-a-file`, `too-large`
 */
export function readJournal(file: string): ReadJournal {
  const bytes = journalBytes(file);
  const end = bytes.lastIndexOf(0x0a) + 1;
  const records: JournalRecord[] = [];
  for (let at = 0; at < end;) {
    const next = bytes.indexOf(0x0a, at);
    try {
      records.push(parseLine(bytes.subarray(at, next)));
    } catch (error) {
      throw new HarnessError(
        'journal-damaged',
        `${file}: line ${records.length + 1}: ${(error as Error).message}; the run cannot be read: measure into another folder`,
      );
    }
    at = next + 1;
  }
  return { records, soundBytes: end, torn: end < bytes.length };
}

export class Journal {
  private constructor(
    private readonly file: string,
    private readonly fd: number,
    readonly records: JournalRecord[],
    /** A torn last line was cut off on opening. */
    readonly repaired: boolean,
  ) {}

  static open(file: string): Journal {
    const found =
      kindOf(file) === undefined ? { records: [], soundBytes: 0, torn: false } : readJournal(file);
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    const fd = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW);
    if (found.torn) ftruncateSync(fd, found.soundBytes);
    return new Journal(file, fd, found.records, found.torn);
  }

  /** @throws HarnessError `journal-write` when the disk takes no more; what was there stays sound. */
  append(given: JournalRecord): void {
    // As it will be read again: names of captures and the machine's own words come in here.
    const record = validateRecord(cleanValue(structuredClone(given)));
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    const { size } = fstatSync(this.fd);
    try {
      // A disk that fills up takes the beginning of a line without an error.
      for (let at = 0; at < line.length;) at += writeSync(this.fd, line, at);
    } catch (error) {
      ftruncateSync(this.fd, size);
      throw new HarnessError(
        'journal-write',
        `${this.file}: ${(error as Error).message}; make room, then the same command goes on where it stopped`,
      );
    }
    this.records.push(record);
  }

  close(): void {
    closeSync(this.fd);
  }
}
