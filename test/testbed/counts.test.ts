// What a trial on a bed makes of the counts of both sides.
import { expect, test } from 'vitest';

import { combine } from '../../experiments/testbed/combine.js';
import type { DeviceCounts } from '../../experiments/testbed/device.js';

import type { JsonObject } from '../../experiments/core/types.js';

const sent = 1000;
const recordOf = (
  received: number,
  counts: Omit<DeviceCounts, 'sent'>,
  reachedShare = 1,
): JsonObject =>
  combine(
    { record: { latencyNs: { p50: 5 } }, counts: { ...counts, sent: received } },
    {
      seconds: 1,
      sent,
      received,
      lost: sent - received,
      outOfOrder: 0,
      latencyNs: undefined,
      offeredBps: 1e9,
      receivedBps: 1e9,
      reachedShare,
      all: { sent, received },
      details: {},
    },
    { bps: 1e9, warmupMs: 0, windowMs: 1000 },
  );
const shareOf = (received: number, counts: Omit<DeviceCounts, 'sent'>): unknown =>
  recordOf(received, counts).lossShare;

test('what a device refused is not lost; what its ports missed, or it could not send, is', () => {
  expect(shareOf(1000, { received: 1000, missed: 0, refused: 0 })).toBe(0);
  expect(shareOf(900, { received: 1000, missed: 0, refused: 100 })).toBe(0);
  expect(shareOf(990, { received: 1000, missed: 0, refused: 0 })).toBe(0.01); // not sent
  expect(shareOf(980, { received: 980, missed: 20, refused: 0 })).toBe(0.02);
});

test('a rate that the tester did not offer was not carried, whatever came back', () => {
  const none = { received: 1000, missed: 0, refused: 0 };
  expect(recordOf(1000, none)).toMatchObject({ notCarriedShare: 0, tester: { reached: true } });
  expect(recordOf(1000, none, 0.98)).toMatchObject({ notCarriedShare: 0 });
  const behind = recordOf(1000, none, 0.75);
  expect(behind).toMatchObject({ lossShare: 0, tester: { reached: false, reachedShare: 0.75 } });
  expect(behind.notCarriedShare).toBeCloseTo(0.25);
  expect(recordOf(500, none, 0.75).notCarriedShare).toBe(0.5);
});

test("a device's own latency never stands for one from the wire", () => {
  const record = recordOf(1000, { received: 1000, missed: 0, refused: 0 });
  expect(record).not.toHaveProperty('latencyNs');
  expect(record).toMatchObject({ deviceLatencyNs: { p50: 5 } });
});
