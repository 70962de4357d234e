// Standard error for lines that rewrite themselves: at once, and whoever reads it or does not.
import { writeSync } from 'node:fs';

/**
 * Nobody is left to be told where the reader of a pipe has gone (EPIPE) or the terminal has (EIO), and a
 * full pipe takes it later or not at all (EAGAIN): what runs goes on.
 */
export function tellNow(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // As above; there is no other place to say it.
  }
}
