import { expect, test } from 'vitest';

import { structs } from '../../native/binding-reframer.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of reframer.h', () => {
  expect(expectLayouts('reframer', structs)).toBeGreaterThan(60);
});
