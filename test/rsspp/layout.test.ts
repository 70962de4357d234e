import { expect, test } from 'vitest';

import { structs } from '../../native/binding-rsspp.js';
import { expectLayouts } from '../helpers/layout.js';

test('struct layouts equal those of rsspp.h', () => {
  expect(expectLayouts('rsspp', structs)).toBeGreaterThan(45);
});
