// Trials of a web path, one mode after the other, forth and back, until the rounds are over or Ctrl-C.
import { CliError } from '../errors.js';
import { ProgressLine } from '../output.js';
import { untilStopped } from '../until-stopped.js';
import { refuseWithout } from './spaces.js';

interface WebPath<Mode, Trial> {
  trial(mode: Mode): Promise<Trial>;
  /** The server's own words, for an experiment that failed. */
  errors(): string;
  close(): void;
}

/** @throws CliError where something is missing */
export async function webTrials<Mode, Trial>(
  what: { name: string; modes: readonly Mode[]; rounds: number; quiet?: boolean | undefined },
  missing: readonly string[],
  open: () => WebPath<Mode, Trial>,
): Promise<Trial[]> {
  refuseWithout(missing);
  const stopping = untilStopped(0);
  const progress = new ProgressLine(what.name, what.quiet);
  const path = open();
  const trials: Trial[] = [];
  const total = what.rounds * what.modes.length;
  try {
    for (let round = 0; round < what.rounds && !stopping.stopped(); round++)
      // Forth and back, so that a machine that slows down is nobody's gain.
      for (const mode of round % 2 === 0 ? what.modes : what.modes.toReversed()) {
        if (stopping.stopped()) break;
        trials.push(await path.trial(mode));
        progress.update({ done: trials.length, total, what: 'trials' });
      }
  } catch (error) {
    const words = path.errors();
    throw error instanceof CliError && words !== ''
      ? new CliError(error.code, `${error.message}\nnginx: ${words}`, error.exitCode)
      : error;
  } finally {
    progress.end();
    path.close();
    stopping.release();
  }
  if (stopping.signal() !== 0) process.exitCode = 128 + stopping.signal();
  return trials;
}
