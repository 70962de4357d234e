// Whether something still runs that a test has started, through however many processes.
import { readdirSync, readFileSync } from 'node:fs';

/** For the environment of all that is started: NAME=VALUE. */
export const markOf = (what: string): string => `REFRAMER_TEST_BED=${what}-${process.pid}`;

export const environmentOf = (mark: string): NodeJS.ProcessEnv => {
  const [name = '', value = ''] = mark.split('=');
  return { [name]: value };
};

/** Processes with the mark in their environment; of those of others nothing can be said. */
export const leftRunning = (mark: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(mark);
    } catch {
      return false; // it has just ended, or is not ours
    }
  });
