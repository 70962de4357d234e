// Figures in READMEs: what stands between `<!-- results: RUN/PART -->` and `<!-- /results -->` comes
// from the run in results/reference. `npm run docs:figures` writes it; a test compares.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { packageRoot } from '../../native/loader.js';
import { HarnessError } from '../core/errors.js';
import { findExperiment } from '../core/registry.js';
import { openRun } from '../core/runs.js';
import { attackTable } from '../robustness/table.js';
import { claimsFinding } from './findings.js';
import { markdownTable } from './markdown.js';
import { foundIn, type ReportModel } from './model.js';
import { citations } from '../story/references.js';
import { listed } from '../story/say.js';
import type { Table } from './tables.js';
import { reportTexts } from './write.js';

/** Short ones, with figures between markers. */
export const readmes = [
  'README.md',
  'reframer/README.md',
  'rsspp/README.md',
  'conntrack/README.md',
] as const;
/** Every file with figures between markers. */
export const withFigures = [...readmes, 'docs/RELIABILITY.md'] as const;

/** What a document has as a table, with a sentence or two on what it comes to. */
const tables: Readonly<Record<string, (model: ReportModel) => { table: Table; told: string }>> = {
  'robustness/attack-table': attackTable,
};

const models = new Map<string, ReportModel>();

function modelOf(run: string): ReportModel {
  const known = models.get(run);
  if (known !== undefined) return known;
  const opened = openRun(join(packageRoot, 'results', 'reference', run));
  const { model } = reportTexts(opened, findExperiment(opened.history.run.experiment));
  models.set(run, model);
  return model;
}

/** Works are cited in the report; a README links there instead. */
const uncited = (text: string, { experiment }: ReportModel): string =>
  citations(text, experiment.references)
    .filter((_, i) => i % 2 === 0)
    .join('')
    .replace(/ (?=[,.;)])/g, '');

/** The parts that a superseded figure is of: "parts load, cores: gains by T". */
const partsNamed = (what: string): string[] =>
  /^parts? ([^:]*)/.exec(what)?.[1]?.split(/, | and /) ?? [];

/** "Reframer: of 22 published values, ..." */
const claimsOf = ({ experiment, summary, argv }: ReportModel): string => {
  const told = claimsFinding(summary);
  const parts = [...new Set(summary.points.map(({ part }) => part))];
  const only = argv.some((word) => word.startsWith('--only'))
    ? `, ${parts.length === 1 ? 'part' : 'parts'} ${String(listed(parts))}`
    : '';
  return `${String(experiment.title.split(':')[0])}${only}: ${told.charAt(0).toLowerCase()}${told.slice(1)}`;
};

function textOf(run: string, part: string, file: string): string {
  const model = modelOf(run);
  const made = tables[`${run}/${part}`]?.(model);
  const view = model.parts.find(({ part: { name } }) => name === part);
  if (part !== 'claims' && view === undefined && made === undefined)
    throw new HarnessError('no-part', `${file}: the reference run ${run} has no part ${part}`, 2);
  const found = view === undefined ? claimsOf(model) : uncited(foundIn(model, view.part), model);
  const told = made === undefined ? found : `${markdownTable(made.table)}\n\n${made.told}`;
  const link = relative(join(file, '..'), join('results', 'reference', run, 'report.md'));
  const day = model.summary.started.slice(0, 10);
  const own = model.superseded.filter(({ what }) => partsNamed(what).includes(part));
  const old =
    own.length === 0 && model.superseded.length > 0
      ? '; some of its figures are superseded, the report says which'
      : '';
  const why = own.map((one) => ` ${one.why}`).join('');
  return `${told} ([run of ${day}](${link})${old})${why === '' ? '' : ` **Superseded:**${why}`}`;
}

const markers = /(<!-- results: ([a-z-]+)\/([a-z0-9-]+) -->\n)[^]*?(\n<!-- \/results -->)/g;

/** The file's text with the figures of today's reference runs. */
export function filled(text: string, file: string): string {
  return text.replace(
    markers,
    (_, begin: string, run: string, part: string, end: string) =>
      `${begin}${textOf(run, part, file)}${end}`,
  );
}

export const readmeText = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');
