// Checks journal records against results/schema.json. Covers the part of JSON Schema used there:
// type, const, enum, required, properties, additionalProperties, items, minimum, pattern.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from '../../native/loader.js';
import { HarnessError } from './errors.js';
import type { JournalRecord } from './records.js';

export interface Schema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minimum?: number;
  pattern?: string;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

function typeFits(expected: string, value: unknown): boolean {
  if (expected === 'integer') return Number.isInteger(value);
  return expected === typeOf(value);
}

/** @returns what is wrong, each with its path; empty when nothing is */
export function check(schema: Schema, value: unknown, path = ''): string[] {
  const at = path === '' ? 'record' : path;
  if (schema.const !== undefined && value !== schema.const)
    return [`${at} must be ${JSON.stringify(schema.const)}`];
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return [`${at} must be one of ${schema.enum.join(', ')}`];
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type];
    if (!types.some((type) => typeFits(type, value)))
      return [`${at} must be ${types.join(' or ')}, is ${typeOf(value)}`];
  }
  if (schema.minimum !== undefined && typeof value === 'number' && value < schema.minimum)
    return [`${at} must be at least ${schema.minimum}`];
  if (
    schema.pattern !== undefined &&
    typeof value === 'string' &&
    !new RegExp(schema.pattern).test(value)
  )
    return [`${at} must match ${schema.pattern}`];
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? [] : value.flatMap((item, i) => check(items, item, `${at}[${i}]`));
  }
  if (typeof value !== 'object' || value === null) return [];
  const members = value as Record<string, unknown>;
  const missing = (schema.required ?? [])
    .filter((name) => !Object.hasOwn(members, name))
    .map((name) => `${at}.${name} is missing`);
  const wrong = Object.entries(members).flatMap(([name, member]) => {
    // Not what every object inherits: 'constructor' is no property, and no type of record.
    const known =
      schema.properties !== undefined && Object.hasOwn(schema.properties, name)
        ? schema.properties[name]
        : undefined;
    if (known !== undefined) return check(known, member, `${at}.${name}`);
    if (schema.additionalProperties === false) return [`${at}.${name} is not known`];
    return typeof schema.additionalProperties === 'object'
      ? check(schema.additionalProperties, member, `${at}.${name}`)
      : [];
  });
  return [...missing, ...wrong];
}

interface SchemaFile {
  records: Record<string, Schema>;
  summary: Schema;
  superseded: Schema;
}

let loaded: SchemaFile | undefined;

export function resultsSchema(): SchemaFile {
  if (loaded === undefined) {
    const file = JSON.parse(readFileSync(join(packageRoot, 'results', 'schema.json'), 'utf8')) as {
      $defs: Record<string, Schema>;
    };
    const { summary, superseded, ...records } = file.$defs;
    if (summary === undefined || superseded === undefined)
      throw new HarnessError(
        'bad-schema',
        'results/schema.json has no definition of summary or superseded',
      );
    loaded = { records, summary, superseded };
  }
  return loaded;
}

export function validateRecord(value: unknown): JournalRecord {
  const type =
    typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : undefined;
  const { records } = resultsSchema();
  const schema =
    typeof type === 'string' && Object.hasOwn(records, type) ? records[type] : undefined;
  if (schema === undefined)
    throw new HarnessError('bad-record', `unknown record type ${JSON.stringify(type)}`);
  const problems = check(schema, value);
  if (problems.length > 0) throw new HarnessError('bad-record', problems.join('; '));
  return value as JournalRecord;
}
