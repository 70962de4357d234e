// Commands that run until they are told to stop.
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
  const handlers = (
    [
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ] as const
  ).map(([name, value]) => {
    process.removeAllListeners(name);
    const handler = (): void => {
      // The second one leaves at once; the native process still ends in good order.
      if (signal !== 0) process.exit(128 + value);
      signal = value;
      wake();
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
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
    release: () => handlers.forEach((off) => off()),
  };
}
