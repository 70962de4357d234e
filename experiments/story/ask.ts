// What several stories ask of their points.
import type { Change, Facts, PointFacts, Sentence } from '../core/story.js';
import { shownName } from './names.js';
import { listed } from './say.js';

export const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

/**
 * The change of a metric as a sentence gives it behind both medians. Ratios are of the pairs of a block; where the
 * machine drifts between blocks the medians may point the other way, and the sentence says so.
 */
export function pairedChange(off: PointFacts, on: PointFacts, metric: string): Sentence {
  const change = on.change(metric);
  const [before, after] = [off.value(metric), on.value(metric)];
  if (change === undefined || before === undefined || after === undefined) return undefined;
  const agree = (after - before) * (change.ratio - 1) >= 0;
  return agree
    ? change.percent
    : `${change.percent} in the median pair; the medians say otherwise, for the machine drifted between blocks`;
}

/** `open`: undecided, or too few values. */
type Ending = 'better' | 'worse' | 'no change' | 'open';

const ended = (change: Change | undefined, ending: Ending): boolean =>
  ending === 'open'
    ? change?.verdict === 'undecided' || change?.verdict === 'too few'
    : change?.verdict === ending;

const nameOf = (point: PointFacts, param: string): string =>
  shownName(String(point.params[param]), param);

/** A longer list has no room for intervals. */
const mostSpans = 2;

/** "NAT (−12 %), load balancer (−5.1 %) and ...": the points whose change against their baseline is this. */
export const changed = (
  points: readonly PointFacts[],
  param: string,
  metric: string,
  ending: Ending,
): Sentence => {
  const own = points.flatMap((point) => {
    const change = point.change(metric);
    return change !== undefined && ended(change, ending)
      ? [{ name: nameOf(point, param), change }]
      : [];
  });
  return listed(
    own.map(({ name, change: { percent, span } }) =>
      own.length > mostSpans ? `${name} (${percent})` : `${name} (${percent}; ${span})`,
    ),
  );
};

/** The same without the size of the change. */
export const named = (
  points: readonly PointFacts[],
  param: string,
  metric: string,
  ending: Ending,
): Sentence =>
  listed(
    points.flatMap((point) => (ended(point.change(metric), ending) ? [nameOf(point, param)] : [])),
  );
