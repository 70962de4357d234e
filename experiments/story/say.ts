// Sentences with holes that data fills. A sentence that lacks a number is not said.
import type { Change, Sentence } from '../core/story.js';

/** What fills a hole; `undefined` leaves the whole sentence out. */
export type Hole = string | number | undefined;

export function say(text: TemplateStringsArray, ...holes: readonly Hole[]): Sentence {
  if (holes.includes(undefined)) return undefined;
  return text.reduce((all, piece, i) => `${all}${String(holes[i - 1] ?? '')}${piece}`);
}

/** Sentences one after another, without those that have nothing to say. */
export const together = (...sentences: readonly Sentence[]): string =>
  sentences.filter((s) => s !== undefined && s !== '').join(' ');

/** The sentence of the first condition that holds. */
export const when = (holds: boolean | undefined, then: Sentence, otherwise?: Sentence): Sentence =>
  holds === true ? then : otherwise;

/** One sentence for each way in which a comparison may end; `open` is undecided, or too few values. */
export interface Outcomes {
  better?: Sentence;
  worse?: Sentence;
  same?: Sentence;
  open?: Sentence;
}

const outcomeOf: Readonly<Record<Change['verdict'], keyof Outcomes>> = {
  better: 'better',
  worse: 'worse',
  'no change': 'same',
  undecided: 'open',
  'too few': 'open',
};

/** @returns nothing where there is nothing to compare */
export const told = (change: Change | undefined, outcomes: Outcomes): Sentence =>
  change === undefined ? undefined : outcomes[outcomeOf[change.verdict]];

/** "a, b and c". */
export function listed(items: readonly string[]): Sentence {
  const last = items.at(-1);
  if (last === undefined) return undefined;
  return items.length === 1 ? last : `${items.slice(0, -1).join(', ')} and ${last}`;
}

export const wordsOf = (text: string): number => text.split(/\s+/).filter((w) => w !== '').length;
