// Works that reports cite, and how they are written.
import type { Reference } from '../core/story.js';

type Cited = string | Reference;

const keyOf = (reference: Cited, place: number): string =>
  typeof reference === 'string' ? `work-${place + 1}` : reference.key;

/** "A. Author, B. Author. Title. Venue 2022, pages 1–2." */
export function referenceText(reference: Cited): string {
  if (typeof reference === 'string') return reference;
  const { authors, title, venue, year, pages } = reference;
  const end = pages === undefined ? '' : `, pages ${pages}`;
  return `${authors.join(', ')}. ${title}. ${venue} ${year}${end}.`;
}

// What ends a value of BibTeX or begins a command in it has no place in names and titles.
const plain = (text: string): string => text.replace(/[{}\\%#$"]/g, '');

export function bibtex(references: readonly Cited[]): string {
  return references
    .map((reference, place) => {
      const key = keyOf(reference, place);
      if (typeof reference === 'string')
        return `@misc{${key},\n  title = {{${plain(reference)}}}\n}\n`;
      const { authors, title, venue, year, pages } = reference;
      const fields = [
        `author = {${authors.map(plain).join(' and ')}}`,
        `title = {{${plain(title)}}}`,
        `booktitle = {${plain(venue)}}`,
        `year = {${year}}`,
        ...(pages === undefined ? [] : [`pages = {${plain(pages).replace('–', '--')}}`]),
      ];
      return `@inproceedings{${key},\n  ${fields.join(',\n  ')}\n}\n`;
    })
    .join('\n');
}

/** Splits a text at its `@key`s: text, key, text, ... */
export function citations(text: string, references: readonly Cited[]): string[] {
  const keys = references.map(keyOf);
  return text.split(/@([a-z0-9-]+)/).reduce<string[]>(
    (pieces, piece, i) => {
      const isKey = i % 2 === 1;
      if (isKey && keys.includes(piece)) pieces.push(piece, '');
      else pieces[pieces.length - 1] += isKey ? `@${piece}` : piece;
      return pieces;
    },
    [''],
  );
}

/** For forms without a bibliography of their own: "[2]". */
export const numbered = (text: string, references: readonly Cited[]): string =>
  citations(text, references)
    .map((piece, i) => (i % 2 === 0 ? piece : `[${references.map(keyOf).indexOf(piece) + 1}]`))
    .join('');
