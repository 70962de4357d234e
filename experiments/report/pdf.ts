// Typst to PDF, in this process. The same run gives the same bytes.
import { dirname, join } from 'node:path';
import { NodeCompiler } from '@myriaddreamin/typst-ts-node-compiler';

import { packageRoot } from '../../native/loader.js';
import { HarnessError } from '../core/errors.js';
import { columnStyle, drawChart, pageStyle } from '../figures/draw/index.js';
import { fontFiles } from '../figures/png.js';
import type { Chart } from '../figures/chart.js';
import type { FigureView, ReportModel } from './model.js';
import { bibliographyName, figureFile, isWide, paperBibliography, paperSource } from './paper.js';
import { supplementSource } from './supplement.js';

function compile(
  model: ReportModel,
  source: string,
  shown: (figure: FigureView) => Chart | undefined,
): Buffer {
  const font = fontFiles()[0];
  const compiler = NodeCompiler.create({
    workspace: packageRoot,
    ...(font === undefined ? {} : { fontArgs: [{ fontPaths: [dirname(font)] }] }),
  });
  // Shadows: nothing is written, the compiler sees these as files.
  const shadow = (name: string, content: string): void =>
    compiler.mapShadow(join(packageRoot, name), Buffer.from(content));
  for (const figure of model.figures) {
    const chart = shown(figure);
    if (chart !== undefined && source.includes(figureFile(figure.id)))
      shadow(figureFile(figure.id), drawChart(chart, isWide(chart) ? pageStyle : columnStyle));
  }
  shadow(bibliographyName, paperBibliography(model));
  const compiled = compiler.compile({ mainFileContent: source });
  const document = compiled.result;
  if (document === null) {
    const problems = compiled.takeDiagnostics()?.shortDiagnostics ?? [];
    throw new HarnessError(
      'typst',
      `Typst refused the report: ${JSON.stringify(problems).slice(0, 600)}`,
    );
  }
  return compiler.pdf(document, {
    creationTimestamp: Math.floor(Date.parse(model.summary.started) / 1000),
  });
}

export const paperPdf = (model: ReportModel): Buffer =>
  compile(model, paperSource(model), ({ print }) => print);
export const supplementPdf = (model: ReportModel): Buffer =>
  compile(model, supplementSource(model), ({ chart }) => chart);
