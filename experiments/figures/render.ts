// Vega-Lite to SVG and PNG without a browser. Same spec, same bytes.
import { existsSync } from 'node:fs';
import { Resvg } from '@resvg/resvg-js';
import { parse, View, type Spec } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

import type { JsonObject } from '../core/types.js';

// Debian's fonts-dejavu-core.
const dejavuFolder = '/usr/share/fonts/truetype/dejavu';
const dejavu = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) => `${dejavuFolder}/${name}`);

export const fontFiles = (): string[] => dejavu.filter((file) => existsSync(file));

const quiet = {
  level: () => quiet,
  error: (...args: readonly unknown[]) => {
    throw new Error(args.join(' '));
  },
  warn: () => quiet,
  info: () => quiet,
  debug: () => quiet,
};

export function toVega(spec: JsonObject): Spec {
  return compile(spec as unknown as TopLevelSpec, { logger: quiet }).spec;
}

/** Vega numbers gradients and clips through the life of the process; here each figure begins at 0. */
function localIds(svg: string): string {
  const names = new Map<string, string>();
  return svg.replace(/\b(gradient_|clip)\d+\b/g, (name, kind: string) => {
    const local = names.get(name) ?? `${kind}${names.size}`;
    names.set(name, local);
    return local;
  });
}

export async function toSvg(spec: JsonObject): Promise<string> {
  const view = new View(parse(toVega(spec)), { renderer: 'none' });
  try {
    return `${localIds(await view.toSVG())}\n`;
  } finally {
    view.finalize();
  }
}

// Twice the size of the SVG: sharp on paper at column width.
const pngScale = 2;

export function toPng(svg: string): Buffer {
  const files = fontFiles();
  const font =
    files.length > 0
      ? { fontFiles: files, loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' }
      : { loadSystemFonts: true };
  return Buffer.from(
    new Resvg(svg, { fitTo: { mode: 'zoom', value: pngScale }, font }).render().asPng(),
  );
}
