// How well a run repeats itself: the size of differences that come from nothing.
import { median, quantileSorted } from 'simple-statistics';

import { blocksOf, numberAt, type History } from '../core/history.js';
import type { PointSummary } from '../core/point-summary.js';
import type { Metric } from '../core/types.js';

/**
 * A point's measurements by visit: the traffic's seed, and which time in its block this point was measured on
 * it. Two runs of one seed share their visits.
 */
export function visitsOf(
  history: History,
  { id, inside }: Pick<PointSummary, 'id' | 'inside'>,
  metric: Metric,
): Map<string, number> {
  const visits = new Map<string, number>();
  const point = inside?.point ?? id;
  const path =
    inside === undefined || inside.path === '' ? metric.path : `${inside.path}.${metric.path}`;
  for (const { slots } of blocksOf(history, point)) {
    let nth = 0;
    for (const sample of slots) {
      if (sample?.point !== point) continue;
      const value = numberAt(sample.record, path);
      if (value !== undefined) visits.set(`${sample.seed}/${nth}`, value * (metric.scale ?? 1));
      nth += 1;
    }
  }
  return visits;
}

// One block has a first and a second visit: with it alone the noise of single trials is the margin.
const fewestBlocks = 1;

/**
 * The run compared with itself. A block measures every point twice on the same traffic; the median of a point's
 * first visits against the median of its second visits can differ for no reason but the machine's. The 95th
 * percentile over these points, those of one part, is what a comparison between runs cannot tell from nothing.
 */
export function repeatability(
  history: History,
  points: readonly PointSummary[],
  metric: Metric,
): number {
  const differences = points.flatMap((point) => {
    const visits = visitsOf(history, point, metric);
    const halves = [0, 1].map((nth) =>
      [...visits].flatMap(([visit, value]) => (visit.endsWith(`/${nth}`) ? [value] : [])),
    );
    const [first = [], second = []] = halves;
    if (first.length < fewestBlocks || second.length < fewestBlocks) return [];
    const [a, b] = [median(first), median(second)];
    return a > 0 && b > 0 ? [Math.max(a / b, b / a) - 1] : [];
  });
  return differences.length === 0
    ? 0
    : quantileSorted(
        differences.sort((x, y) => x - y),
        0.95,
      );
}
