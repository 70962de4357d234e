// Colours that colour-blind readers and grey printers can tell apart (Okabe and Ito, 2008). A colour
// means the same in every figure: what is of ours is blue, the baseline grey, published values black.

const blue = '#0072b2';
const grey = '#5a5a5a';
const vermilion = '#c44e00';
const green = '#007a5a';
const purple = '#8b5a9f';
const amber = '#a87600';
const sky = '#2b87c0';
const brown = '#7a4a2a';
const others = [vermilion, green, purple, amber, sky, brown] as const;

export const publishedColour = '#000000';

/** By the beginning of a contender's name. */
const meanings: readonly (readonly [RegExp, string])[] = [
  // The baseline of each experiment.
  [
    /^(off|off \(again\)|static RSS|fixed RSS|none|random|blind|per packet|shared, locked|at once|interleaved|as it comes)$/,
    grey,
  ],
  // What this project, or the paper that it repeats, brings.
  [
    /^(\d+us|ours|burst table|flow block|fixed|paper|looking ahead|per bucket|served first|UDP passes|per run)/,
    blue,
  ],
  [/^(adaptive|RSS\+\+|greedy|Cuckoo\+\+|modern|all wait|FAJITA)/, vermilion],
  [/^(burst$|cached-rules|Cuckoo|from scratch|traffic classes|classes|cut and rebuilt)/, green],
  [/^(HopScotch|one queue|pooled|campus4)/, purple],
  [/^(RobinMap|ideal|each packet)/, amber],
  [/^(Chaining STL)/, brown],
  [/^(Chaining)/, sky],
];

const meaningOf = (name: string): string | undefined =>
  meanings.find(([pattern]) => pattern.test(name))?.[1];

/** `all` are the series of the figure: those without a meaning of their own take the colours that are left. */
export function colourOf(name: string, all: readonly string[]): string {
  const meaning = meaningOf(name);
  if (meaning !== undefined) return meaning;
  const taken = new Set(all.map(meaningOf));
  const left = others.filter((colour) => !taken.has(colour));
  const free = left.length > 0 ? left : others;
  const unnamed = all.filter((other) => meaningOf(other) === undefined);
  return free[unnamed.indexOf(name) % free.length] ?? grey;
}

export const shapes = ['circle', 'square', 'triangle', 'cross', 'wedge', 'bar'] as const;
export type Shape = (typeof shapes)[number];
/** Beside the colour: series of one colour differ in it. */
export const shapeOf = (place: number): Shape => shapes[place % shapes.length] as Shape;

/** Lighter by a step for each series before it that has the same colour. */
export function tinted(colour: string, step: number): string {
  const share = [0, 0.4, 0.62][Math.min(step, 2)] ?? 0;
  const part = (at: number): string => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16);
    return Math.round(value + (255 - value) * share)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${part(1)}${part(3)}${part(5)}`;
}
