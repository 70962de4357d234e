// What every form of the report shows, put together once.
import { budgetOf } from '../core/budget.js';
import type { History } from '../core/history.js';
import { shellWord } from '../core/shell.js';
import { planOf, type Summary } from '../core/summary.js';
import type { Experiment, Figure, Part, Plan } from '../core/types.js';
import type { Facts, PrintedFigure } from '../core/story.js';
import { chartOf, withLines, type Chart } from '../figures/chart.js';
import { quickMark } from '../figures/draw/index.js';
import { factsOf } from '../story/facts.js';
import { besideFinding, claimsFinding } from './findings.js';
import type { Superseded } from './superseded.js';
import {
  claimsApart,
  claimsTable,
  contextTable,
  partViews,
  warningsTable,
  type PartView,
  type Table,
} from './tables.js';

export interface FigureView {
  id: string;
  title: string;
  part: string;
  chart: Chart;
  /** The finding; the title where the author says none. */
  caption: string;
  /** What the page and the supplement add: the hold that was measured, what a reader must know. */
  note: string;
  /** As the printed paper has it; undefined: only the page and the supplement have it. */
  print: Chart | undefined;
}

export interface ReportModel {
  experiment: Experiment;
  summary: Summary;
  plan: Plan;
  facts: Facts;
  abstract: string;
  figures: FigureView[];
  parts: PartView[];
  claims: Table;
  /** Published values and aims of this project, each in a table of its own. */
  apart: { published: Table; aims: Table };
  superseded: readonly Superseded[];
  warnings: Table;
  context: Table;
  /** What stands above everything: a quick run, one that is not finished. */
  marks: string[];
  /** As the run was asked for. */
  argv: readonly string[];
}

/** The figures of the headline stand for a part whose author names none. */
function printedFigures(experiment: Experiment, part: Part): readonly PrintedFigure[] {
  if (part.story?.figures !== undefined)
    return part.story.figures.map((f) => (typeof f === 'string' ? { id: f } : f));
  const own = experiment.figures.filter((f) => f.part === part.name);
  const figure = own.find((f) => f.metric === part.headline) ?? own[0];
  return figure === undefined ? [] : [{ id: figure.id }];
}

function printOf(
  figure: Figure,
  chart: Chart,
  { experiment, summary, facts }: Pick<ReportModel, 'experiment' | 'summary' | 'facts'>,
  print: PrintedFigure | undefined,
): Chart | undefined {
  if (print === undefined || print.if?.(facts) === false) return undefined;
  const { only, onePanel } = print;
  if (only === undefined && onePanel === undefined) return withLines(chart);
  const points = summary.points.filter(({ params }) =>
    Object.entries(only ?? {}).every(([name, values]) => values.includes(params[name] ?? '')),
  );
  const cut = { ...figure };
  if (onePanel === true) delete cut.facet;
  return chartOf(cut, experiment, { ...summary, points }) ?? chart;
}

/** What figures of one part share is told below the first of them. */
function once(finding: string, told: Set<string>): string {
  if (finding === '' || told.has(finding)) return '';
  told.add(finding);
  return finding;
}

function figureView(
  figure: Figure,
  chart: Chart,
  { experiment, summary, facts }: Pick<ReportModel, 'experiment' | 'summary' | 'facts'>,
  print: PrintedFigure | undefined,
  told: Set<string>,
): FigureView {
  const { id, title, part } = figure;
  return {
    id,
    title,
    part,
    chart,
    caption: figure.says?.(facts) ?? `${title}.`,
    note: [once(besideFinding(experiment, summary, figure), told), figure.note ?? '']
      .filter((text) => text !== '')
      .join(' '),
    print: printOf(figure, chart, { experiment, summary, facts }, print),
  };
}

const marksOf = (summary: Summary): string[] => [
  ...(summary.profile === 'quick' ? [quickMark] : []),
  ...(summary.complete
    ? []
    : [
        `Unfinished run: ${summary.pointsMeasured} of ${summary.pointsPlanned} points have samples`,
      ]),
];

export function reportModel(
  experiment: Experiment,
  summary: Summary,
  history: History,
  superseded: readonly Superseded[] = [],
): ReportModel {
  const facts = factsOf(experiment, summary);
  const plan = planOf(experiment, history);
  const parts = partViews(experiment, summary, history);
  const printed = new Map(
    parts.flatMap(({ part }) => printedFigures(experiment, part)).map((print) => [print.id, print]),
  );
  const told = new Set<string>();
  const figures = experiment.figures.flatMap((figure) => {
    const chart = chartOf(figure, experiment, summary);
    return chart === undefined
      ? []
      : [figureView(figure, chart, { experiment, summary, facts }, printed.get(figure.id), told)];
  });
  return {
    experiment,
    summary,
    plan,
    facts,
    abstract: experiment.abstract?.(facts) ?? `${experiment.question} ${claimsFinding(summary)}`,
    figures,
    parts,
    claims: claimsTable(summary),
    apart: claimsApart(summary),
    superseded,
    warnings: warningsTable(summary),
    context: contextTable(summary),
    marks: marksOf(summary),
    argv: history.run.argv,
  };
}

/** What the author says of a part; nothing where nobody wrote a sentence or its data are missing. */
export const foundIn = ({ facts }: Pick<ReportModel, 'facts'>, part: Part): string =>
  part.story?.found(facts) ?? '';

export const contextValue = ({ context }: Pick<ReportModel, 'context'>, name: string): string =>
  context.rows.find(([key]) => key === name)?.[1] ?? 'unknown';

const verdictRules = [
  'A published value is reproduced where the median and the whole interval lie within the tolerance above and below it;',
  'it exceeds or falls short where the whole interval lies on the better or the worse side; it is undecided where the interval crosses a bound.',
  'Aims of this project are counted apart, as reached, missed or undecided.',
].join(' ');

/** What was set up, of the parts that have samples. */
export function setupText({
  experiment,
  summary,
}: Pick<ReportModel, 'experiment' | 'summary'>): string {
  const measured = new Set(summary.points.filter((p) => p.samples > 0).map((p) => p.part));
  const { setup, setups = [] } = experiment;
  const apart = setups.filter(({ parts }) => parts.some((part) => measured.has(part)));
  const named = new Set(apart.flatMap(({ parts }) => parts));
  const others = apart.length === 0 || [...measured].some((part) => !named.has(part));
  return [...(others ? [setup] : []), ...apart.map(({ text }) => text)].join(' ');
}

export function methodText({ plan, summary }: Pick<ReportModel, 'plan' | 'summary'>): string {
  const { blocks, precision, budgetSeconds, limitSeconds, warmup } = plan.profile;
  return [
    'Every trial is a process of its own, pinned to its processors.',
    'Contenders are interleaved: a block runs each of them once in a shuffled order and once more in the reverse of it, on the same traffic; the next block brings other traffic.',
    `Before its first block a point is warmed up until two trials in a row differ by less than ${warmup.drift * 100} %, at most ${warmup.max} times.`,
    `Stopping rule, ${budgetOf(summary.context) === undefined ? 'fixed before the run' : 'its budget given by hand, all else fixed before the run'}: at least ${blocks.min} blocks, then until the 95 % interval of the median is within ±${precision * 100} %, at most ${blocks.max} blocks or ${budgetSeconds} s of trials${limitSeconds === undefined ? '' : `; after ${limitSeconds} s no second block starts`}.`,
    'Values are medians with percentile-bootstrap 95 % intervals; ratios are medians of the pairs of a block with their own interval. Fewer than six values have no interval and get no verdict. Outliers count like every other sample.',
    verdictRules,
    `Seed ${summary.seed}; ${summary.samples} samples, ${summary.setAside} of them set aside with interrupted blocks.`,
  ].join(' ');
}

/** The run again, and one of its parts, as a shell takes it. */
export const commandOf = (
  { argv, summary }: Pick<ReportModel, 'argv' | 'summary'>,
  part?: string,
): string => {
  const only = part === undefined || argv.some((word) => word.startsWith('--only'));
  // A run from the beginning is what the command does where none was interrupted, in a folder of its own.
  const left = ['--fresh', '--resume', '--json', '--ci'];
  const other = ['--out', '--budget'];
  const asked = argv.filter(
    (word, i) =>
      !left.includes(word) &&
      !other.includes(argv[i - 1] ?? '') &&
      !other.some((option) => word === option || word.startsWith(`${option}=`)),
  );
  // What it was given in the end, if it began with a budget.
  const given = argv.some((word) => word.startsWith('--budget'));
  const budget = given ? budgetOf(summary.context) : undefined;
  return [
    'npx',
    'reframer',
    ...asked,
    ...(budget === undefined ? [] : ['--budget', `${budget}s`]),
    ...(only ? [] : ['--only', part]),
  ]
    .map(shellWord)
    .join(' ');
};
