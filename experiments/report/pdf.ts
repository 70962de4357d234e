// Typst to PDF, in this process. The same run gives the same bytes.
import { dirname, join } from 'node:path';
import { NodeCompiler } from '@myriaddreamin/typst-ts-node-compiler';

import { packageRoot } from '../../native/loader.js';
import { HarnessError } from '../core/errors.js';
import { fontFiles } from '../figures/render.js';
import type { ReportModel } from './model.js';
import { typstSource } from './typst.js';

export function pdfReport(model: ReportModel, svgs: ReadonlyMap<string, string>): Buffer {
  const font = fontFiles()[0];
  const compiler = NodeCompiler.create({
    workspace: packageRoot,
    ...(font === undefined ? {} : { fontArgs: [{ fontPaths: [dirname(font)] }] }),
  });
  // Shadows: nothing is written, the compiler sees the figures as files.
  for (const [id, svg] of svgs)
    compiler.mapShadow(join(packageRoot, 'figures', `${id}.svg`), Buffer.from(svg));
  const compiled = compiler.compile({ mainFileContent: typstSource(model) });
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
