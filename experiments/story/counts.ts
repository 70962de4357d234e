// How many published values, or aims, ended in which verdict, as a sentence.
import { listed } from './say.js';

/** How each word of a verdict stands in a sentence, of one and of several. */
const verbs: Readonly<Record<string, readonly [one: string, several: string]>> = {
  reproduced: ['is reproduced', 'are reproduced'],
  exceeds: ['is exceeded', 'are exceeded'],
  'falls short': ['falls short', 'fall short'],
  reached: ['is reached', 'are reached'],
  missed: ['is missed', 'are missed'],
  undecided: ['is undecided', 'are undecided'],
  'not testable here': ['is not testable here', 'are not testable here'],
  'not in this run': ['is not in this run', 'are not in this run'],
};

/** "Of 22 published values, 3 are reproduced, 1 falls short and 4 are undecided." */
export function counted(counts: Readonly<Record<string, number>>, what: string): string {
  const told = Object.entries(counts).filter(([, count]) => count > 0);
  const all = told.reduce((sum, [, count]) => sum + count, 0);
  const parts = told.map(
    ([word, count]) => `${count} ${verbs[word]?.[count === 1 ? 0 : 1] ?? word}`,
  );
  const of = all === 1 ? what.replace(/(?<=value|ratio|aim)s/, '') : what;
  const only = told.length === 1 && all > 1 ? told[0]?.[0] : undefined;
  if (only === 'not testable here') return `None of the ${all} ${of} is testable here.`;
  if (only !== undefined) return `All ${all} ${of} ${verbs[only]?.[1] ?? only}.`;
  return all === 0 ? '' : `Of ${all} ${of}, ${listed(parts) ?? ''}.`;
}
