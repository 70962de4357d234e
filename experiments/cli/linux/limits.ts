// Which of GRO's limits a row meets, and from how many flows on it no longer merges by itself.
import { formatFixed } from '../units.js';
import type { LinuxRow } from './rows.js';

/** net/core/gro.c and NAPI: what a poll takes; flows that a bucket keeps, and buckets. */
const pollPackets = 64;
const bucketFlows = 8;
const buckets = 8;

type Limit = 'bucket' | 'buckets' | 'poll';

/** Of rows of one, what first keeps GRO from merging more. */
export function limitOf(row: Pick<LinuxRow, 'flows' | 'queues' | 'storedHash' | 'flushUs'>): Limit {
  const perQueue = row.flows / row.queues;
  if (!row.storedHash) return perQueue > bucketFlows ? 'bucket' : 'poll';
  return perQueue > bucketFlows * buckets ? 'buckets' : 'poll';
}

const reasons: Readonly<Record<Limit, string>> = {
  bucket: `packets carry no hash, so all flows share one bucket of ${bucketFlows}`,
  buckets: `more flows a queue than ${buckets} buckets of ${bucketFlows} keep`,
  poll: `a poll takes ${pollPackets} packets, few of them of one flow, and passes on what it merged`,
};

/** Half way between merging nothing and the most that these rows merge, by ratio. */
function kneeOf(rows: readonly LinuxRow[]): string {
  const most = Math.max(...rows.map((row) => row.segmentsPerMerged));
  const half = Math.sqrt(most);
  const below = rows.findIndex((row) => row.segmentsPerMerged < half);
  const [last, first] = [rows[below - 1], rows[below]];
  if (most < 1.5) return 'it merges nothing by itself at any of these numbers of flows';
  if (first === undefined || last === undefined) return 'no knee among these numbers of flows';
  return `the knee lies between ${last.flows} and ${first.flows} flows`;
}

/** A sentence a kernel: what it merges of interleaved packets, and what stops it. */
export function limitTexts(rows: readonly LinuxRow[]): string[] {
  const groups = new Map<string, LinuxRow[]>();
  for (const row of rows.filter(({ delayUs, inARow }) => delayUs === 0 && inARow === 1)) {
    const key = `${row.function}, ${row.kernel}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups].map(([key, of]) => {
    const sorted = [...of].sort((a, b) => a.flows - b.flows);
    const merged = sorted
      .map((row) => `${formatFixed(row.segmentsPerMerged, 1)} of ${row.flows} flows`)
      .join(', ');
    const last = sorted.at(-1);
    const knee = sorted.length > 1 ? `; ${kneeOf(sorted)}` : '';
    return `${key}: GRO alone merges ${merged}${knee}. What binds at the last: ${last === undefined ? '' : reasons[limitOf(last)]}.`;
  });
}
