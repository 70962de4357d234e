// Published curves of the paper: how values grow, whatever the speed of the machine.
import { readPublished } from '../core/published.js';
import type { Params, ShapeClaim } from '../core/types.js';

type Cells = Readonly<Record<string, string | number>>;

// The machine and the traffic differ: a fifth up or down is the same shape.
const tolerance = 0.2;

interface Curve {
  id: string;
  text: string;
  file: string;
  part: string;
  metric: string;
  column: string;
  /** Place of a row on the curve; the first is what the others are divided by. */
  x: string;
  places: readonly number[];
  label: (x: number) => string;
  at: (x: number) => Params;
}

function curve({ id, text, file, part, metric, column, x, places, label, at }: Curve): ShapeClaim {
  const { rows, source } = readPublished(file);
  const published = (place: number): number =>
    Number(rows.find((row: Cells) => row[x] === place)?.[column]);
  const [first = 0, ...rest] = places;
  return {
    id,
    text,
    source: source.replace(/[.;]\s*\w*\.?$/, ''),
    tolerance,
    part,
    metric,
    from: { at: at(first), published: published(first) },
    steps: rest.map((place) => ({
      label: label(place),
      at: at(place),
      published: published(place),
    })),
  };
}

const byDelay = (id: string, text: string, metric: string): ShapeClaim =>
  curve({
    id,
    text,
    file: 'reframer-in-chain.csv',
    part: 'overload',
    metric,
    column: metric,
    x: 'delayUs',
    places: [0, 8, 16, 64, 256],
    label: (us) => `${us} µs`,
    at: (us) => ({ chain: 'paper', contender: us === 0 ? 'off' : `${us}us` }),
  });

export const shapes: readonly ShapeClaim[] = [
  byDelay(
    'shape-throughput',
    'Throughput by T over that without Reframer, at overload',
    'throughputGbps',
  ),
  byDelay('shape-slf', 'SLF at the chain by T over that without Reframer, at overload', 'slfOut'),
  curve({
    id: 'shape-locality',
    text: 'Throughput of the chain by SLF over that at SLF 1',
    file: 'reframer-motivation-chain.csv',
    part: 'motivation',
    metric: 'throughputGbps',
    column: 'throughputGbps',
    x: 'slf',
    places: [1, 2, 4, 8, 32],
    label: (slf) => `SLF ${slf}`,
    at: (slf) => ({ chain: 'paper', slf, contender: 'per packet' }),
  }),
  curve({
    id: 'shape-cores',
    text: 'Throughput by cores over that of one, without Reframer',
    file: 'reframer-scalability.csv',
    part: 'cores',
    metric: 'throughputGbps',
    column: 'throughputGbps',
    x: 'cores',
    places: [1, 2, 4, 8],
    label: (cores) => `${cores} cores`,
    at: (cores) => ({ cores, contender: 'off' }),
  }),
];
