// Axes to points, and what makes a point itself.
import { HarnessError } from './errors.js';
import { shortHash } from './hash.js';
import type { Axis, JsonObject, Params, ParamValue, Part, SearchAxis, Trace } from './types.js';

export interface Point {
  /** Hash of parameters, specification, seed, program and capture. */
  id: string;
  part: string;
  params: Params;
  /** The baseline once more, under another name: it must come out as "no change". */
  control: boolean;
}

/** Points that differ in the contender axis only: they are measured interleaved. */
export interface Setting {
  key: string;
  part: Part;
  params: Params;
  points: Point[];
  baseline: Point | undefined;
  search: SearchAxis | undefined;
}

export interface Identity {
  experiment: string;
  seed: number;
  binary: string;
  traces: readonly Trace[];
}

/** Steps are counted rather than summed, so that 0.1 steps end where they should. */
function axisRows(axis: Axis): {
  names: readonly string[];
  rows: readonly (readonly ParamValue[])[];
} {
  switch (axis.kind) {
    case 'list':
      return { names: [axis.name], rows: axis.values.map((value) => [value]) };
    case 'range': {
      if (axis.step <= 0)
        throw new HarnessError('bad-axis', `axis ${axis.name}: step must be above 0`, 2);
      const count = Math.floor((axis.to - axis.from) / axis.step + 1e-9) + 1;
      return {
        names: [axis.name],
        rows: Array.from({ length: Math.max(0, count) }, (_, i) => [axis.from + i * axis.step]),
      };
    }
    case 'logRange': {
      if (axis.factor <= 1 || axis.from <= 0)
        throw new HarnessError(
          'bad-axis',
          `axis ${axis.name}: factor must be above 1 and from above 0`,
          2,
        );
      const count = Math.floor(Math.log(axis.to / axis.from) / Math.log(axis.factor) + 1e-9) + 1;
      return {
        names: [axis.name],
        rows: Array.from({ length: Math.max(0, count) }, (_, i) => [axis.from * axis.factor ** i]),
      };
    }
    case 'zip': {
      const bad = axis.rows.find((row) => row.length !== axis.names.length);
      if (bad !== undefined)
        throw new HarnessError(
          'bad-axis',
          `axis ${axis.names.join('/')}: a row has ${bad.length} values`,
          2,
        );
      return { names: axis.names, rows: axis.rows };
    }
    case 'search':
      return { names: [], rows: [[]] };
  }
}

export function expandAxes(axes: readonly Axis[], where?: (params: Params) => boolean): Params[] {
  let points: Params[] = [{}];
  for (const axis of axes) {
    const { names, rows } = axisRows(axis);
    points = points.flatMap((params) => {
      if (axis.when !== undefined && !axis.when(params)) return [params];
      return rows.map((row) => ({
        ...params,
        ...Object.fromEntries(names.map((name, i) => [name, row[i] as ParamValue])),
      }));
    });
  }
  return where === undefined ? points : points.filter(where);
}

/** The specification with each capture's path replaced by its hash: the same on every machine. */
export function portableSpec(spec: JsonObject, traces: readonly Trace[]): JsonObject {
  const byFile = new Map(traces.map((trace) => [trace.file, `sha256:${trace.sha256}`]));
  const replace = (value: unknown): unknown => {
    if (typeof value === 'string') return byFile.get(value) ?? value;
    if (Array.isArray(value)) return value.map(replace);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, replace(v)]));
    return value;
  };
  return replace(spec) as JsonObject;
}

export function makePoint(part: Part, params: Params, control: boolean, identity: Identity): Point {
  const id = shortHash({
    experiment: identity.experiment,
    part: part.name,
    job: part.job,
    params,
    control,
    spec: portableSpec(part.spec(params), identity.traces),
    seed: identity.seed,
    binary: identity.binary,
  });
  return { id, part: part.name, params, control };
}

const isContenderParam = (part: Part, name: string): boolean => {
  if (part.contenders === undefined) return false;
  const { axis } = part.contenders;
  if (axis === name) return true;
  return part.axes.some(
    (a) => a.kind === 'zip' && a.names.includes(axis) && a.names.includes(name),
  );
};

export function settingParams(part: Part, params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).filter(([name]) => !isContenderParam(part, name)),
  );
}

export const settingKey = (part: Part, params: Params): string =>
  `${part.name}:${shortHash(settingParams(part, params))}`;

export function expandPart(part: Part, identity: Identity): Setting[] {
  const settings = new Map<string, Setting>();
  const search = part.axes.find((axis): axis is SearchAxis => axis.kind === 'search');
  for (const params of expandAxes(part.axes, part.where)) {
    const key = settingKey(part, params);
    let setting = settings.get(key);
    if (setting === undefined) {
      setting = {
        key,
        part,
        params: settingParams(part, params),
        points: [],
        baseline: undefined,
        search,
      };
      settings.set(key, setting);
    }
    const point = makePoint(part, params, false, identity);
    setting.points.push(point);
    if (part.contenders !== undefined && params[part.contenders.axis] === part.contenders.baseline)
      setting.baseline = point;
  }
  for (const setting of settings.values()) {
    if (part.contenders === undefined || search !== undefined || part.deterministic === true)
      continue;
    if (setting.baseline === undefined) {
      throw new HarnessError(
        'no-baseline',
        `part ${part.name}: no point has ${part.contenders.axis} = ${part.contenders.baseline}`,
        2,
      );
    }
    setting.points.push(makePoint(part, setting.baseline.params, true, identity));
  }
  return [...settings.values()];
}

export function describeParams(params: Params): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
