// What every form of the report shows, put together once.
import type { History } from '../core/history.js';
import { planOf, type Summary } from '../core/summary.js';
import type { Experiment, Plan } from '../core/types.js';
import type { FigureSpec } from '../figures/common.js';
import { figureSpec } from '../figures/index.js';
import { besideFinding, finding } from './findings.js';
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

export interface FigureView extends FigureSpec {
  part: string;
  /** The caption: what the figure shows, with numbers. */
  caption: string;
}

export interface ReportModel {
  experiment: Experiment;
  summary: Summary;
  plan: Plan;
  figures: FigureView[];
  parts: PartView[];
  claims: Table;
  /** Published values and aims of this project, each in a table of its own. */
  apart: { published: Table; aims: Table };
  superseded: readonly Superseded[];
  warnings: Table;
  context: Table;
}

export function reportModel(
  experiment: Experiment,
  summary: Summary,
  history: History,
  superseded: readonly Superseded[] = [],
): ReportModel {
  const figures = experiment.figures.flatMap((figure) => {
    const spec = figureSpec(figure, experiment, summary);
    return spec === undefined
      ? []
      : [
          {
            ...spec,
            part: figure.part,
            caption: [
              finding(experiment, summary, figure),
              besideFinding(experiment, summary, figure),
              figure.note ?? '',
            ]
              .filter((text) => text !== '')
              .join(' '),
          },
        ];
  });
  return {
    experiment,
    summary,
    plan: planOf(experiment, history),
    figures,
    parts: partViews(experiment, summary, history),
    claims: claimsTable(summary),
    apart: claimsApart(summary),
    superseded,
    warnings: warningsTable(summary),
    context: contextTable(summary),
  };
}

const verdictRules = [
  'A published value is reproduced where the median and the whole interval lie within the tolerance above and below it;',
  'it exceeds or falls short where the whole interval lies on the better or the worse side; it is undecided where the interval crosses a bound.',
  'Aims of this project are counted apart, as reached, missed or undecided.',
].join(' ');

export function methodText({ plan, summary }: ReportModel): string {
  const { blocks, precision, budgetSeconds, limitSeconds, warmup } = plan.profile;
  return [
    'Every trial is a process of its own, pinned to its processors.',
    'Contenders are measured interleaved: a block runs each of them once in a shuffled order and once more in the reverse of it, on the same traffic; the next block brings other traffic.',
    `Before its first block a point is warmed up until two trials in a row differ by less than ${warmup.drift * 100} %, at most ${warmup.max} times.`,
    `Stopping rule, fixed before the run: at least ${blocks.min} blocks, then until the 95 % interval of the median is within ±${precision * 100} %, at most ${blocks.max} blocks or ${budgetSeconds} s of trials${limitSeconds === undefined ? '' : `; after ${limitSeconds} s no second block starts`}.`,
    'Values are medians with percentile-bootstrap 95 % intervals; ratios are medians of the pairs of a block with their own interval. Fewer than six values have no interval and get no verdict. Outliers are counted like every other sample.',
    verdictRules,
    `Seed ${summary.seed}; ${summary.samples} samples, ${summary.setAside} of them set aside with interrupted blocks.`,
  ].join(' ');
}
