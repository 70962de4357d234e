// The connection-tracking experiment: its definition hangs together, and its trials give what it reads.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

import { conntrack } from '../../experiments/conntrack/definition.js';
import { expandAxes } from '../../experiments/core/points.js';
import type { JsonObject, Params, Part } from '../../experiments/core/types.js';
import { labProgram, locate } from '../../native/loader.js';

const partsOf = (profile: 'quick' | 'full'): readonly Part[] =>
  conntrack.plan({ profile, seed: 1, traces: [] }).parts;
const full = partsOf('full');
const fits = (params: Params, wanted: Params): boolean =>
  Object.entries(wanted).every(([name, value]) => params[name] === value);

/** Every point of a part, those inside records too. */
function points(part: Part): Params[] {
  return expandAxes(part.axes, part.where).flatMap((params) =>
    (part.unfold ?? [{ params: {} }]).map((inner) => ({ ...params, ...inner.params })),
  );
}

describe('definition', () => {
  test('figures, claims and parts name metrics and parts that exist', () => {
    const metrics = new Map(conntrack.metrics.map((metric) => [metric.key, metric]));
    expect(metrics.size).toBe(conntrack.metrics.length);
    expect(new Set(conntrack.figures.map((figure) => figure.id)).size).toBe(
      conntrack.figures.length,
    );
    expect(new Set(conntrack.claims.map((claim) => claim.id)).size).toBe(conntrack.claims.length);
    for (const part of full)
      for (const key of [part.headline, ...part.metrics])
        expect(metrics.has(key), `${part.name} ${key}`).toBe(true);
    for (const figure of conntrack.figures) {
      const part = full.find(({ name }) => name === figure.part);
      expect(part?.metrics, figure.id).toContain(figure.metric);
      expect(
        points(part ?? expect.unreachable()).some((params) => fits(params, figure.where ?? {})),
        figure.id,
      ).toBe(true);
    }
  });

  test('each claim points at one measured place of a full run', () => {
    for (const { id, measured, untestable } of conntrack.claims) {
      if (measured === undefined) {
        expect(untestable, id).toBeTruthy();
        continue;
      }
      const part = full.find(({ name }) => name === measured.part) ?? expect.unreachable(id);
      expect(part.metrics, id).toContain(measured.metric);
      const found = points(part).filter((params) => fits(params, measured.at));
      // Two threads are more than some machines have.
      if (found.length === 0 && part.name === 'threads') continue;
      expect(found.length, id).toBe(1);
    }
  });

  test('published values belong to points: their tables and parameters are known', () => {
    const rows = conntrack.published();
    expect(rows.length).toBeGreaterThan(500);
    for (const { part: name, params, metric, value } of rows) {
      const part = full.find((p) => p.name === name) ?? expect.unreachable(name);
      expect(part.metrics).toContain(metric);
      expect(Number.isFinite(value)).toBe(true);
      const { loadPercent: _load, threads: _threads, ...rest } = params;
      expect(
        points(part).some((point) => fits(point, rest)),
        JSON.stringify(params),
      ).toBe(true);
    }
  });

  test('a quick run is small', () => {
    const trials = partsOf('quick').flatMap((part) => expandAxes(part.axes, part.where)).length;
    expect(trials).toBeLessThan(120);
  });
});

function lab(job: string, spec: JsonObject): { code: number | null; records: JsonObject[] } {
  const { status, stdout } = spawnSync(locate(labProgram), [job], {
    input: JSON.stringify(spec),
    encoding: 'utf8',
  });
  return {
    code: status,
    records: stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as JsonObject),
  };
}

const valueAt = (record: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>(
      (value, name) => (value as Record<string, unknown> | undefined)?.[name],
      record,
    );

describe('trials', () => {
  // Small enough to take a moment, large enough that every branch of the trial is taken.
  const small: Readonly<Record<string, JsonObject>> = {
    load: { slots: 4096, lookups: 2048, stepPercent: 10, toPercent: 90 },
    'load-bursts': { slots: 4096, lookups: 2048, stepPercent: 10, toPercent: 90 },
    balancer: { slots: 65536, packets: 32768, liveFlows: 10_000 },
    'balancer-bursts': { slots: 65536, packets: 32768, liveFlows: 10_000 },
    threads: { flows: 2000, operations: 4000 },
    expiry: { timeScale: 0.01, seconds: 12, ticksPerSecond: 100 },
    peers: { flows: 1000, quick: true },
    hostile: { flows: 64, others: 1000, rounds: 1 },
    memory: { flows: 5000 },
    growth: { to: 20_000 },
  };

  test.each(full.map((part) => [part.name, part] as const))(
    '%s: every contender answers right, and gives what the part reads',
    (name, part) => {
      // Each contender once, at the first of its other parameters.
      const byContender = new Map(
        expandAxes(part.axes, part.where)
          .map((params) => [String(params.contender), params] as const)
          .reverse(),
      );
      for (const [contender, params] of byContender) {
        const { code, records } = lab(part.job, { ...part.spec(params), ...small[name], seed: 3 });
        expect([contender, code, records[0]?.error]).toEqual([contender, 0, undefined]);
        const [record] = records;
        // What this build or machine lacks says so, and nothing else.
        if (record?.unavailable !== undefined) continue;
        const [prefix] =
          part.unfold === undefined ? [''] : [name === 'growth' ? 'at.10000.' : 'at.50.'];
        const headline = conntrack.metrics.find(({ key }) => key === part.headline)?.path ?? '';
        const value = valueAt(record, prefix + headline);
        expect(
          typeof value === 'number' && Number.isFinite(value) && value > 0,
          `${contender}: ${JSON.stringify(record)}`,
        ).toBe(true);
      }
    },
  );

  test('what does not exist, and what is asked for wrongly, is told apart', () => {
    expect(lab('conntrack-load', { contender: 'none of these' })).toEqual({
      code: 0,
      records: [{ contender: 'none of these', unavailable: 'not in this build' }],
    });
    expect(
      lab('conntrack-threads', { threads: 64, contender: 'burst-table' }).records[0],
    ).toHaveProperty('unavailable');
    for (const [job, spec] of [
      ['conntrack-load', { slots: 5000 }],
      ['conntrack-lb', { slots: 4096, fillPercent: 95, packets: 1_000_000 }],
      ['conntrack-growth', { to: 5000, from: 6000 }],
      ['conntrack-hostile', { attack: 'nic', contender: 'robin' }],
      ['conntrack-expiry', { expiry: 'never' }],
    ] as const) {
      const { code, records } = lab(job, spec);
      expect([job, code, (records[0]?.error as JsonObject | undefined)?.code]).toEqual([
        job,
        2,
        'bad-spec',
      ]);
    }
  });
});
