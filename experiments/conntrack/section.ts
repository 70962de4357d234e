// A section is what one part of the experiment brings: points, metrics, figures, claims, published values.
import type { Claim, Figure, Metric, Part, PublishedRow, ShapeClaim } from '../core/types.js';

export { ownTarget as target } from '../core/types.js';

export interface Scale {
  quick: boolean;
}

export interface Section {
  parts: (scale: Scale) => readonly Part[];
  /** Metrics that only this section has. */
  metrics: readonly Metric[];
  figures: readonly Figure[];
  claims: readonly Claim[];
  /** Published curves; default none. */
  shapes?: readonly ShapeClaim[];
  published: () => readonly PublishedRow[];
}

export const paperFiles = 'HPSR’21 result files';
