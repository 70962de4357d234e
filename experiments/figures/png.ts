// SVG to PNG without a browser. Same picture, same bytes.
import { existsSync } from 'node:fs';
import { Resvg } from '@resvg/resvg-js';

// Debian's fonts-dejavu-core.
const dejavuFolder = '/usr/share/fonts/truetype/dejavu';
const dejavu = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((name) => `${dejavuFolder}/${name}`);

export const fontFiles = (): string[] => dejavu.filter((file) => existsSync(file));

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
