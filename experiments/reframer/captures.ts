// Parts over captures that the user gives.
import type { Params, Part, RunOptions } from '../core/types.js';
import { contenders, loadMetrics, overloadBps, versusOff, type Row } from './contenders.js';
import { trialSpec, type TrialScale } from './trial.js';

const rates = ['native', '10Gbps', '40Gbps', '100Gbps'] as const;
const heldUs = [16, 64, 128] as const;

export function captures({ traces }: RunOptions): Part {
  const file = (params: Params): string => traces.find((t) => t.name === params.trace)?.file ?? '';
  return {
    name: 'captures',
    title: 'Locality of the captures',
    question: 'How much locality do these captures have, and how much would holding add?',
    job: 'analyze',
    axes: [{ kind: 'list', name: 'trace', values: traces.map((t) => t.name) }],
    deterministic: true,
    seeded: false,
    spec: (p) => ({ files: [file(p)] }),
    headline: 'slf',
    metrics: ['packets', 'flows', 'slf', 'slfGain'],
    timeoutSeconds: 3600,
    unfold: rates.flatMap((rate) => [
      { params: { rate, delayUs: 0 }, path: '' },
      ...heldUs.map((us) => ({ params: { rate, delayUs: us }, path: `gain.${rate}.${us}` })),
    ]),
  };
}

export function speedUp({ traces }: RunOptions, rows: readonly Row[], scale: TrialScale): Part {
  const file = (params: Params): string => traces.find((t) => t.name === params.trace)?.file ?? '';
  return {
    name: 'capture-chain',
    title: 'The captures through the chains',
    question: 'How much more of these captures does a chain carry behind Reframer?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'trace', values: traces.map((t) => t.name) },
      { kind: 'list', name: 'chain', values: ['paper', 'modern'] },
      contenders(rows),
    ],
    contenders: versusOff,
    spec: (p) =>
      trialSpec(p, scale, { offeredBps: overloadBps, source: { file: file(p), timing: 'rate' } }),
    headline: 'throughputGbps',
    metrics: loadMetrics,
  };
}
