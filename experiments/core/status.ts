// What is going on: one line that rewrites itself on a terminal, plain lines elsewhere.
import { cleanLine, cleanText } from './clean.js';
import { tellNow } from './tell.js';

export interface Progress {
  pointsDone: number;
  points: number;
  block: number;
  blocks: number;
  label: string;
  /** Headline of the point measured last: "31.2 ± 0.4 Gbps". */
  estimate: string;
  secondsLeft: number;
}

export interface Status {
  update: (progress: Progress) => void;
  say: (text: string) => void;
  end: () => void;
}

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function statusText(p: Progress): string {
  const estimate = p.estimate === '' ? '' : ` | ${p.estimate}`;
  return `${p.pointsDone} of ${p.points} points done | block ${p.block}/${p.blocks} | ${p.label}${estimate} | about ${duration(p.secondsLeft)} left`;
}

// A log file wants a sign of life, not a line a trial.
const plainEveryMs = 10_000;

export function makeStatus({ tty, quiet }: { tty: boolean; quiet: boolean }): Status {
  if (quiet) return { update: () => undefined, say: () => undefined, end: () => undefined };
  let shown = false;
  let last = Number.NEGATIVE_INFINITY;
  const clear = (): void => {
    if (shown) tellNow('\r\x1b[2K');
    shown = false;
  };
  return {
    update(progress) {
      const now = performance.now();
      const text = cleanLine(statusText(progress));
      if (tty) {
        tellNow(`\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
        shown = true;
      } else if (now - last >= plainEveryMs) {
        tellNow(`${text}\n`);
        last = now;
      }
    },
    say(text) {
      clear();
      tellNow(`${cleanText(text)}\n`);
    },
    end: clear,
  };
}
