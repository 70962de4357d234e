// Runs one job of `reframer-lab`: the specification goes in as JSON, records come out as JSON lines.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { labProgram, locate } from '../../native/loader.js';
import { CliError, exitCodes, LabError, type ErrorRecord } from './errors.js';
import { handOver } from './file-names.js';
import { ProgressLine, type Progress } from './output.js';

export interface LabOptions<T = object> {
  onProgress?: (progress: Progress) => void;
  /** Told of each record as it comes; the next one waits for a promise. */
  onRecord?: ((record: T) => unknown) | undefined;
  /** Whether records are returned, too; not where there are millions. Default true. */
  keep?: boolean | undefined;
  /**
   * Offered each line before it is parsed: those that it returns a promise for are done with when
   * that is kept, and are no records. For text that only passes through.
   */
  onLine?: ((line: string) => Promise<unknown> | undefined) | undefined;
}

export interface LabResult<T> {
  records: T[];
  /** What the job reported before it ended with a failure; the records before it are sound. */
  error?: LabError;
}

const running = new Set<ReturnType<typeof spawn>>();

/** Ends every running job: for a signal handler. */
export function stopLabs(signal: NodeJS.Signals = 'SIGTERM'): void {
  for (const child of running) child.kill(signal);
}

// However this process ends, no job goes on for nobody.
process.once('exit', () => stopLabs());

// Enough to see an assertion or a loader's complaint, not a flood.
const stderrTailBytes = 4096;

/**
 * Runs a job; its failure is returned beside the records that came before it.
 * @throws NativeError when there is no native build
 */
export async function tryLab<T extends object>(
  job: string,
  spec: object,
  options: LabOptions<T> = {},
): Promise<LabResult<T>> {
  const program = locate(labProgram);
  const files = handOver(spec);
  const child = spawn(program, [job], { stdio: ['pipe', 'pipe', 'pipe', ...files.descriptors] });
  files.close();
  running.add(child);
  const records: T[] = [];
  let reported: ErrorRecord | undefined;
  let stderrTail = '';
  // Open descriptors in the list make the types forget that these are pipes.
  const stdin = child.stdin as Writable;
  const stdout = child.stdout as Readable;
  const stderr = child.stderr as Readable;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    stderrTail = (stderrTail + text).slice(-stderrTailBytes);
  });
  // A job that refuses its specification may close stdin before it has read all of it.
  stdin.on('error', () => undefined);
  stdin.end(JSON.stringify(files.spec));

  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(
    (resolve, reject) => {
      child.on('error', (error) =>
        reject(new CliError('lab-start', `cannot start ${program}: ${error.message}`)),
      );
      child.on('close', (code, signal) => resolve({ code, signal }));
    },
  );
  ended.catch(() => undefined);
  const lines = createInterface({ input: stdout, crlfDelay: Infinity });
  try {
    for await (const line of lines) {
      if (line === '') continue;
      const passed = options.onLine?.(line);
      if (passed !== undefined) {
        await passed;
        continue;
      }
      const record = parseLine(files.asGiven(line), job);
      if ('progress' in record) options.onProgress?.(record.progress as Progress);
      else if ('error' in record) reported = record.error as ErrorRecord;
      else {
        if (options.keep !== false) records.push(record as T);
        await options.onRecord?.(record as T);
      }
    }
    const { code, signal } = await ended;
    if (code === 0 && reported === undefined) return { records };
    // The reader of standard output left (`| head`): nothing more to say, as in main.ts.
    if (signal === 'SIGPIPE') process.exit(exitCodes.ok);
    const error = failure(job, reported, code, signal, stderrTail);
    if (error.code === 'capture-damaged' && (spec as { keepGoing?: unknown }).keepGoing === false)
      error.message += ', or read what comes before the damage with --keep-going';
    return { records, error };
  } catch (error) {
    // Nobody reads what it says any more: it would wait for that for ever, and this process for it.
    child.kill('SIGKILL');
    throw error;
  } finally {
    running.delete(child);
  }
}

export interface Talk<T = object> extends Pick<LabOptions<T>, 'onRecord' | 'keep' | 'onLine'> {
  /** What the progress line begins with. */
  label: string;
  quiet?: boolean | undefined;
}

/** As tryLabTalking(), for who needs all of it. @throws LabError when the job fails */
export async function runLabTalking<T extends object>(
  job: string,
  spec: object,
  talk: Talk<T>,
): Promise<T[]> {
  const { records, error } = await tryLabTalking<T>(job, spec, talk);
  if (error !== undefined) throw error;
  return records;
}

/** As tryLab(), with progress shown on stderr. */
export async function tryLabTalking<T extends object>(
  job: string,
  spec: object,
  { label, quiet, ...rest }: Talk<T>,
): Promise<LabResult<T>> {
  const progress = new ProgressLine(label, quiet);
  try {
    return await tryLab<T>(job, spec, { onProgress: (p) => progress.update(p), ...rest });
  } finally {
    progress.end();
  }
}

/** For jobs that give one record. */
export async function runLabOnce<T extends object>(
  job: string,
  spec: object,
  talk: Talk<T>,
): Promise<T> {
  const [record] = await runLabTalking<T>(job, spec, talk);
  if (record === undefined)
    throw new CliError('lab-output', `reframer-lab ${job} ended well without a record`);
  return record;
}

function parseLine(line: string, job: string): object {
  try {
    const record: unknown = JSON.parse(line);
    if (typeof record === 'object' && record !== null) return record;
  } catch {
    // said below
  }
  throw new CliError(
    'lab-output',
    `reframer-lab ${job} wrote what is not a record: ${line.slice(0, 200)}`,
  );
}

function failure(
  job: string,
  reported: ErrorRecord | undefined,
  code: number | null,
  signal: NodeJS.Signals | null,
  stderrTail: string,
): LabError {
  if (reported !== undefined) {
    const exitCode = code === null || code === 0 ? 1 : code;
    return new LabError(
      reported.code,
      describe(reported),
      exitCode,
      reported.file,
      reported.offset,
    );
  }
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  const tail = stderrTail.trim();
  return new LabError(
    'lab-died',
    `reframer-lab ${job} ended ${how}${tail === '' ? '' : `:\n${tail}`}`,
    1,
  );
}

/** The message with file and offset, unless it names them itself. */
function describe({ message, file, offset }: ErrorRecord): string {
  const atFile = file === undefined || message.includes(file) ? '' : `${file}: `;
  const atByte =
    offset === undefined || message.includes(String(offset)) ? '' : ` (at byte ${offset})`;
  return `${atFile}${message}${atByte}`;
}
