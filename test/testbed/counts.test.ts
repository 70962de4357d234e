// What a trial on a bed makes of the counts of both sides.
import { expect, test } from 'vitest';

import { combine, type DeviceCounts } from '../../experiments/testbed/run.js';

const sent = 1000;
const shareOf = (received: number, counts: Omit<DeviceCounts, 'sent'>): unknown =>
  combine(
    { record: {}, counts: { ...counts, sent: received } },
    {
      seconds: 1,
      sent,
      received,
      lost: sent - received,
      outOfOrder: 0,
      latencyNs: undefined,
      offeredBps: 1e9,
      receivedBps: 1e9,
      all: { sent, received },
      details: {},
    },
    { bps: 1e9, warmupMs: 0, windowMs: 1000 },
  ).lossShare;

test('what a device refused is not lost; what its ports missed, or it could not send, is', () => {
  expect(shareOf(1000, { received: 1000, missed: 0, refused: 0 })).toBe(0);
  expect(shareOf(900, { received: 1000, missed: 0, refused: 100 })).toBe(0);
  expect(shareOf(990, { received: 1000, missed: 0, refused: 0 })).toBe(0.01); // not sent
  expect(shareOf(980, { received: 980, missed: 20, refused: 0 })).toBe(0.02);
});
