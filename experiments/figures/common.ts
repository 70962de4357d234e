// What every figure has: size, fonts, title with the mark of a quick run, facets.
import type { JsonObject, JsonValue } from '../core/types.js';
import type { Summary } from '../core/summary.js';
import type { Row } from './data.js';

export const fontFamily = 'DejaVu Sans, Verdana, Helvetica, sans-serif';

export const quickMark = 'QUICK RUN: few samples, short trials; use --full for figures to quote';

/** Rows of fewer than six values have no interval to draw. */
export const hasInterval: JsonObject = { filter: 'isValid(datum.low) && isValid(datum.high)' };

export interface FigureSpec {
  id: string;
  title: string;
  kind: string;
  spec: JsonObject;
  series: string[];
}

const size = { width: 420, height: 250 };
// Two columns fit a page; more would shrink the letters.
const facetSize = { width: 300, height: 210 };

export interface Assembly {
  title: string;
  summary: Summary;
  rows: readonly Row[] | readonly JsonObject[];
  layers: readonly JsonValue[];
  facets: readonly string[];
  facetLabel: string;
}

export function assemble({
  title,
  summary,
  rows,
  layers,
  facets,
  facetLabel,
}: Assembly): JsonObject {
  const quick = summary.profile === 'quick';
  const head = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: title,
      subtitle: quick ? [quickMark] : [],
      subtitleColor: '#b00020',
      anchor: 'start',
      fontSize: 13,
      subtitleFontSize: 11,
    },
    background: '#ffffff',
    datasets: { rows: rows as unknown as JsonValue },
    data: { name: 'rows' },
    config: {
      font: fontFamily,
      axis: { labelFontSize: 11, titleFontSize: 11, gridColor: '#e5e5e5', domainColor: '#888888' },
      legend: { labelFontSize: 11, titleFontSize: 11, symbolOpacity: 1 },
      header: { labelFontSize: 11, titleFontSize: 11 },
      view: { stroke: null },
    },
  };
  if (facets.length <= 1) return { ...head, ...size, layer: layers };
  return {
    ...head,
    // The parentheses keep what Vega-Lite puts in for the label apart from the text before it.
    facet: {
      field: 'facet',
      type: 'nominal',
      title: null,
      sort: [...facets],
      header: { labelExpr: `'${facetLabel} ' + (datum.label)` },
    },
    columns: 2,
    spec: { ...facetSize, layer: layers },
    resolve: { scale: { y: 'independent' } },
  };
}

export function uniqueInOrder(values: readonly string[]): string[] {
  return [...new Set(values)];
}
