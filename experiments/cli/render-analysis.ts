// What `analyze` found, for people.
import { renderTable } from './output.js';
import { formatCount, formatFixed } from './units.js';

/** One record of job `analyze`; native/src/lab/analyze.cpp says what the members mean. */
export interface Analysis {
  file: string;
  packets: number;
  flows: number;
  slf: number;
  durationSeconds: number;
  reuse: Readonly<Record<string, number>>;
  sizes?: Readonly<Record<string, number>>;
  gain?: unknown;
  verdict?: string | readonly string[];
}

export function renderAnalysis(analysis: Analysis): string {
  const reuse = Object.entries(analysis.reuse).map(([distance, share]) => [distance, `${formatFixed(share * 100, 1)} %`]);
  return [
    analysis.file,
    `${formatCount(analysis.packets)} packets of ${formatCount(analysis.flows)} flows in ${formatFixed(analysis.durationSeconds, 3)} s`,
    `SLF (packets of a flow in a row): ${formatFixed(analysis.slf, 2)}`,
    renderTable([{ title: 'flow seen within the last' }, { title: 'of packets' }], reuse),
    ...[analysis.verdict ?? []].flat(),
  ].join('\n');
}
