import { setTimeout } from 'node:timers/promises';

import { inspectAs } from '../native/inspect.js';
import { Balancer, type BalancerOptions, type Epoch, type Report } from './balancer.js';
import { RssppError } from './errors.js';

/** A device with an indirection table. Whatever it is, the balancer sees this much of it. */
export interface Backend {
  /** For messages: `virtual`, `tap`, ... */
  readonly name: string;
  /** Entries of its table. @throws RssppError `backend` where there is no table */
  tableSize(): number | Promise<number>;
  /** The table as the device has it. */
  readTable(): number[] | Promise<number[]>;
  /** Writes the entries that changed; a device that can only write all of it finds the rest in `table`. */
  writeTable(table: readonly number[], changed: readonly number[]): void | Promise<void>;
  /** Monotonic counters, and loads since the last sample. */
  sample(): Epoch | Promise<Epoch>;
}

/** A balancer at work on a backend: remembers the first table, verifies what it wrote. */
export class Balancing {
  readonly #firstTable: readonly number[];
  readonly #dryRun: boolean;

  private constructor(
    readonly backend: Backend,
    readonly balancer: Balancer,
    firstTable: readonly number[],
    dryRun: boolean,
  ) {
    this.#firstTable = firstTable;
    this.#dryRun = dryRun;
  }

  static async start(
    backend: Backend,
    options: Omit<BalancerOptions, 'buckets'> & { dryRun?: boolean },
  ): Promise<Balancing> {
    const { dryRun, ...rest } = options;
    const balancer = new Balancer({ ...rest, buckets: await backend.tableSize() });
    try {
      const table = await backend.readTable();
      balancer.setTable(table);
      balancer.step(await backend.sample());
      return new Balancing(backend, balancer, table, dryRun === true);
    } catch (error) {
      balancer.close();
      throw error;
    }
  }

  /**
   * Ends an epoch: sample, decide, write, read back. Moves that the device did not take are taken
   * back in the balancer too, so that the next epoch starts from what is.
   * @throws RssppError `backend` when entries were not written
   */
  async epoch(): Promise<Report> {
    const report = this.balancer.step(await this.backend.sample());
    if (report.moves.length === 0) return report;
    if (this.#dryRun) {
      this.balancer.reject(report.moves);
      return report;
    }
    let why = 'the device kept its old entries';
    try {
      await this.backend.writeTable(
        this.balancer.table(),
        report.moves.map(({ bucket }) => bucket),
      );
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    const actual = await this.backend.readTable();
    const refused = report.moves.filter(({ bucket, to }) => actual[bucket] !== to);
    if (refused.length === 0) return report;
    this.balancer.reject(refused);
    throw new RssppError(
      'backend',
      `${this.backend.name}: ${refused.length} of ${report.moves.length} table entries were not written: ${why}`,
    );
  }

  /**
   * Epoch after epoch until `signal` ends it; then the first table is put back. Epochs are due by the
   * start of the one before, however long that took; one that is late puts off those behind it.
   * @param onEpoch gets each report
   * @throws RssppError `backend`: the first table was put back, if the device takes it
   */
  async run({
    signal,
    onEpoch,
  }: {
    signal: AbortSignal;
    onEpoch?: (report: Report) => void;
  }): Promise<void> {
    try {
      let due = performance.now();
      while (!signal.aborted) {
        const report = await this.epoch();
        onEpoch?.(report);
        const now = performance.now();
        due = Math.max(due + report.nextEpochNs / 1e6, now);
        await wait(due - now, signal);
      }
    } finally {
      await this.stop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('Balancing', this.toJSON());
  }

  toJSON(): { backend: string; balancer: Balancer } {
    return { backend: this.backend.name, balancer: this.balancer };
  }

  /**
   * Puts the first table back, reads it back, and frees the balancer. A second call writes and reads
   * again: to try once more where the first one failed.
   * @throws RssppError `backend` when entries are not as they were at the start
   */
  async stop(): Promise<void> {
    this.balancer.close();
    if (this.#dryRun) return;
    const changed = this.#differing(await this.backend.readTable());
    if (changed.length === 0) return;
    let why = 'the device kept other entries';
    try {
      await this.backend.writeTable(this.#firstTable, changed);
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    const refused = this.#differing(await this.backend.readTable());
    if (refused.length === 0) return;
    throw new RssppError(
      'backend',
      `${this.backend.name}: ${refused.length} of ${this.#firstTable.length} entries of the first table were not put back: ${why}`,
    );
  }

  // Buckets whose owner is not that of the first table.
  #differing(table: readonly number[]): number[] {
    return this.#firstTable.flatMap((owner, bucket) => (table[bucket] === owner ? [] : [bucket]));
  }
}

/** A time, or until the signal. */
async function wait(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
