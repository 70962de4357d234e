// What a run says of a point: claims are judged by it.
import type { Interval, Ratio } from './statistics.js';
import type { Params } from './types.js';

export interface PointSummary {
  id: string;
  part: string;
  setting: string;
  params: Params;
  control: boolean;
  samples: number;
  warmups: number;
  stopped: string;
  /** threads, dpdk or testbed; left out where it is the virtual NIC. */
  engine?: string;
  metrics: Record<string, Interval>;
  /** Metrics that must not be quoted of this point, and why. */
  refused: Record<string, string>;
  /** Against the baseline of the same setting, pair by pair. */
  ratios: Record<string, Ratio>;
  /** Unpaired second opinion: probability of such a difference of means by chance. */
  permutationP: Record<string, number | null>;
  outliers: Record<string, number>;
  values: Record<string, number[]>;
  /** Of a point that lies inside the records of another one: that one, and where in it. */
  inside?: { point: string; path: string };
}
