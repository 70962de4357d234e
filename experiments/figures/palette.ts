// Colours that colour-blind readers and grey printers can tell apart (Okabe and Ito, 2008), and
// point shapes beside them. A series keeps its colour in every figure of every run.

const okabeIto = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#7a5c00',
  '#5e3c99',
  '#8c2d04',
  '#3f7f7f',
] as const;
const shapes = [
  'circle',
  'square',
  'triangle-up',
  'diamond',
  'cross',
  'triangle-down',
  'triangle-right',
  'triangle-left',
  'stroke',
  'wedge',
] as const;

/** Series that every experiment shares; the reference is always the dark grey one. */
const known = ['off', 'off (again)', 'paper', 'modern', 'adaptive', 'burst'] as const;
const fixed: Readonly<Record<string, string>> = {
  off: '#4d4d4d',
  'off (again)': '#9a9a9a',
  paper: okabeIto[0],
  modern: okabeIto[1],
  adaptive: okabeIto[3],
  burst: okabeIto[4],
};

export interface Palette {
  domain: string[];
  colours: string[];
  shapes: string[];
}

/** `all` are the series of the whole run, so that a figure with a few of them draws them alike. */
export function makePalette(all: readonly string[]): (shown: readonly string[]) => Palette {
  const colour = new Map<string, string>(Object.entries(fixed));
  const isKnown = (name: string): boolean => (known as readonly string[]).includes(name);
  const others = [...new Set(all)].filter((name) => !isKnown(name));
  // Where none of the shared series is about, their colours are free: eleven tables need each of them.
  const taken = new Set(all.some(isKnown) ? Object.values(fixed) : []);
  const free = okabeIto.filter((c) => !taken.has(c));
  others.forEach((name, i) => colour.set(name, free[i % free.length] as string));
  const order: readonly string[] = all.some(isKnown) ? [...known, ...others] : others;
  return (shown) => {
    const domain = order.filter((name) => shown.includes(name));
    return {
      domain,
      colours: domain.map((name) => colour.get(name) ?? okabeIto[0]),
      // A step further each time round, so that no two series share colour and shape.
      shapes: domain.map(
        (name) =>
          shapes[
            (order.indexOf(name) + Math.floor(order.indexOf(name) / shapes.length)) % shapes.length
          ] as string,
      ),
    };
  };
}

export const publishedColour = '#000000';
