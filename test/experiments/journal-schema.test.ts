// Records of a journal are what the schema says, and nothing else.
import { describe, expect, test } from 'vitest';

import { validateRecord } from '../../experiments/core/schema.js';

describe('schema', () => {
  const sample = samplesOf();
  function samplesOf(): Record<string, unknown> {
    return {
      type: 'sample',
      point: '0123456789abcdef',
      phase: 'measure',
      session: 1,
      block: 0,
      attempt: 0,
      slot: 0,
      seed: 1,
      atMs: 0,
      wallMs: 1,
      void: false,
      record: {},
    };
  }
  test('a sound record passes', () => expect(() => validateRecord(sample)).not.toThrow());
  test.each([
    ['an unknown type', { ...sample, type: 'result' }],
    ['an unknown member', { ...sample, extra: 1 }],
    ['a missing member', Object.fromEntries(Object.entries(sample).filter(([k]) => k !== 'slot'))],
    ['a wrong type', { ...sample, seed: '1' }],
    ['a fraction', { ...sample, block: 0.5 }],
    ['a negative number', { ...sample, wallMs: -1 }],
    ['a wrong word', { ...sample, phase: 'cool-down' }],
    ['a wrong pattern', { ...sample, point: 'XYZ' }],
    ['no object', 7],
    [
      'another version',
      {
        type: 'run',
        v: 2,
        experiment: 'x',
        profile: 'quick',
        seed: 1,
        traces: [],
        argv: [],
        started: '',
      },
    ],
  ])('%s is refused', (_, record) => expect(() => validateRecord(record)).toThrow());
});
