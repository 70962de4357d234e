// The experiments that there are. A new one: its definition file, and a line here.
import { balancer } from '../balancer/definition.js';
import { chains } from '../chains/definition.js';
import { conntrack } from '../conntrack/definition.js';
import { reframer } from '../reframer/definition.js';
import { robustness } from '../robustness/definition.js';
import { rsspp } from '../rsspp/definition.js';
import { HarnessError } from './errors.js';
import type { Experiment } from './types.js';

export const experiments: readonly Experiment[] = [
  reframer,
  rsspp,
  conntrack,
  robustness,
  balancer,
  chains,
];

export function findExperiment(name: string): Experiment {
  const found = experiments.find((e) => e.name === name);
  if (found === undefined)
    throw new HarnessError(
      'no-experiment',
      `no experiment is called '${name}'; there are: ${experiments.map((e) => e.name).join(', ')}`,
      2,
    );
  return found;
}
