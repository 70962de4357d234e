// The Reframer experiment's plan: every part stands alone, and every specification is one that the
// lab takes.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

import { expandPart, type Identity } from '../../experiments/core/points.js';
import type { Params } from '../../experiments/core/types.js';
import { reframer } from '../../experiments/reframer/definition.js';
import { labProgram, locate } from '../../native/loader.js';

const identity: Identity = { experiment: 'reframer', seed: 1, binary: 'b', traces: [] };
const options = { seed: 1, traces: [{ name: 'a.pcap', file: '/a.pcap', sha256: '0' }] };

describe.each(['quick', 'full'] as const)('%s plan', (profile) => {
  const { parts, byDefault } = reframer.plan({ ...options, profile });

  test('parts are distinct, and what runs by default exists', () => {
    const names = parts.map((part) => part.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining([...(byDefault ?? [])]));
  });

  test.each(parts.map((part) => [part.name, part] as const))(
    '%s: metrics are known, a baseline is there',
    (_name, part) => {
      const keys = reframer.metrics.map((metric) => metric.key);
      expect(keys).toEqual(expect.arrayContaining([...part.metrics, part.headline]));
      expect(
        expandPart(part, identity).flatMap((setting) => setting.points).length,
      ).toBeGreaterThan(0);
    },
  );

  test('figures, published values and claims name parts and parameters that exist', () => {
    for (const figure of reframer.figures)
      expect(
        parts.map((part) => part.name),
        figure.id,
      ).toContain(figure.part);
    for (const { id, measured } of reframer.claims)
      if (measured !== undefined)
        expect(
          parts.map((part) => part.name),
          id,
        ).toContain(measured.part);
  });
});

test('published values and claims stand at points of the full plan', () => {
  const { parts } = reframer.plan({ ...options, profile: 'full' });
  const points = new Map<string, Params[]>(
    parts.map((part) => [
      part.name,
      expandPart(part, identity).flatMap((setting) =>
        setting.points.flatMap((point) =>
          (part.unfold ?? [{ params: {} }]).map(({ params }) => ({ ...point.params, ...params })),
        ),
      ),
    ]),
  );
  const found = (part: string, params: object): boolean =>
    (points.get(part) ?? []).some((point) =>
      Object.entries(params).every(([name, value]) => point[name] === value),
    );
  for (const { id, measured } of reframer.claims)
    if (measured !== undefined) expect(found(measured.part, measured.at), id).toBe(true);
  // A figure may show what was published at places that are not measured here.
  const beyond = (part: string, metric: string, params: Params): boolean =>
    reframer.figures.some(
      (figure) =>
        figure.kind === 'line' &&
        figure.publishedBeyond === true &&
        figure.part === part &&
        figure.metric === metric &&
        found(
          part,
          Object.fromEntries(Object.entries(params).filter(([name]) => name !== figure.x.param)),
        ),
    );
  const lost = reframer
    .published()
    .filter(({ part, metric, params }) => !found(part, params) && !beyond(part, metric, params));
  expect(lost).toEqual([]);
});

test('the lab takes a specification of every part', () => {
  const program = locate(labProgram);
  const { parts } = reframer.plan({ ...options, traces: [], profile: 'quick' });
  for (const part of parts.filter(
    ({ job, name }) => job === 'trial' && name !== 'library-functions',
  )) {
    const points = expandPart(part, identity).flatMap((setting) => setting.points);
    const point = points.at(-2) ?? points[0];
    if (point === undefined) continue;
    // As short as a trial can be, on one core, with one queue's tables.
    const whole = part.spec({ offeredGbps: 10, ...point.params });
    const spec = {
      ...whole,
      queues: 1,
      frontCores: Math.min(1, Number(whole.frontCores ?? 0)),
      durationNs: 20_000,
      warmupNs: 0,
      learnNs: 10_000,
      tableFlows: 0,
      dma: 'dram',
      serviceNs: 100,
      cpus: [0],
    };
    const run = spawnSync(program, ['trial'], { input: JSON.stringify(spec), encoding: 'utf8' });
    expect(run.stdout, part.name).not.toContain('"error"');
    expect(run.status, part.name).toBe(0);
  }
});
