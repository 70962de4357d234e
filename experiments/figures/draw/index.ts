// A chart as SVG: for paper, for a file, for the page. Same chart, same bytes.
import type { Chart } from '../chart.js';
import { drawBars } from './bars.js';
import { drawLines } from './lines.js';
import { drawHeat, drawSamples } from './samples.js';
import type { Style } from './svg.js';

export { columnStyle, fileStyle, pageStyle, type Style } from './svg.js';
export { fontFamily, quickMark } from './frame.js';

export function drawChart(chart: Chart, style: Style): string {
  switch (chart.kind) {
    case 'line':
      return drawLines(chart, style);
    case 'bar':
      return drawBars(chart, style);
    case 'box':
    case 'cdf':
      return drawSamples(chart, style);
    case 'heat':
      return drawHeat(chart, style);
  }
}
