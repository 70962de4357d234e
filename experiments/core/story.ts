// What an author may say of a run, and what sentences may ask of it. Sentences are made with
// experiments/story/say.ts; experiments/story/facts.ts answers from a summary.
import type { Params, ParamValue } from './params.js';

/** A sentence, or none where the data for it are missing. */
export type Sentence = string | undefined;
/** What a sentence is made of: only numbers that this answers. */
export type Say = (facts: Facts) => Sentence;

/** A point against the baseline of its own setting. */
export interface Change {
  verdict: 'better' | 'worse' | 'no change' | 'undecided' | 'too few';
  /** Times the baseline's value. */
  ratio: number;
  /** "+60.1 %". */
  percent: string;
  /** "60 %": for sentences that say themselves whether it is more or less. */
  size: string;
  /** "1.60 times". */
  times: string;
  /** "95 % interval +59.0 % to +61.3 %", or how many pairs there are where there is none. */
  span: string;
}

export interface PointFacts {
  params: Params;
  value: (metric: string) => number | undefined;
  /** "47.1 Gbps". */
  told: (metric: string) => string | undefined;
  /** Without its unit: "47.1". */
  bare: (metric: string) => string | undefined;
  change: (metric: string) => Change | undefined;
}

export interface PartFacts {
  /** The first point with these parameters; where there is none, one that answers nothing. */
  at: (params: Params) => PointFacts;
  points: (where?: Params) => PointFacts[];
  /** The paper's value there, with its unit. */
  published: (params: Params, metric: string) => string | undefined;
}

export interface Facts {
  quick: boolean;
  /** Verdicts by word, on published values and on aims of this project. */
  counts: { published: Readonly<Record<string, number>>; aims: Readonly<Record<string, number>> };
  part: (name: string) => PartFacts;
  /** The claim's verdict in its word. */
  verdict: (claim: string) => string | undefined;
}

/** Rows and columns of a part's table that the text uses; the CSV file has all. */
export interface PaperTable {
  caption: string;
  /** Only points with these parameters. */
  where?: Params;
  /** Parameters that name a row, with the heading that each has. */
  names: Readonly<Record<string, string>>;
  /** Metrics, with their heading where the metric's own is too long. */
  metrics: Readonly<Record<string, string>>;
}

/** A figure as the printed paper has it; the page and the supplement have all of it. */
export interface PrintedFigure {
  id: string;
  /** Only points with one of these values: what the text is about. */
  only?: Readonly<Record<string, readonly ParamValue[]>>;
  /** All series in one panel, to be compared there. */
  onePanel?: true;
  /** Only where this holds: without it the figure would show nothing of what the text is about. */
  if?: (facts: Facts) => boolean;
}

/** What the report says of a part. */
export interface Story {
  /** What came out, and why: a few sentences, each with its condition. */
  found: Say;
  /** Figures that the printed paper has; the others go to its supplement. Default: that of the headline. */
  figures?: readonly (string | PrintedFigure)[];
  /** At most twelve rows; default none. */
  table?: PaperTable;
}

/** A work that the report cites. In texts `@key` stands for it. */
export interface Reference {
  key: string;
  authors: readonly string[];
  title: string;
  venue: string;
  year: number;
  pages?: string;
}
