// Published values that stand beside ours: experiments/published/balancer-*.csv.
import { readPublished } from '../core/published.js';
import type { PublishedRow } from '../core/types.js';

const ourNames: Readonly<Record<string, string>> = {
  hash: 'hash',
  'consistent hash': 'ring',
  Cheetah: 'cookie',
};

export function published(): PublishedRow[] {
  const broken = readPublished('balancer-changes.csv').rows.flatMap((row) => {
    const contender = ourNames[String(row.contender)];
    return contender === undefined
      ? []
      : (['broken', 'brokenPercent', 'worstSecondPercent'] as const).map((metric) => ({
          part: 'changes',
          params: { contender },
          metric,
          value: Number(row[metric]),
        }));
  });
  const drops = readPublished('balancer-cores.csv').rows.flatMap((row) =>
    [70, 80, 90, 100, 110].map((percent) => ({
      part: 'cores',
      params: {
        contender: String(row.policy),
        load: percent / 100,
        servers: 'static RSS',
        keys: 'own',
      },
      metric: 'dropPercent',
      value: Number(row[`dropPercentAt${percent}`]),
    })),
  );
  const variances = readPublished('balancer-cores.csv').rows.flatMap((row) =>
    (['coreVariance', 'serverVariance'] as const).map((metric) => ({
      part: 'cores',
      params: { contender: String(row.policy), load: 0.5, servers: 'static RSS', keys: 'own' },
      metric,
      value: Number(row[`${metric}At50`]),
    })),
  );
  return [...broken, ...variances, ...drops];
}
