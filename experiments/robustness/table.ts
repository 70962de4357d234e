// The attacks of a run side by side, without Reframer and behind it: for docs/RELIABILITY.md.
import type { PointSummary } from '../core/point-summary.js';
import { metricOf, type Summary } from '../core/summary.js';
import type { Plan } from '../core/types.js';
import type { ReportModel } from '../report/model.js';
import type { Table } from '../report/tables.js';
import { estimate } from '../report/text.js';
import { listed, together } from '../story/say.js';
import { shownName } from '../story/names.js';

const policies = ['off', 'fixed'] as const;
type Policy = (typeof policies)[number];

/** What the aims are judged by: a hold of 64 µs would hide what an attack adds. */
const judgedBy: Readonly<Record<Policy, string>> = { off: 'p99Us', fixed: 'ownP99Us' };
const claimOf = (attack: string, policy: Policy): string =>
  `${attack}-p99${policy === 'off' ? '-off' : ''}`;

function attacksOf(plan: Plan): string[] {
  const axes = plan.parts.find(({ name }) => name === 'attacks')?.axes ?? [];
  return axes.flatMap((axis) =>
    axis.kind === 'list' && axis.name === 'attack' ? axis.values.map(String) : [],
  );
}

const pointOf = ({ points }: Summary, policy: Policy, attack: string): PointSummary | undefined =>
  points.find(
    ({ part, control, params }) =>
      part === 'attacks' && !control && params.policy === policy && params.attack === attack,
  );

const verdictOf = ({ claims }: Summary, policy: Policy, attack: string): string =>
  claims.find(({ id }) => id === claimOf(attack, policy))?.verdict ?? '';

/** Latency, how many times that without an attack, and whether that keeps to the aim. */
function cellsOf(
  { experiment, summary }: Pick<ReportModel, 'experiment' | 'summary'>,
  policy: Policy,
  attack: string,
): string[] {
  const point = pointOf(summary, policy, attack);
  const key = judgedBy[policy];
  const ratio = point?.ratios[key];
  return [
    estimate(point?.metrics[key], metricOf(experiment, key).digits),
    ratio === undefined ? '' : estimate(ratio, 2),
    verdictOf(summary, policy, attack),
  ];
}

/** "5 missed (SYN flood, ...) and 2 undecided (...)". */
function judged(summary: Summary, policy: Policy, attacks: readonly string[]): string | undefined {
  const having = (verdict: string): string[] =>
    attacks.filter((attack) => verdictOf(summary, policy, attack) === verdict);
  return listed(
    ['reached', 'missed', 'undecided'].flatMap((verdict) => {
      const own = having(verdict);
      const names = listed(own.map((attack) => shownName(attack)));
      return own.length === 0 ? [] : [`${own.length} ${verdict} (${String(names)})`];
    }),
  );
}

/** What no legitimate flow may lose, over every row. */
function spared(points: readonly PointSummary[]): string {
  const sum = (key: string): number =>
    points.reduce((all, { metrics }) => all + (metrics[key]?.value ?? 0), 0);
  const [evicted, dropped] = [sum('establishedEvicted'), sum('legitimateDrops')];
  return evicted + dropped === 0
    ? 'In these rows no established flow was evicted and no legitimate packet dropped.'
    : `By the medians of these rows, ${evicted} established flows were evicted and ${dropped} legitimate packets dropped.`;
}

/** The table, and what it comes to. */
export function attackTable(model: Pick<ReportModel, 'experiment' | 'summary' | 'plan'>): {
  table: Table;
  told: string;
} {
  const { summary, plan } = model;
  const all = attacksOf(plan);
  const measured = all.filter((attack) => policies.some((p) => pointOf(summary, p, attack)));
  const rows = measured.map((attack) => {
    const share = pointOf(summary, 'fixed', attack)?.metrics.connectedPercent;
    return [
      shownName(attack),
      ...policies.flatMap((policy) => cellsOf(model, policy, attack)),
      estimate(share, 1),
    ];
  });
  const without = listed(
    all.filter((attack) => !measured.includes(attack)).map((attack) => shownName(attack)),
  );
  return {
    table: {
      title: 'Attacks',
      columns: [
        'attack',
        'p99 without Reframer, µs (95 % interval)',
        'times that of none',
        'aim',
        'p99 less the hold, T = 64 µs, µs',
        'times that of none',
        'aim',
        'handshakes that succeed, T = 64 µs, %',
      ],
      numeric: [false, true, true, false, true, true, false, true],
      rows,
    },
    told: together(
      `Aims without Reframer: ${String(judged(summary, 'off', measured))}.`,
      `With T = 64 µs, less the hold: ${String(judged(summary, 'fixed', measured))}.`,
      without === undefined ? undefined : `Not in the table, no trial of it counts: ${without}.`,
      spared(policies.flatMap((p) => measured.flatMap((a) => pointOf(summary, p, a) ?? []))),
    ),
  };
}
