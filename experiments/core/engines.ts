// Which engine carried the packets of a point: figures of two of them are not compared unasked.
import type { PointRecord, SampleRecord } from './records.js';

/**
 * What carried a point's packets: its samples say so; those of before they did are of the virtual NIC
 * where the specification has no ports and asks for no threads.
 */
export function enginesOf(samples: readonly SampleRecord[], { spec }: PointRecord): string {
  const before =
    spec.engine === 'threads' ? 'threads' : spec.port === undefined ? 'virtual' : 'dpdk';
  const all = new Set(
    samples.map(({ record }) => (typeof record.engine === 'string' ? record.engine : before)),
  );
  return all.size === 0 ? before : [...all].join(', ');
}

export const engineMember = (engine: string): { engine?: string } =>
  engine === 'virtual' ? {} : { engine };
