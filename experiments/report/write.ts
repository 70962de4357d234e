// Writes everything that follows from a journal into the folder of its run.
import { toldOfBed } from '../core/bed-parts.js';
import { OwnFolder } from '../core/files.js';
import { summarize, type Summary } from '../core/summary.js';
import type { Experiment } from '../core/types.js';
import type { Run } from '../core/runs.js';
import { drawChart, fileStyle } from '../figures/draw/index.js';
import { fontFiles, toPng } from '../figures/png.js';
import { vegaLite } from '../figures/vega-lite.js';
import { htmlReport } from './html.js';
import { markdownReport } from './markdown.js';
import { reportModel, type ReportModel } from './model.js';
import { paperPdf, supplementPdf } from './pdf.js';
import { readSuperseded } from './superseded.js';
import { pointsCsv, tableCsv } from './tables.js';

export interface Written {
  summary: Summary;
  model: ReportModel;
  files: string[];
  /** What could not be made as it should, each with the next step. */
  notes: string[];
}

const figureForms = ['vl.json', 'svg', 'png'] as const;
const figureName = /^[a-z0-9-]+\.(vl\.json|svg|png)$/;

/** The summary without what the journal holds anyway. */
function trimmed({ summary, superseded }: ReportModel): object {
  return {
    ...summary,
    superseded,
    points: summary.points.map(({ values: _values, ...point }) => point),
  };
}

export interface ReportTexts {
  model: ReportModel;
  /** Files by name: the same bytes for the same journal. */
  texts: Map<string, string>;
}

/** What a kept run has of its report, apart from figures and PDF; writes nothing. */
export function reportTexts({ folder, history }: Run, given: Experiment): ReportTexts {
  const experiment = history.run.bed === undefined ? given : toldOfBed(given);
  const summary = summarize(experiment, history);
  const model = reportModel(experiment, summary, history, readSuperseded(folder));
  const texts = new Map([
    ['context.json', `${JSON.stringify(summary.context, null, 2)}\n`],
    ['summary.json', `${JSON.stringify(trimmed(model), null, 1)}\n`],
    ['report.md', markdownReport(model)],
  ]);
  return { model, texts };
}

/** @param png figures as pictures of points, too: they take longer than everything else */
export function writeReport(run: Run, experiment: Experiment, png = false): Written {
  const { folder } = run;
  const { model, texts } = reportTexts(run, experiment);
  const { summary } = model;
  const files: string[] = [];
  const notes: string[] = [];
  const target = OwnFolder.open(folder);
  const figureFolder = target.inside('figures');
  const write = (name: string, content: string | Buffer): void => {
    target.write(name, content);
    files.push(name);
  };
  const writeFigure = (name: string, content: string | Buffer): void => {
    figureFolder.write(name, content);
    files.push(`figures/${name}`);
  };
  // A figure that the run no longer has must not lie beside those that it has.
  const current = new Set(
    model.figures.flatMap((f) =>
      figureForms.filter((form) => png || form !== 'png').map((form) => `${f.id}.${form}`),
    ),
  );
  figureFolder.remove((name) => figureName.test(name) && !current.has(name));
  if (fontFiles().length === 0)
    notes.push(
      'fonts: DejaVu Sans is not installed, PNG figures use another font or none -> apt-get install fonts-dejavu-core',
    );
  for (const { id, chart } of model.figures) {
    const svg = `${drawChart(chart, fileStyle)}\n`;
    writeFigure(`${id}.vl.json`, `${JSON.stringify(vegaLite(chart), null, 1)}\n`);
    writeFigure(`${id}.svg`, svg);
    if (png) writeFigure(`${id}.png`, toPng(svg));
  }
  for (const [name, text] of texts) write(name, text);
  write('points.csv', pointsCsv(summary));
  write('claims.csv', tableCsv(model.claims));
  for (const { part, table } of model.parts) write(`${part.name}.csv`, tableCsv(table));
  write('report.html', htmlReport(model));
  const pdfs = { 'report.pdf': paperPdf, 'supplement.pdf': supplementPdf };
  for (const [name, make] of Object.entries(pdfs)) {
    try {
      write(name, make(model));
    } catch (error) {
      // One of an earlier journal must not lie beside this report.
      target.remove((other) => other === name);
      notes.push(
        `${name}: ${(error as Error).message} -> the other forms of the report are complete`,
      );
    }
  }
  figureFolder.close();
  target.close();
  return { summary, model, files, notes };
}
