// Lines that redraw themselves on a terminal, and come one after the other elsewhere.
import { cleanLine } from '../core/clean.js';
import { print } from './output.js';

export class LiveView {
  private readonly live = process.stdout.isTTY === true;
  private drawn = 0;

  /** @param picture for a terminal; @param line for everything else */
  show(picture: () => readonly string[], line: () => string): void {
    if (!this.live) return print(line());
    const width = (process.stdout.columns || 80) - 1;
    const up = this.drawn > 0 ? `\x1b[${this.drawn}A\x1b[J` : '';
    const lines = picture();
    process.stdout.write(
      up + lines.map((text) => `\x1b[2K${cleanLine(text).slice(0, width)}\n`).join(''),
    );
    this.drawn = lines.length;
  }
}
