// A Reframer with options that are odd: what cannot be allocated, and rules that say nothing.
import { expect, test } from 'vitest';

import { Reframer, ReframerError, type LatencyRule } from '../../reframer/index.js';

test('headers that no memory holds are no memory, in words', () => {
  // 128 GiB; a machine that has them makes it.
  let error: unknown;
  try {
    new Reframer({ maxPackets: 2 ** 20, headerBytes: 65_536 }).close();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) return;
  expect(error).toMatchObject({
    code: 'out-of-memory',
    message: expect.stringMatching(/lower maxPackets or headerBytes/) as string,
  });
});

test('a rule whose member has another name is no rule for everything', () => {
  for (const [option, rule] of [
    ['rules[0].adress', { adress: '10.0.0.0/8', delayNs: 0 }],
    ['rules[0].address', { address: '10.0.0.0/8/9', delayNs: 0 }],
    ['rules[0].address', { address: '10.0.0.0/0x8', delayNs: 0 }],
    ['rules[0].address', { address: '10.0.0.0/ 8', delayNs: 0 }],
    ['rules[0].address', { address: '10.0.0.0/1e1', delayNs: 0 }],
  ] as const) {
    let error: unknown;
    try {
      new Reframer({ rules: [rule as LatencyRule] });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ReframerError);
    expect(error).toMatchObject({ code: 'bad-option', option });
  }
  new Reframer({ rules: [{ address: 'fe80::1%eth0/64', delayNs: 0 }] }).close();
});
