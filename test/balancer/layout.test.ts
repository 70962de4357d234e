import { expect, test } from 'vitest';

import { structs } from '../../native/binding-balancer.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of balancer.h', () => {
  expect(expectLayouts('balancer', structs)).toBeGreaterThan(50);
});
