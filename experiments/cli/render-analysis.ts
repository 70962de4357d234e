// What `analyze` found, for people.
import { renderTable, wrap, type Column } from './output.js';
import { counted, formatCount, formatFew, formatFixed, formatRate } from './units.js';

export interface Gain {
  /** SLF after holding, and how many times the capture's that is. */
  slf: number;
  ratio: number;
}

/** One record of job `analyze`; native/src/lab/captures/analyze.cpp says what the members mean. */
export interface Analysis {
  file: string;
  packets: number;
  bytes: number;
  flows: number;
  flowsBidirectional: number;
  flowsExact: boolean;
  slf: number;
  sizes: {
    mean: number;
    p5: number;
    p50: number;
    p95: number;
    shares: Readonly<Record<string, number>>;
  };
  durationSeconds: number;
  bitsPerSecond: number | null;
  packetsPerSecond: number | null;
  reuse: Readonly<Record<string, number>>;
  protocols: Readonly<Record<string, number>>;
  gain: Readonly<Record<string, Readonly<Record<string, Gain>> | null>>;
  verdict: readonly string[];
  warnings: readonly string[];
  damage: { code: string; message: string; offset: number } | null;
}

const left = (title: string): Column => ({ title, align: 'left' });
const percent = (share: number): string => `${formatFixed(share * 100, 1)} %`;

export function renderAnalysis(analysis: Analysis): string {
  // Damage is said on stderr, by whoever prints this.
  const warnings = analysis.warnings.filter(
    (text) => analysis.damage === null || !text.includes(analysis.damage.message),
  );
  const sentences = (texts: readonly string[], mark = ''): string =>
    texts.map((text) => wrap(`${mark}${text}`)).join('\n');
  return [
    heading(analysis),
    locality(analysis),
    gains(analysis),
    sentences(analysis.verdict),
    sentences(warnings, 'note: '),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function heading(a: Analysis): string {
  const rate =
    a.bitsPerSecond === null || a.packetsPerSecond === null
      ? 'no timing'
      : `${formatRate(a.bitsPerSecond)}, ${formatFew(a.packetsPerSecond)} packets/s`;
  const about = a.flowsExact ? '' : 'about ';
  const mix = Object.entries(a.protocols)
    .filter(([, share]) => share >= 0.0005)
    .map(([name, share]) => `${name} ${percent(share)}`);
  return [
    a.file,
    `  ${counted(a.packets, 'packet')} of ${about}${counted(a.flows, 'flow')} (${about}${formatCount(a.flowsBidirectional)} with both directions as one) in ${formatFixed(a.durationSeconds, 3)} s (${rate})`,
    `  length: mean ${formatCount(a.sizes.mean)}, median ${formatCount(a.sizes.p50)}, 95 % at most ${formatCount(a.sizes.p95)} bytes`,
    ...(mix.length > 0 ? [`  ${mix.join(', ')}`] : []),
  ].join('\n');
}

function locality(a: Analysis): string {
  const reuse = Object.entries(a.reuse).map(
    ([distance, share]) => `${distance}: ${percent(share)}`,
  );
  return [
    `  SLF, packets of a flow in a row: ${formatFixed(a.slf, 2)}`,
    `  flow seen within the last ... packets: ${reuse.join(', ')}`,
  ].join('\n');
}

function gains(a: Analysis): string {
  // 'native' first, then by speed: JSON from elsewhere need not keep an order.
  const speed = (rate: string): number => (rate === 'native' ? 0 : Number.parseFloat(rate));
  const rates = Object.entries(a.gain)
    .flatMap(([rate, byDelay]) => (byDelay === null ? [] : [{ rate, byDelay }]))
    .sort((x, y) => speed(x.rate) - speed(y.rate));
  const delays = Object.keys(rates[0]?.byDelay ?? {});
  if (delays.length === 0) return '';
  const rows = rates.map(({ rate, byDelay }) => [
    rate === 'native' ? 'as captured' : rate.replace('Gbps', ' Gbps'),
    ...delays.map((delay) => {
      const gain = byDelay[delay];
      return gain === undefined
        ? '-'
        : `${formatFixed(gain.slf, 2)} (${formatFixed(gain.ratio, 2)}x)`;
    }),
  ]);
  const table = renderTable(
    [left('SLF with'), ...delays.map((delay) => ({ title: `T = ${delay} µs` }))],
    rows,
  );
  return table.replace(/^/gm, '  ');
}
