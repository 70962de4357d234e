import type { JsonObject } from '../../experiments/core/types.js';

export function answer(
  job: string,
  spec: JsonObject,
  random: () => number,
  shift?: number,
): JsonObject;
