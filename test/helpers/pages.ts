// What a page of a PDF looks like, by poppler's tools: its words with their places, its ink.
import { spawnSync } from 'node:child_process';

/** A paper that someone reads to its end. */
export const mostPages = (experiment: string, profile: string): number =>
  profile === 'quick' ? 3 : experiment === 'reframer' ? 8 : 6;

/** Points; smaller ones nobody reads on paper. */
export const smallestLetter = 6.5;

export interface Word {
  page: number;
  text: string;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** @returns undefined where poppler-utils is not installed */
export function poppler(tool: string, ...args: readonly string[]): Buffer | undefined {
  const { stdout, error, status } = spawnSync(tool, args, { maxBuffer: 2 ** 28 });
  if (error !== undefined) return undefined;
  if (status !== 0) throw new Error(`${tool} ended with ${String(status)}`);
  return stdout;
}

/** @returns undefined where poppler-utils is not installed */
export function wordsOf(file: string): Word[] | undefined {
  const text = poppler('pdftotext', '-bbox', file, '-')?.toString('utf8');
  if (text === undefined) return undefined;
  let page = 0;
  return text.split('\n').flatMap((line): Word[] => {
    if (line.includes('<page ')) page += 1;
    const found =
      /<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*)<\/word>/.exec(
        line,
      );
    if (found === null) return [];
    const [left = 0, top = 0, right = 0, bottom = 0] = found.slice(1, 5).map(Number);
    return [{ page, text: found[5] ?? '', left, right, top, bottom }];
  });
}

/** Sizes of letters in points, with a text that has each. */
export function fontSizes(file: string): Map<number, string> {
  // Zoom 1: a pixel is a point.
  const xml = poppler('pdftohtml', '-xml', '-stdout', '-i', '-zoom', '1', '-fontfullname', file);
  const sizes = new Map<number, string>();
  const text = xml?.toString('utf8') ?? '';
  const byId = new Map(
    [...text.matchAll(/<fontspec id="(\d+)" size="([\d.-]+)"/g)].map((m) => [m[1], Number(m[2])]),
  );
  for (const [, id, words = ''] of text.matchAll(/<text [^>]*font="(\d+)"[^>]*>(.*)<\/text>/g)) {
    const size = byId.get(id ?? '');
    if (size !== undefined) sizes.set(size, words.replace(/<[^>]+>/g, ''));
  }
  return sizes;
}

/** Pairs of words that lie over one another by more than a sliver. */
export function overlaps(words: readonly Word[]): string[] {
  const found: string[] = [];
  const area = (w: Word): number => (w.right - w.left) * (w.bottom - w.top);
  for (const [i, a] of words.entries())
    for (const b of words.slice(i + 1)) {
      if (a.page !== b.page || a.left >= b.right || b.left >= a.right) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      // Boxes of lines reach into one another by what accents would take.
      if (high > 0 && wide * high > 0.35 * Math.min(area(a), area(b)))
        found.push(`page ${a.page}: '${a.text}' over '${b.text}'`);
    }
  return found;
}

/** Share of each page's height that has ink, of both columns; gaps under 2 cm belong to the text. */
export function fullness(file: string): number[] {
  const resolution = 20;
  const pictures = poppler('pdftoppm', '-r', String(resolution), '-gray', file);
  if (pictures === undefined) return [];
  const shares: number[] = [];
  const gap = Math.round((2 / 2.54) * resolution);
  for (let at = 0; at < pictures.length;) {
    const head = /^P5\s(\d+)\s(\d+)\s(\d+)\s/.exec(pictures.toString('latin1', at, at + 40));
    if (head === null) break;
    const [width, height] = [Number(head[1]), Number(head[2])];
    const start = at + head[0].length;
    const columns = [0, 1].map((column) => {
      let [covered, last] = [0, 0];
      for (let y = 0; y < Math.floor(height * 0.93); y++) {
        const from = start + y * width + Math.floor((column * width) / 2);
        const row = pictures.subarray(from, from + Math.floor(width / 2));
        if (!row.some((dot) => dot < 200)) continue;
        covered += y - last <= gap || covered === 0 ? y - last : 1;
        last = y;
      }
      return covered / height;
    });
    shares.push(((columns[0] ?? 0) + (columns[1] ?? 0)) / 2);
    at = start + width * height;
  }
  return shares;
}

/** Where a figure is named first in a sentence, and where it stands with its caption: pages. */
export function placesOf(
  words: readonly Word[],
): { figure: string; named: number; stands: number }[] {
  const places = new Map<string, { named: number; stands: number }>();
  words.forEach(({ text, page }, i) => {
    if (text.replace(/^\(/, '') !== 'Figure') return;
    const [, number, end] = /^(\d+)([:.,;)]*)/.exec(words[i + 1]?.text ?? '') ?? [];
    if (number === undefined) return;
    const at = places.get(number) ?? { named: Number.NaN, stands: Number.NaN };
    if (end?.startsWith(':') === true) at.stands = page;
    else if (Number.isNaN(at.named)) at.named = page;
    places.set(number, at);
  });
  return [...places].map(([figure, at]) => ({ figure, ...at }));
}
