// What an experiment file states. Machinery reads these; it adds nothing to them.
import type { Params, ParamValue } from './params.js';
import type { Reference, Say, Story } from './story.js';

export type { Params, ParamValue } from './params.js';

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

export type Direction = 'higher' | 'lower' | 'neutral';

export interface Metric {
  key: string;
  label: string;
  unit: string;
  /** Which way is better; `neutral` metrics get no verdict. */
  direction: Direction;
  /** Where the trial's record holds it: "latencyNs.p50". */
  path: string;
  /** Factor from the record's unit to `unit`, default 1. */
  scale?: number;
  digits?: number;
  /** A worsening of this metric makes `compare` exit with 4. */
  gate?: boolean;
  /** A cost a packet: refused where the queue ran empty, for then it tells of the gaps between arrivals. */
  backlog?: Backlog;
}

/** Where a record tells whether the queue always held packets; see core/backlog.ts. */
export interface Backlog {
  /** Share of the time that the core was busy. */
  busyShare: string;
  /** Share of the packets that found the ring full. */
  dropShare?: string;
  /** Bits carried a second; offered are those of the specification (`offeredBps`). */
  carriedBps?: string;
}

interface AxisCommon {
  /** The axis is left out of a point where this does not hold. */
  when?: (params: Params) => boolean;
}
export interface ListAxis extends AxisCommon {
  kind: 'list';
  name: string;
  values: readonly ParamValue[];
}
export interface RangeAxis extends AxisCommon {
  kind: 'range';
  name: string;
  from: number;
  to: number;
  step: number;
}
export interface LogRangeAxis extends AxisCommon {
  kind: 'logRange';
  name: string;
  from: number;
  to: number;
  factor: number;
}
/** Parameters that move together: one row, one value for each name. */
export interface ZipAxis extends AxisCommon {
  kind: 'zip';
  names: readonly string[];
  rows: readonly (readonly ParamValue[])[];
}
/** The highest value that still satisfies a bound, by bisection: zero-loss rate and the like. */
export interface SearchAxis extends AxisCommon {
  kind: 'search';
  name: string;
  from: number;
  to: number;
  /** Bisection ends when the bracket is this narrow, in the axis' unit. */
  resolution: number;
  metric: string;
  atMost: number;
}
export type Axis = ListAxis | RangeAxis | LogRangeAxis | ZipAxis | SearchAxis;

export interface Part {
  name: string;
  title: string;
  question: string;
  /**
   * The job of `reframer-lab` that measures a point; one of `reframer-dpdk` with `dpdk:` in front, one of
   * this command line with `command:`; with `bed:` a trial on a bed, see testbed/run.ts.
   */
  job: string;
  axes: readonly Axis[];
  where?: (params: Params) => boolean;
  /** The axis whose values are measured against each other, block by block, and its reference value. */
  contenders?: { axis: string; baseline: ParamValue };
  /** The job's answer does not depend on the machine's speed: one sample a seed is enough, in file order. */
  deterministic?: boolean;
  /** Samples of a deterministic part, each with a seed of its own; default 1. */
  seeds?: number;
  /** The job's specification; the runner adds the seed where `seeded` is not false. */
  spec: (params: Params) => JsonObject;
  seeded?: boolean;
  /** The metric that the stopping rule watches. */
  headline: string;
  /** Metrics of this part, as its tables show them. */
  metrics: readonly string[];
  /** One record that tells about several points: their parameters, and where in the record they are. */
  unfold?: readonly { params: Params; path: string }[];
  /** A machine that cannot run this part (exit code 3) leaves it out, with a word, instead of ending the run. */
  optional?: boolean;
  /** Longest time that one trial may take, seconds. */
  timeoutSeconds?: number;
  /** What the report says of it; default: its question, its figure, and where its numbers are. */
  story?: Story;
}

/** The stopping rule, fixed before the run. A block measures every contender twice (ABBA). */
export interface Profile {
  name: 'quick' | 'full';
  blocks: { min: number; max: number };
  /** Enough: half-width of the headline's interval over its median. */
  precision: number;
  /** Seconds of trials after which no block beyond the minimum starts. */
  budgetSeconds: number;
  /** Seconds of trials after which no second block starts, whatever it leaves undecided; default none. */
  limitSeconds?: number;
  /**
   * Each setting gets its least number of blocks before the next begins, in the order of the
   * definition: when time is short, the first questions have an answer and the others a value,
   * not every question a value. Default: a block of each in turn, so that each sees all of the
   * run's time, as long as all of them fit into the limit.
   */
  oneByOne?: boolean;
  /** What a trial takes on an ordinary machine, for the estimate before the first; default by name. */
  trialSeconds?: number;
  /** Trials before the first block of a point: until two in a row differ by less than `drift`. */
  warmup: { max: number; drift: number };
}

/** What a bed can do, as far as the parts of an experiment ask. */
export interface BedFacts {
  /** Receive queues of the device under test, a core each. */
  queues: number;
  tester: string;
  /** Whether the tester tells latency and order of packets, and takes a generator's traffic. */
  latency: boolean;
  order: boolean;
  generator: boolean;
  linkGbps: number;
}

export interface RunOptions {
  profile: Profile['name'];
  seed: number;
  /** Captures given by the user: the name that reports use, and the file. */
  traces: readonly Trace[];
  /** Measured on a bed of two machines: then the plan is of parts that run there. */
  bed?: BedFacts;
}

export interface Trace {
  name: string;
  file: string;
  sha256: string;
}

/** `source` of a claim that no paper makes: an aim of ours, reached or missed. */
export const ownTarget = 'target of this project';

export interface Claim {
  id: string;
  text: string;
  /** Where the published value stands. */
  source: string;
  unit: string;
  published: number;
  /** Deviation from a published value, up or down, that still counts as reproduced: a share of it. */
  tolerance: number;
  /** A published value is always `near`: two-sided. `at-least` and `at-most` are for aims of ours. */
  kind: 'near' | 'at-least' | 'at-most';
  /**
   * Which point tells; `versus` makes it the change against the part's baseline, or another contender, in percent, or with
   * `as` how many times less this point has, or how many percent of the baseline's value: of what may
   * be none at all, which no ratio the other way round could tell.
   */
  measured?: {
    part: string;
    metric: string;
    at: Params;
    versus?: Params;
    as?: 'times-less' | 'percent-of';
  };
  /** Why it cannot be tested here, when there is nothing to measure. */
  untestable?: string;
  /** A clause for each verdict that needs one: why ours differs, as far as it is known. */
  why?: Readonly<Record<string, string>>;
}

/**
 * A published curve in one verdict: each value over the one at `from` must lie within the tolerance of
 * the published ratio. Speeds of machines cancel out.
 */
export interface ShapeClaim {
  id: string;
  text: string;
  source: string;
  tolerance: number;
  part: string;
  metric: string;
  /** The point that the others are divided by; its own published value. */
  from: { at: Params; published: number };
  steps: readonly { label: string; at: Params; published: number }[];
  why?: Readonly<Record<string, string>>;
}

export interface PublishedRow {
  part: string;
  params: Params;
  metric: string;
  value: number;
}

export interface FigureCommon {
  id: string;
  title: string;
  part: string;
  /** Only points with these parameters. */
  where?: Params;
  /** The finding, in one or two sentences: it is the caption. Default: the title. */
  says?: Say;
  /** What a reader must know to compare: it ends the caption on the page and in the supplement. */
  note?: string;
}
export interface LineFigure extends FigureCommon {
  kind: 'line';
  x: { param: string; label: string; scale?: 'linear' | 'log' | 'symlog' };
  metric: string;
  /** Default: logarithmic where values span two decades. */
  y?: 'linear' | 'log';
  /** Parameter whose values are the lines. */
  series?: string;
  /** Parameter whose values are small multiples. */
  facet?: string;
  /** Published values are shown at places of the x axis, too, that were not measured here. */
  publishedBeyond?: boolean;
  /** Label of a contender drawn as a level line, because it has no place on the x axis. */
  levels?: readonly string[];
  /** Metric whose value at each place of x stands in the caption: what was asked for, and what came. */
  beside?: string;
}
export interface BarFigure extends FigureCommon {
  kind: 'bar';
  category: { param: string; label: string };
  metric: string;
  facet?: string;
}
export interface BoxFigure extends FigureCommon {
  kind: 'box' | 'cdf';
  series: string;
  metric: string;
  facet?: string;
}
export interface HeatFigure extends FigureCommon {
  kind: 'heat';
  x: { param: string; label: string };
  y: { param: string; label: string };
  metric: string;
  facet?: string;
}
export type Figure = LineFigure | BarFigure | BoxFigure | HeatFigure;

export interface Plan {
  profile: Profile;
  parts: readonly Part[];
  /** Names of the parts that a run without --only measures; default all. */
  byDefault?: readonly string[];
}

/** What a report of a bed says in the place of what holds for the virtual NIC. */
export interface BedTexts {
  setup: string;
  limitations: readonly string[];
  figures: readonly Figure[];
}

export interface Experiment {
  name: string;
  title: string;
  question: string;
  metrics: readonly Metric[];
  claims: readonly Claim[];
  /** Published curves; default none. */
  shapes?: readonly ShapeClaim[];
  figures: readonly Figure[];
  published: () => readonly PublishedRow[];
  plan: (options: RunOptions) => Plan;
  /** Its parts that run on a bed: the plan has them where the options have a bed. */
  bed?: BedTexts;
  /** What was set up, in the method of the report. */
  setup: string;
  /** Of parts that are set up otherwise: a report of such parts says this, beside or in the place of `setup`. */
  setups?: readonly { parts: readonly string[]; text: string }[];
  /** Question, method, findings with numbers, what did not hold: at most 150 words. */
  abstract?: Say;
  limitations: readonly string[];
  references: readonly (string | Reference)[];
}
