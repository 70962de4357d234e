import { expect, test } from 'vitest';

import { structs } from '../../native/binding-conntrack.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of conntrack.h', () => {
  expect(expectLayouts('conntrack', structs)).toBeGreaterThan(25);
});
