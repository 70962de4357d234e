import { expect, test } from 'vitest';

import { packedStructs, structs } from '../../native/binding-reframer.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of reframer.h', () => {
  expect(expectLayouts('reframer', structs)).toBeGreaterThan(50);
});

test('struct layouts equal those of packed.h', () => {
  expect(expectLayouts('reframer', packedStructs, 'packed')).toBe(8);
});
