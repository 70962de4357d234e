// Reports from a fixed journal: what they say, and that they say it again.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openRun, type Run } from '../../experiments/core/runs.js';
import { check, resultsSchema } from '../../experiments/core/schema.js';
import type { RunTrial } from '../../experiments/core/runner.js';
import { summarize, type Summary } from '../../experiments/core/summary.js';
import { ownTarget, type JsonObject, type Part } from '../../experiments/core/types.js';
import { reframer } from '../../experiments/reframer/definition.js';
import { besideFinding, claimsFinding } from '../../experiments/report/findings.js';
import { compareRuns } from '../../experiments/report/compare.js';
import { keepRun } from '../../experiments/report/keep.js';
import { commandOf, setupText, type ReportModel } from '../../experiments/report/model.js';
import { untold } from '../../experiments/report/paper-tables.js';
import { reportTexts, writeReport, type Written } from '../../experiments/report/write.js';
import { literal } from '../../experiments/report/paper-text.js';
import { temporaryFolder } from '../helpers/cli.js';
import { fakeTrials, runTiny, sweep, tiny } from './helpers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const path = folder.file('run');
const read = (name: string): string => readFileSync(join(path, name), 'utf8');

let run: Run;
let written: Written;
beforeAll(async () => {
  await runTiny(path);
  run = openRun(path);
  written = writeReport(run, tiny());
});

describe('files', () => {
  test('all there', () => {
    expect(written.notes).toEqual([]);
    expect([...written.files].sort()).toEqual(
      [
        'claims.csv',
        'context.json',
        'points.csv',
        'report.html',
        'report.md',
        'report.pdf',
        'summary.json',
        'supplement.pdf',
        'sweep.csv',
        ...['bars', 'boxes', 'map', 'spread'].flatMap((f) =>
          ['vl.json', 'svg'].map((e) => `figures/${f}.${e}`),
        ),
      ].sort(),
    );
  });

  test('the same journal gives the same bytes', async () => {
    const before = new Map(written.files.map((f) => [f, readFileSync(join(path, f))]));
    const again = writeReport(openRun(path), tiny());
    for (const file of again.files)
      expect(readFileSync(join(path, file)).equals(before.get(file) ?? Buffer.alloc(0)), file).toBe(
        true,
      );
  });

  test('a run kept small has the same report', async () => {
    const kept = folder.file('kept');
    keepRun(run, tiny(), kept);
    writeReport(openRun(kept), tiny());
    const [whole, small] = [join(path, 'journal.jsonl'), join(kept, 'journal.jsonl.br')].map(
      (file) => readFileSync(file).length,
    ) as [number, number];
    expect(small).toBeLessThan(whole);
    for (const file of [
      'report.md',
      'report.html',
      'summary.json',
      'points.csv',
      'figures/bars.svg',
      'figures/spread.vl.json',
    ]) {
      expect(readFileSync(join(kept, file)).equals(readFileSync(join(path, file))), file).toBe(
        true,
      );
    }
    expect(() => keepRun(run, tiny(), kept)).toThrow(/holds a run already/);
    writeFileSync(join(kept, 'journal.jsonl.br'), 'torn');
    expect(() => openRun(kept)).toThrow(/journal\.jsonl\.br: .*whole copy/);
  });
  test('what carried the packets is known of a run kept small, too', async () => {
    const [whole, kept] = [folder.file('on-bed'), folder.file('on-bed-kept')];
    const { runTrial } = fakeTrials();
    await runTiny(whole, {
      runTrial: async (...args) => {
        const { records, ...rest } = await runTrial(...args);
        return { ...rest, records: records.map((r) => ({ ...r, engine: 'testbed' })) };
      },
    });
    keepRun(openRun(whole), tiny(), kept);
    const { points } = summarize(tiny(), openRun(kept).history);
    expect(new Set(points.map(({ engine }) => engine))).toEqual(new Set(['testbed']));
    expect(
      compareRuns(openRun(whole), openRun(kept), tiny(), { threshold: 0.05, allowUnlike: false })
        .regressions,
    ).toBe(0);
  });
  test('figures that the run no longer has are removed', async () => {
    const experiment = tiny();
    writeReport(run, { ...experiment, figures: experiment.figures.slice(0, 1) });
    expect(readdirSync(join(path, 'figures')).sort()).toEqual(['bars.svg', 'bars.vl.json']);
    writeReport(run, experiment);
  });
});

describe('content', () => {
  test('the summary fits the schema', () => {
    expect(check(resultsSchema().summary, JSON.parse(read('summary.json')))).toEqual([]);
  });

  test('claims: reproduced, falls short, not testable here', () => {
    expect(written.summary.claims.map((c) => c.verdict)).toEqual([
      'reproduced',
      'falls short',
      'not testable here',
    ]);
    expect(written.summary.claims[0]?.ours?.value).toBeCloseTo(100, -1);
  });

  test('aims of ours are counted apart from published values, in every form of the report', () => {
    const experiment = tiny();
    const aims = experiment.claims.map((claim, i) =>
      i === 1 ? claim : { ...claim, source: ownTarget },
    );
    const { summary, apart } = reportTexts(run, { ...experiment, claims: aims }).model;
    expect(claimsFinding(summary)).toBe(
      'Of 1 published value, 1 falls short. Of 2 aims of this project, 1 is reached and 1 is not testable here.',
    );
    expect(apart.published.rows.map((row) => row[4])).toEqual(['falls short']);
    expect(apart.aims.rows.map((row) => row[4])).toEqual(['reached', 'not testable here']);
    expect(read('report.md')).toContain(
      'Of 3 published values, 1 is reproduced, 1 falls short and 1 is not testable here.',
    );
    expect(read('report.html')).toContain(
      'Of 3 published values, 1 is reproduced, 1 falls short and 1 is not testable here.',
    );
    expect(JSON.parse(read('summary.json'))).toMatchObject({
      verdicts: { published: { reproduced: 1, 'falls short': 1 }, aims: { reached: 0 } },
    });
  });

  test('figures that must not be quoted stand at the top, with the reason', () => {
    const kept = folder.file('superseded');
    cpSync(path, kept, { recursive: true });
    const list = [{ what: 'figure bars', why: 'measured with cold tables' }];
    writeFileSync(join(kept, 'superseded.json'), JSON.stringify(list));
    const { texts } = reportTexts(openRun(kept), tiny());
    const text = texts.get('report.md') ?? '';
    expect(text.indexOf('**figure bars**: measured with cold tables')).toBeLessThan(
      text.indexOf('<summary>Sweep'),
    );
    expect(JSON.parse(texts.get('summary.json') ?? '')).toMatchObject({ superseded: list });
    writeFileSync(join(kept, 'superseded.json'), '[{"what": 1}]');
    expect(() => reportTexts(openRun(kept), tiny())).toThrow(/superseded\.json.*why is missing/);
  });

  test('same against same: no change', () => {
    expect(written.summary.control.map((c) => c.verdict)).toEqual(['no change', 'no change']);
  });

  test('Markdown: numbers of the data, verdicts, mark of a quick run', () => {
    const text = read('report.md');
    const fixed = written.summary.points.find(
      (p) => p.params.contender === 'fixed' && p.params.chain === 'paper',
    );
    expect(text).toContain((fixed?.metrics.throughputGbps?.value ?? 0).toFixed(2));
    for (const word of [
      'QUICK RUN',
      'better',
      'not testable here',
      'no web server here',
      'off (again)',
      '<summary>Limitations',
      '<summary>Context',
      '<summary>Method',
    ])
      expect(text).toContain(word);
  });

  test('nothing names this machine', () => {
    const journal = read('journal.jsonl');
    for (const file of ['report.md', 'summary.json', 'context.json', 'report.html'])
      expect(read(file)).not.toContain(folder.path);
    expect(journal).not.toContain(folder.path);
  });

  test('HTML: one file, no address to load from', () => {
    const html = read('report.html');
    expect(html).toContain('QUICK RUN');
    expect(html.replace(/<script[\s\S]*?<\/script>/g, '')).not.toMatch(
      /(src|href)="([a-z]+:)?\/\//,
    );
    expect(html).not.toMatch(/@import|<link[^>]+stylesheet/);
  });

  test('PDF: pages and text', (context) => {
    expect(readFileSync(join(path, 'report.pdf')).subarray(0, 5).toString()).toBe('%PDF-');
    const info = spawnSync('pdfinfo', [join(path, 'report.pdf')], { encoding: 'utf8' });
    if (info.error !== undefined) return context.skip('pdfinfo is not installed (poppler-utils)');
    expect(Number(/^Pages:\s*(\d+)/m.exec(info.stdout)?.[1])).toBeGreaterThanOrEqual(1);
    const text = spawnSync('pdftotext', [join(path, 'report.pdf'), '-'], {
      encoding: 'utf8',
    }).stdout.replace(/\s+/g, ' ');
    for (const words of [
      'A tiny experiment',
      'QUICK RUN',
      'Abstract',
      'Method',
      'Which is faster?',
      'Claims',
      'not testable here',
      'Limits',
      'How to rerun it',
      'References',
      'Figure 1',
      'Table 1',
    ])
      expect(text).toContain(words);
  });

  test('text cannot become markup', () => {
    expect(literal('a "b" \\ #c\n$d$')).toBe('"a \\"b\\" \\\\ #c $d$"');
  });
});

describe('comparison', () => {
  const other = async (name: string, shift: number, seed = 9): Promise<Run> => {
    await runTiny(folder.file(name), { runTrial: fakeTrials(seed, shift).runTrial });
    return openRun(folder.file(name));
  };
  const options = { threshold: 0.05, allowUnlike: false };

  test('two runs of the same are no change', async () => {
    const { points, regressions } = compareRuns(run, await other('same', 1), tiny(), options);
    expect(points.length).toBeGreaterThan(10);
    expect(new Set(points.map((p) => p.change))).toEqual(new Set(['no change']));
    expect(regressions).toBe(0);
  });
  test('a fifth less is a regression, a fifth more is none', async () => {
    const slower = await other('slower', 0.8);
    const worse = compareRuns(run, slower, tiny(), options);
    expect(worse.regressions).toBe(worse.points.filter((p) => p.gate).length);
    const better = compareRuns(slower, run, tiny(), options);
    expect(better.regressions).toBe(0);
    expect(better.points.every((p) => p.change === 'better')).toBe(true);
    expect(compareRuns(run, slower, tiny(), { ...options, threshold: 0.3 }).regressions).toBe(0);
  });
  test('a run that does not repeat itself raises no alarm over as much', async () => {
    // Every other visit of a point a third slower: the machine's doing, for all the harness can know.
    const shaky = (seed: number): RunTrial => {
      const { runTrial } = fakeTrials(seed);
      const visits = new Map<string, number>();
      return async (job, spec, timeout) => {
        const key = JSON.stringify(spec);
        const nth = (visits.get(key) ?? 0) + 1;
        visits.set(key, nth);
        const { records, ...rest } =
          nth % 2 === seed % 2
            ? await fakeTrials(seed, 0.67).runTrial(job, spec, timeout)
            : await runTrial(job, spec, timeout);
        return { records, ...rest };
      };
    };
    const paths = [folder.file('shaky-1'), folder.file('shaky-2')] as const;
    await runTiny(paths[0], { runTrial: shaky(1) });
    await runTiny(paths[1], { runTrial: shaky(2) });
    const { points, regressions, notes } = compareRuns(
      openRun(paths[0]),
      openRun(paths[1]),
      tiny(),
      options,
    );
    expect(regressions).toBe(0);
    expect(points.filter((p) => p.change === 'worse' || p.change === 'better')).toEqual([]);
    expect(notes.some((n) => n.includes('compared with itself'))).toBe(true);
  });
  test('traffic that differs from block to block cancels out between runs of one seed', async () => {
    const uneven: RunTrial = (job, spec) =>
      fakeTrials(Number(spec.seed), 0.5 + (Number(spec.seed) % 97) / 97).runTrial(job, spec, 1);
    const twice = [folder.file('uneven-1'), folder.file('uneven-2')] as const;
    for (const path of twice) await runTiny(path, { runTrial: uneven });
    const { points } = compareRuns(openRun(twice[0]), openRun(twice[1]), tiny(), options);
    expect(points.every((p) => p.ratio.low === 1 && p.ratio.high === 1)).toBe(true);
  });
  test('points inside one record are paired too, and their baseline has its control', async () => {
    const inside: Part = {
      ...sweep(['off', 'fixed']),
      unfold: [
        { params: { load: 1 }, path: 'at.1' },
        { params: { load: 2 }, path: 'at.2' },
      ],
    };
    const experiment = tiny([inside]);
    const twice = [folder.file('inside-1'), folder.file('inside-2')] as const;
    for (const at of twice) {
      const { runTrial } = fakeTrials();
      const nested: RunTrial = async (job, spec, timeout) => {
        const {
          records: [record = {}],
          ...rest
        } = await runTrial(job, spec, timeout);
        // Another speed for each block's traffic.
        const uneven = (Number(spec.seed) % 97) / 97 + 0.5;
        const scaled = { ...record, throughputBps: Number(record.throughputBps) * uneven };
        return { records: [{ at: { 1: scaled, 2: scaled } }], ...rest };
      };
      await runTiny(at, { experiment, runTrial: nested });
    }
    const { points } = compareRuns(openRun(twice[0]), openRun(twice[1]), experiment, options);
    const throughput = points.filter((p) => p.metric === 'throughputGbps');
    expect(throughput.length).toBe(8);
    expect(throughput.map((p) => [p.ratio.low, p.ratio.high, p.change])).toEqual(
      throughput.map(() => [1, 1, 'no change']),
    );
    expect(summarize(experiment, openRun(twice[0]).history).control.map((c) => c.verdict)).toEqual([
      'no change',
      'no change',
      'no change',
      'no change',
    ]);
  });
  test('unlike runs are refused unless asked for', async () => {
    const unlike = await other('unlike', 1);
    unlike.history.context = { ...unlike.history.context, machine: { cpu: 'another' } };
    expect(() => compareRuns(run, unlike, tiny(), options)).toThrow(/machines differ/);
    expect(compareRuns(run, unlike, tiny(), { ...options, allowUnlike: true }).notes).toContain(
      'the machines differ',
    );
    const seed = folder.file('seed');
    await runTiny(seed, { seed: 2 });
    expect(() => compareRuns(run, openRun(seed), tiny(), options)).toThrow(/seeds differ/);
    const spec = folder.file('spec');
    const part = sweep();
    const longer = tiny([{ ...part, spec: (p) => ({ ...part.spec(p), durationNs: 1 }) }]);
    await runTiny(spec, { experiment: longer });
    expect(() => compareRuns(run, openRun(spec), tiny(), options)).toThrow(/other specifications/);
  });
});

test('the command of a run is one that a shell understands', () => {
  const argv = ['exp', 'tiny', '--trace', "it's a b.pcap", '--only', '$(x)`y`;*', '--seed=~', ''];
  const { summary } = reportTexts(run, tiny()).model;
  const command = commandOf({ argv, summary });
  expect(command).toMatch(/^npx reframer exp tiny --trace 'it/);
  const { stdout } = spawnSync('bash', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' });
  expect(stdout.split('\n').slice(0, -1)).toEqual(['npx', 'reframer', ...argv]);
  const { history } = run;
  const asked = { ...run, history: { ...history, run: { ...history.run, argv } } };
  const { texts } = reportTexts(asked, tiny());
  // Backticks do not end it in Markdown.
  expect(texts.get('report.md')).toContain(`The run again: \`\` ${command} \`\`\n`);
});

test('the command of a run has the budget that the run had in the end', () => {
  const { summary } = reportTexts(run, tiny()).model;
  const given = (argv: string[], context: JsonObject): string =>
    commandOf({ argv, summary: { ...summary, context } });
  const argv = ['exp', 'tiny', '--budget', '50min', '--full'];
  expect(given(argv, { budgetSeconds: 6000 })).toBe('npx reframer exp tiny --full --budget 6000s');
  expect(given(argv, {})).toBe('npx reframer exp tiny --full');
  expect(given(['exp', 'tiny'], { budgetSeconds: 6000 })).toBe('npx reframer exp tiny');
});

test('an unfinished run says so', async () => {
  const half = folder.file('half');
  const { runTrial, log } = fakeTrials();
  await runTiny(half, { runTrial, stop: () => log.length > 40 });
  const { summary } = writeReport(openRun(half), tiny());
  expect(summary.complete).toBe(false);
  expect(readFileSync(join(half, 'report.md'), 'utf8')).toContain('Unfinished run');
  expect(existsSync(join(half, 'report.pdf'))).toBe(true);
});

test('a figure over T says in its caption how long packets were held', () => {
  const { experiment, summary } = {
    experiment: reframer,
    summary: {
      points: [
        ['paper', 16, '16us', 213],
        ['paper', 8, '8us', 197.04],
        ['paper', 128, 'adaptive', 90],
        ['paper', 0, 'off', 0],
        ['modern', 8, '8us', 9],
      ].map(([chain, delayUs, contender, hold]) => ({
        part: 'overload',
        control: false,
        params: { chain, delayUs, contender },
        metrics: { holdP50Us: { value: hold, low: hold, high: hold } },
      })),
    },
  };
  const figure = experiment.figures.find(({ id }) => id === 'throughput');
  const hold = experiment.figures.find(({ id }) => id === 'hold-p50');
  if (figure === undefined || hold === undefined) throw new Error('the figures are gone');
  expect(besideFinding(experiment, summary, figure)).toBe(
    'Median hold measured, paper’s chain: 197 µs at 8, 213 µs at 16. Median hold measured, modern chain: 9.0 µs at 8.',
  );
  expect(besideFinding(experiment, summary, hold)).toBe('');
});

test('a run of some parts tells how these were set up', () => {
  const experiment = { ...tiny(), setup: 'A.', setups: [{ parts: ['kernel'], text: 'B.' }] };
  const textOf = (...parts: string[]): string =>
    setupText({
      experiment,
      summary: { points: parts.map((part) => ({ part, samples: 2 })) } as unknown as Summary,
    });
  expect(textOf('sweep')).toBe('A.');
  expect(textOf('kernel')).toBe('B.');
  expect(textOf('kernel', 'sweep')).toBe('A. B.');
  expect(textOf()).toBe('A.');
});

test('claims of parts that --only left out are counted in one sentence, and named by part', () => {
  const claim = (part: string): object => ({
    text: part,
    reason: `--only left part ${part} out`,
    verdict: 'not in this run',
    ours: null,
  });
  const claims = ['one', 'one', 'other'].map(claim);
  expect(untold({ summary: { claims } } as unknown as ReportModel)).toEqual([
    {
      verdict: 'not in this run',
      text: '3 claims of parts that --only left out: one and other.',
    },
  ]);
});
