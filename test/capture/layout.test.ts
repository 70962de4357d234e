import { expect, test } from 'vitest';

import { structs } from '../../native/binding-capture.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of capture.h', () => {
  expect(expectLayouts('reframer', structs, 'capture')).toBeGreaterThan(14);
});
