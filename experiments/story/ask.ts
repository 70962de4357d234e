// What several stories ask of their points.
import type { Change, Facts, PointFacts, Sentence } from '../core/story.js';
import { shownName } from './names.js';
import { listed } from './say.js';

export const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

/** `open`: undecided, or too few values. */
type Ending = 'better' | 'worse' | 'no change' | 'open';

const ended = (change: Change | undefined, ending: Ending): boolean =>
  ending === 'open'
    ? change?.verdict === 'undecided' || change?.verdict === 'too few'
    : change?.verdict === ending;

const nameOf = (point: PointFacts, param: string): string =>
  shownName(String(point.params[param]), param);

/** "NAT (−12 %) and load balancer (−5.1 %)": the points whose change against their baseline is this. */
export const changed = (
  points: readonly PointFacts[],
  param: string,
  metric: string,
  ending: Ending,
): Sentence =>
  listed(
    points.flatMap((point) => {
      const change = point.change(metric);
      return ended(change, ending) ? [`${nameOf(point, param)} (${String(change?.percent)})`] : [];
    }),
  );

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
