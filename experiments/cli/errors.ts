// Errors that a command ends with. The message says what was wrong, where, and the next step.

import { NativeError } from '../../native/loader.js';
import { systemText } from '../core/errors.js';

export const exitCodes = { ok: 0, failed: 1, usage: 2, notSupported: 3, regression: 4 } as const;

export class CliError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly exitCode: number = exitCodes.failed,
  ) {
    super(message);
    this.name = 'CliError';
  }
}

/** An option or argument that cannot be meant. */
export class UsageError extends CliError {
  constructor(message: string) {
    super('usage', message, exitCodes.usage);
    this.name = 'UsageError';
  }
}

/** What `reframer-lab` reported, or how it ended. */
export class LabError extends CliError {
  constructor(
    code: string,
    message: string,
    exitCode: number,
    readonly file?: string,
    readonly offset?: number,
  ) {
    super(code, message, exitCode);
    this.name = 'LabError';
  }
}

export interface ErrorRecord {
  code: string;
  message: string;
  file?: string;
  offset?: number;
}

interface Described {
  code: string;
  exitCode: number;
}

function isDescribed(error: unknown): error is Error & Described {
  return (
    error instanceof Error &&
    typeof (error as Partial<Described>).code === 'string' &&
    typeof (error as Partial<Described>).exitCode === 'number'
  );
}

/** What the system refused: a full disk, a file that may not be read. Its message names the file. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    typeof (error as NodeJS.ErrnoException).syscall === 'string' &&
    typeof (error as NodeJS.ErrnoException).code === 'string'
  );
}

/** The record for `--json` and the exit code; undefined for a defect of ours, which keeps its stack. */
export function describeError(
  error: unknown,
): { record: ErrorRecord; exitCode: number } | undefined {
  if (isSystemError(error))
    return {
      record: { code: error.code ?? 'system', message: systemText(error) },
      exitCode: exitCodes.failed,
    };
  if (error instanceof NativeError)
    return {
      record: { code: error.code, message: error.message },
      exitCode: exitCodes.notSupported,
    };
  if (!isDescribed(error)) return undefined;
  const record: ErrorRecord = { code: error.code, message: error.message };
  if (error instanceof LabError) {
    if (error.file !== undefined) record.file = error.file;
    if (error.offset !== undefined) record.offset = error.offset;
  }
  return { record, exitCode: error.exitCode };
}
