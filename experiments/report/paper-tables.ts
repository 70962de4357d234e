// Tables of the printed paper: what the text uses, and the verdicts.
import type { ClaimResult } from '../core/claims.js';
import { counted } from '../core/count.js';
import type { PointSummary } from '../core/point-summary.js';
import { fewestValues } from '../core/statistics.js';
import { metricOf } from '../core/summary.js';
import type { Part } from '../core/types.js';
import { isAim } from '../core/verdict.js';
import { listed } from '../story/say.js';
import { shownName } from '../story/names.js';
import type { ReportModel } from './model.js';
import type { Printed } from './paper-text.js';
import { estimate, plain } from './text.js';

/** More rows nobody reads; they stand in the CSV file. */
const mostRows = 12;

export function storyTable({ experiment, summary }: ReportModel, part: Part): Printed | undefined {
  const table = part.story?.table;
  if (table === undefined) return undefined;
  const { where = {}, names, metrics } = table;
  const fits = (p: PointSummary): boolean =>
    p.part === part.name &&
    !p.control &&
    Object.entries(where).every(([name, value]) => p.params[name] === value);
  const points = summary.points.filter(fits).slice(0, mostRows);
  const keys = Object.keys(metrics).filter((key) => points.some((p) => key in p.metrics));
  if (points.length === 0 || keys.length === 0) return undefined;
  const rows = points.map((point) => [
    ...Object.keys(names).map((name) => shownName(String(point.params[name] ?? ''))),
    ...keys.map((key) => estimate(point.metrics[key], metricOf(experiment, key).digits ?? 2)),
  ]);
  return {
    label: `tab-${part.name}`,
    caption: table.caption,
    columns: [
      ...Object.values(names).map((title) => ({ title })),
      ...keys.map((key) => {
        const { label, unit } = metricOf(experiment, key);
        const title = metrics[key] === '' || metrics[key] === undefined ? label : metrics[key];
        return { title: unit === '' ? title : `${title} (${unit})`, right: true };
      }),
    ],
    rows,
    page: keys.length > 3,
  };
}

const good = '#00664a';
const bad = '#a33c00';
export const verdictColours: Readonly<Record<string, string>> = {
  reproduced: good,
  reached: good,
  exceeds: '#00568a',
  'falls short': bad,
  missed: bad,
};

const withUnit = (text: string, unit: string): string =>
  unit === '' || text === '-' ? text : `${text} ${unit}`;

/** As the sentences have it. */
const minus = (text: string): string => text.replace(/(^|[ (])-(?=\d)/g, '$1−');

/** "1.52 (1.50 to 1.55)", or of a curve the place that decides: where values are too few, or the last of its verdict. */
function oursOf(claim: ClaimResult): [string, string, string] {
  if (claim.steps !== undefined) {
    const place =
      claim.steps.find((s) => s.n < fewestValues) ??
      claim.steps.filter((s) => s.verdict === claim.verdict).at(-1) ??
      claim.steps.at(-1);
    if (place === undefined) return ['-', '-', '-'];
    const at = (value: number): string => `${plain(value)}x`;
    return [
      `${at(place.published)} at ${place.label}`,
      estimate(place.ours, undefined),
      plain(Number((place.ours.value / place.published).toPrecision(2))),
    ];
  }
  if (claim.ours === null || claim.published === null)
    return [
      claim.published === null ? '-' : withUnit(plain(claim.published), claim.unit),
      '-',
      '-',
    ];
  const ratio = claim.published === 0 ? Number.NaN : claim.ours.value / claim.published;
  return [
    withUnit(plain(claim.published), claim.unit),
    withUnit(estimate(claim.ours, undefined), claim.unit),
    Number.isFinite(ratio) && ratio > 0 ? plain(Number(ratio.toPrecision(2))) : '-',
  ];
}

const measured = (claim: ClaimResult): boolean => claim.ours !== null || claim.steps !== undefined;

/** @param all also those without a value of ours, which the paper tells in a sentence */
export function claimTable(model: ReportModel, aims: boolean, all = false): Printed | undefined {
  const own = model.summary.claims.filter((c) => isAim(c) === aims && (all || measured(c)));
  if (own.length === 0) return undefined;
  const rows = own.map((claim) => {
    const [published, ours, ratio] = oursOf(claim);
    const why = claim.clause ?? claim.reason;
    return [claim.text, ...[published, ours, ratio].map(minus), claim.verdict, minus(why)];
  });
  const titles = [
    'claim',
    aims ? 'aim' : 'published',
    'ours (95 % interval)',
    'ratio',
    'verdict',
    'why',
  ];
  return {
    label: aims ? 'tab-aims' : 'tab-claims',
    caption: aims
      ? 'Aims of this project, and what came out.'
      : 'Published values and ours. The ratio is ours over the published value.',
    columns: titles.map((title, i) => ({
      title,
      right: [1, 2, 3].includes(i),
      wide: i === 0 || i === 5,
    })),
    rows,
    page: true,
    coloured: verdictColours,
  };
}

// Claims that `--full` or `--only` would measure are counted; the page and claims.csv list them.
const leftOut = /--full|--only|has no part/;
/** A part that the user did not ask for. */
export const partLeftOut = /^--only left part (\S+) out$/;
/** More than these are counted, too. */
const mostNamed = 4;

/** Claims without a value of ours, by the reason. */
export function untold({ summary }: ReportModel): { verdict: string; text: string }[] {
  return (['not testable here', 'not in this run'] as const).flatMap((verdict) => {
    const own = summary.claims
      .filter((c) => c.verdict === verdict && !measured(c))
      .map((c) => ({ text: c.text, reason: (c.clause ?? c.reason).replaceAll('`', '') }));
    const unasked = own.filter((c) => partLeftOut.test(c.reason));
    const parts = new Set(unasked.map((c) => partLeftOut.exec(c.reason)?.[1] ?? ''));
    const reasons = [...new Set(own.map((c) => c.reason))].filter((r) => !partLeftOut.test(r));
    const lines = reasons.map((reason) => {
      const claims = own.filter((c) => c.reason === reason);
      return leftOut.test(reason) || (/no sample/.test(reason) && claims.length > mostNamed)
        ? `${claims.length} ${claims.length === 1 ? 'claim' : 'claims'}: ${reason}.`
        : `${claims.length > mostNamed ? `${String(claims[0]?.text)}, and ${claims.length - 1} claims like it` : claims.map((c) => c.text).join('; ')}: ${reason}.`;
    });
    if (unasked.length > 0)
      lines.push(
        `${counted(unasked.length, 'claim')} of ${parts.size === 1 ? 'a part' : 'parts'} that --only left out: ${listed([...parts])}.`,
      );
    return own.length === 0 ? [] : [{ verdict, text: lines.join(' ') }];
  });
}
