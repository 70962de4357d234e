// A balancer at work, for people: a picture that redraws itself on a terminal, plain lines elsewhere.
import { cleanLine } from '../core/clean.js';
import type { Move, Report } from '../../rsspp/index.js';
import { print } from './output.js';
import { formatCount, formatFixed } from './units.js';

export interface BalanceEpoch extends Report {
  /** Of each core, in the epoch that ended. */
  loads: number[];
  /** Entries of the table that each core had in it. */
  buckets: number[];
  details: Readonly<Record<string, number>>;
}

const barWidth = 40;
const shownMoves = 8;
// A picture more often than this is not seen.
const redrawMs = 100;
const plainLineMs = 1000;

export function bar(share: number, width = barWidth): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(full) + '·'.repeat(width - full);
}

const describeMove = ({ bucket, from, to }: Move): string => `${bucket}: ${from}→${to}`;

export class BalanceView {
  private readonly live = process.stdout.isTTY === true;
  private drawnLines = 0;
  private last = 0;
  private movesSince: Move[] = [];
  private epoch: BalanceEpoch | undefined;

  constructor(private readonly name: string) {}

  update(epoch: BalanceEpoch): void {
    this.epoch = epoch;
    this.movesSince.push(...epoch.moves);
    const now = Date.now();
    if (now - this.last < (this.live ? redrawMs : plainLineMs)) return;
    this.last = now;
    if (this.live) this.draw(epoch);
    else print(this.line(epoch));
    this.movesSince = [];
  }

  /** What was not shown yet. */
  end(): void {
    if (!this.live && this.epoch !== undefined && this.movesSince.length > 0)
      print(this.line(this.epoch));
  }

  private line(epoch: BalanceEpoch): string {
    const loads = epoch.loads.map((load) => `${formatFixed(load * 100, 0)}%`).join(' ');
    return `epoch ${epoch.epoch}: loads ${loads}; imbalance ${formatFixed(epoch.imbalanceBeforePercent, 0)} %; ${this.movesSince.length} moves; ${epoch.activeCores} cores`;
  }

  private draw(epoch: BalanceEpoch): void {
    const recent = this.movesSince.slice(-shownMoves).map(describeMove).join('  ');
    const lines = [
      `${this.name}, epoch ${epoch.epoch}, ${epoch.activeCores} of ${epoch.loads.length} cores in use`,
      ...epoch.loads.map(
        (load, core) =>
          `core ${String(core).padStart(2)} ${bar(load)} ${formatFixed(load * 100, 0).padStart(3)} %  ${formatCount(epoch.buckets[core] ?? 0).padStart(5)} entries`,
      ),
      `imbalance (max-min)/min ${formatFixed(epoch.imbalanceBeforePercent, 0)} %, predicted ${formatFixed(epoch.imbalanceAfterPercent, 0)} %; solved in ${formatFixed(epoch.solveNs / 1000, 0)} µs`,
      this.movesSince.length === 0
        ? 'no moves'
        : `${this.movesSince.length} moves: ${recent}${this.movesSince.length > shownMoves ? ' ...' : ''}`,
      Object.entries(epoch.details)
        .map(([name, value]) => `${name} ${formatCount(value)}`)
        .join('  '),
    ];
    const width = (process.stdout.columns || 80) - 1;
    const up = this.drawnLines > 0 ? `\x1b[${this.drawnLines}A` : '';
    process.stdout.write(
      up + lines.map((line) => `\x1b[2K${cleanLine(line).slice(0, width)}\n`).join(''),
    );
    this.drawnLines = lines.length;
  }
}
