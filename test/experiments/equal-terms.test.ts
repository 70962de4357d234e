// Contenders of a figure differ in what their names say and in nothing else: same call size, same
// depth of prefetch, same epochs, same warm-up, same form of the chain, same amount of work.
import { describe, expect, test } from 'vitest';

import { expandAxes, settingParams } from '../../experiments/core/points.js';
import { experiments } from '../../experiments/core/registry.js';
import type { JsonObject, JsonValue, Part } from '../../experiments/core/types.js';

/** What contenders are: a figure is about these. Every other field of a specification is a term. */
const subjects = new Set([
  // flow tables; toPercent: the load at which one refuses or grows
  'contender',
  'sharing',
  'expiry',
  'attack',
  'toPercent',
  // Reframer
  'policy',
  'delayNs',
  'key',
  'early',
  'bypass',
  'ackThinning',
  'sensitivePasses',
  // balancers, hand-overs and tables of a port
  'method',
  'scaling',
  'autoscale',
  'state',
  'handOver',
  'prepareMs',
  'write',
  'writeUs',
  // robustness: the attack itself
  'keys',
  'capture',
]);

type Says = (name: string, value: JsonValue, usual: JsonValue) => boolean;

/** A term in which contenders differ, and how a name says so. `usual` is what most of them have. */
const says: Readonly<Record<string, Says>> = {
  form: (name, form) => (form === 'run') === /\bruns?\b/.test(name),
  books: (name, on) => (on === false) === /\bunbooked\b/.test(name),
  lookAhead: (name, on) => (on === false) === /\bblind\b/.test(name),
  frontCores: (name, cores) =>
    cores === 0 ? !name.includes('in front') : name.includes(`${String(cores)} in front`),
  threads: (name, threads) => name.includes(`${String(threads)} thread`),
  intervalMs: (name, ms, usual) => ms === usual || name.includes(`${String(ms)} ms`),
  overloadIntervalMs: (name, ms, usual) => ms === usual || name.includes(`${String(ms)} to `),
  movingBurst: (name, packets, usual) =>
    packets === usual || name.includes(`polls of ${String(packets)}`),
  keysAtOnce: (name, keys, usual) =>
    keys === usual ||
    (keys === 1 && name.includes('one at a time')) ||
    name.includes(`${String(keys)} at once`) ||
    name.includes(`at most ${String(keys)}`),
};

/** Unequal still, and why. An entry whose part has become equal fails: delete it then. */
const exceptions: Readonly<Record<string, string>> = {};

const takesSeveral = (tracker: string): boolean =>
  tracker === 'burst-table' || tracker.endsWith('-burst');

/** Keys that a flow table takes at once: of its tracker, the depth asked for, and the keys of a call. */
function keysAtOnce(job: string, spec: JsonObject): number | undefined {
  const tracker = String(spec.contender ?? '');
  if (!job.startsWith('conntrack-')) return undefined;
  if (job === 'conntrack-growth') return Number(spec.burst);
  // One key a call, whatever the table could do.
  if (job === 'conntrack-memory' || !takesSeveral(tracker)) return 1;
  const most = tracker === 'rte-hash-burst' ? 64 : 256;
  return Math.min(Number(spec.depth ?? 32), most);
}

function flat(value: JsonObject, prefix = ''): [string, JsonValue][] {
  return Object.entries(value).flatMap(([name, inner]): [string, JsonValue][] =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? flat(inner as JsonObject, `${prefix}${name}.`)
      : [[`${prefix}${name}`, inner]],
  );
}

function termsOf(part: Part, spec: JsonObject): Map<string, JsonValue> {
  const terms = new Map(flat(spec).filter(([name]) => !subjects.has(name)));
  const keys = keysAtOnce(part.job, spec);
  if (keys !== undefined) {
    for (const name of ['depth', 'burst']) terms.delete(name);
    terms.set('keysAtOnce', keys);
  }
  return terms;
}

function usualOf(values: readonly JsonValue[]): JsonValue {
  const count = (value: JsonValue): number =>
    values.filter((v) => JSON.stringify(v) === JSON.stringify(value)).length;
  return [...values].sort((a, b) => count(b) - count(a))[0] ?? null;
}

/** One line for each term in which contenders of a part differ without saying so. */
function breaches(part: Part): string[] {
  const { contenders } = part;
  if (contenders === undefined) return [];
  const settings = new Map<string, { name: string; terms: Map<string, JsonValue> }[]>();
  for (const params of expandAxes(part.axes, part.where)) {
    const key = JSON.stringify(settingParams(part, params));
    const one = { name: String(params[contenders.axis]), terms: termsOf(part, part.spec(params)) };
    settings.set(key, [...(settings.get(key) ?? []), one]);
  }
  const found = new Set<string>();
  for (const setting of settings.values()) {
    for (const term of new Set(setting.flatMap(({ terms }) => [...terms.keys()]))) {
      const values = setting.map(({ terms }) => terms.get(term) ?? null);
      if (new Set(values.map((v) => JSON.stringify(v))).size === 1) continue;
      const usual = usualOf(values);
      const rule = says[term];
      if (
        rule === undefined ||
        setting.some(({ name }, i) => !rule(name, values[i] ?? null, usual))
      )
        found.add(term);
    }
  }
  return [...found];
}

const parts = experiments.flatMap((experiment) =>
  (['quick', 'full'] as const).flatMap((profile) =>
    experiment
      .plan({ profile, seed: 1, traces: [] })
      .parts.map((part) => ({ experiment: experiment.name, profile, part })),
  ),
);

describe('contenders on equal terms', () => {
  test.each(parts.map((p) => [`${p.experiment} ${p.part.name}, ${p.profile}`, p] as const))(
    '%s',
    (_, { experiment, part }) => {
      const unsaid = breaches(part).filter(
        (term) => exceptions[`${experiment} ${part.name}: ${term}`] === undefined,
      );
      expect(unsaid, 'terms in which contenders differ, and no name says so').toEqual([]);
    },
  );

  test('every exception is still one', () => {
    const now = new Set(
      parts.flatMap(({ experiment, part }) =>
        breaches(part).map((term) => `${experiment} ${part.name}: ${term}`),
      ),
    );
    expect(Object.keys(exceptions).filter((name) => !now.has(name))).toEqual([]);
  });
});

describe('the check itself', () => {
  const part = (
    job: string,
    names: readonly string[],
    rows: readonly (readonly (string | number | boolean)[])[],
    spec: Part['spec'],
  ): Part => ({
    name: 'made up',
    title: '',
    question: '',
    job,
    axes: [{ kind: 'zip', names, rows }],
    contenders: { axis: 'contender', baseline: String(rows[0]?.[0]) },
    spec,
    headline: 'x',
    metrics: ['x'],
  });
  const tables = (...rows: [string, string, number][]): Part =>
    part('conntrack-rate', ['contender', 'tracker', 'depth'], rows, (p) => ({
      contender: String(p.tracker),
      depth: Number(p.depth),
    }));

  test('a table that is given more keys at once than another must say so', () => {
    expect(
      breaches(tables(['Cuckoo++', 'cuckoopp-burst', 32], ['ours', 'burst-table', 128])),
    ).toEqual(['keysAtOnce']);
    expect(
      breaches(
        tables(['Cuckoo++', 'cuckoopp-burst', 32], ['ours, 128 at once', 'burst-table', 128]),
      ),
    ).toEqual([]);
    expect(
      breaches(
        tables(
          ['Cuckoo++', 'cuckoopp', 32],
          ['ours', 'burst-table', 32],
          ['Chaining', 'chaining-burst', 32],
        ),
      ),
    ).toEqual(['keysAtOnce']);
    expect(
      breaches(
        tables(
          ['Cuckoo', 'rte-hash-burst', 128],
          ['ours', 'burst-table', 128],
          ['Chaining', 'chaining-burst', 128],
        ),
      ),
    ).toEqual(['keysAtOnce']);
  });

  test('epochs, form, warm-up and amount of work', () => {
    const two = (name: string, a: JsonValue, b: JsonValue, second: string): string[] =>
      breaches(
        part(
          'job',
          ['contender', 'at'],
          [
            ['first', 0],
            [second, 1],
            ['third', 0],
          ],
          (p) => ({ [name]: p.at === 1 ? b : a }),
        ),
      );
    expect(two('intervalMs', 100, 500, 'classes')).toEqual(['intervalMs']);
    expect(two('intervalMs', 100, 500, 'classes, 500 ms')).toEqual([]);
    expect(two('overloadIntervalMs', 0, 10, 'ours')).toEqual(['overloadIntervalMs']);
    expect(two('form', 'packet', 'run', '64us')).toEqual(['form']);
    expect(two('form', 'packet', 'run', '64us, runs')).toEqual([]);
    expect(two('form', 'packet', 'packet', '64us')).toEqual([]);
    // No name could say these.
    for (const term of ['warmupSeconds', 'packets', 'quick', 'hugepages', 'call'])
      expect(two(term, 1, 2, 'more')).toEqual([term]);
  });
});
