// Commands that run until they are told to stop.
import { constants } from 'node:os';

export interface Stopping {
  /** A signal came, the time is over, or stop() was called. */
  stopped: () => boolean;
  /** Wakes early when that happens. */
  sleep: (ms: number) => Promise<void>;
  stop: () => void;
  /** The time begins now: what was waited for until here does not count. */
  begin: () => void;
  /** Number of the signal, 0 without. */
  signal: () => number;
  /** Gives the signals back. */
  release: () => void;
}

// `timeout` and others signal a program and then its group: the same wish, heard twice. People who mean
// it a second time take longer.
const echoMs = 500;

/** Calls `first` at the first signal, and `again` at one that is no echo of it. @returns takes them off */
export function onStopSignals(
  signals: readonly NodeJS.Signals[],
  first: (signal: NodeJS.Signals) => void,
  again: (signal: NodeJS.Signals) => void,
): () => void {
  let began: number | undefined;
  const handler = (signal: NodeJS.Signals): void => {
    if (began === undefined) {
      began = performance.now();
      first(signal);
    } else if (performance.now() - began >= echoMs) again(signal);
  };
  for (const signal of signals) process.on(signal, handler);
  return () => signals.forEach((signal) => process.off(signal, handler));
}

// A longer timer would ring at once.
const longestTimerMs = 2 ** 31 - 1;

/**
 * Takes the signals from the command line's own handler: something has to be put back or drained first.
 * @param durationMs 0: no end of its own
 */
export function untilStopped(durationMs: number): Stopping {
  const endFromNow = (): number => (durationMs > 0 ? Date.now() + durationMs : Infinity);
  let end = endFromNow();
  let signal = 0;
  let ended = false;
  let wake: () => void = () => undefined;
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.removeAllListeners(name);
  const release = onStopSignals(
    names,
    (name) => {
      signal = constants.signals[name];
      wake();
    },
    // The second one leaves at once; the native process still ends in good order.
    (name) => process.exit(128 + constants.signals[name]),
  );
  return {
    stopped: () => ended || signal !== 0 || Date.now() >= end,
    sleep: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(
          resolve,
          Math.max(0, Math.min(ms, end - Date.now(), longestTimerMs)),
        );
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (signal !== 0 || ended) wake();
      }),
    stop: () => {
      ended = true;
      wake();
    },
    begin: () => {
      end = endFromNow();
    },
    signal: () => signal,
    release,
  };
}
