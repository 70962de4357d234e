// Reframer and the kernel's own timer in part `linux-window` and `tcp`: who waits differs, nothing else.
import { expect, test } from 'vitest';

import { tcpRecord } from '../../experiments/cli/linux/tcp-trial.js';
import type { TcpTrial } from '../../experiments/cli/linux/tcp.js';
import { parseKernel } from '../../experiments/cli/linux/kernels.js';
import { rowsOf, wireBits, type Plan } from '../../experiments/cli/linux/rows.js';
import type { Trial } from '../../experiments/cli/linux/send.js';
import { linuxWindow, tcp } from '../../experiments/reframer/linux.js';

interface Spec {
  baseline: string;
  offeredBps: number;
  live?: { driver: string; packetsPerSecond: number };
  settings: Record<string, { kernel: string; windowPackets?: number }>;
}

test.each([
  ['formed beforehand', 'timer of T'],
  ['box in the path', 'box that forwards, timer of T'],
])('%s and %s: the same kernel, hash, pace and added delay', (reframed, own) => {
  for (const quick of [false, true]) {
    const part = linuxWindow(quick);
    const specOf = (order: string): Spec => part.spec({ order }) as unknown as Spec;
    const [a, b] = [specOf(reframed), specOf(own)];
    expect({ ...b, settings: null }).toEqual({ ...a, settings: null });
    expect(a.baseline).toContain('hash');
    const pace = a.live?.packetsPerSecond ?? a.offeredBps / wireBits;
    expect(Object.keys(b.settings)).toEqual(Object.keys(a.settings));
    for (const [name, { kernel, windowPackets = Number.NaN }] of Object.entries(a.settings)) {
      expect(kernel).toBe(a.baseline);
      const [, word, us] = /^(.+)-timer(\d+)$/.exec(b.settings[name]?.kernel ?? '') ?? [];
      expect(word).toBe(a.baseline);
      expect(b.settings[name]?.windowPackets).toBeUndefined();
      // The timer is told in whole microseconds.
      expect(Math.abs(Number(us) - (windowPackets * 1e6) / pace)).toBeLessThanOrEqual(0.5);
    }
  }
});

test('part tcp: each T of the box is one of the kernel, too', () => {
  const { settings } = tcp(false).spec({ connections: 64, hash: 'stored' }) as unknown as {
    settings: Record<string, { waits: string; delayNs: number }>;
  };
  const delays = (waits: string): number[] =>
    Object.values(settings)
      .filter((setting) => setting.waits === waits)
      .map(({ delayNs }) => delayNs);
  expect(delays('kernel')).toEqual(delays('box'));
});

test('of a last round that was stopped, a trial without its partner counts for no saving', () => {
  const trial = (nsPerPacket: number): Trial => ({
    ...{ flows: 8, slf: 1, windowPackets: 0, packetsPerSecond: 1e6, nsPerPacket },
    ...{ segmentsPerMerged: 1, refused: 0, sent: 1, lost: 0, outOfOrder: 0 },
  });
  const plan: Plan = {
    traffic: 'interleaved',
    orders: [{ slf: 1 }, { slf: 4 }],
    ...{ wireQueues: 1, flows: [8], offeredBps: [7e10], senderCpu: 0, kernelCpu: 1 },
    ...{ seconds: 1, warmSeconds: 0, rounds: 3, seed: 1 },
  };
  const [, rows] = rowsOf('forward', parseKernel('default'), 8, plan, [
    [trial(1000), trial(1000)],
    [trial(900), trial(700), trial(500)],
  ]);
  expect(rows?.savedPercent).toBeCloseTo(20, 9);
});

test('a trial compares with the box that only forwards', () => {
  const trial = (contender: string, ns: number): TcpTrial => ({
    ...{ senders: 'many', contender, waits: contender === 'off' ? 'none' : 'box', delayNs: 1e6 },
    ...{ goodputMbps: 1e6 / ns, receiverNs: ns, receiverPercent: 50, framesPerMerged: 2 },
    completion: [
      { bytes: 100_000, medianUs: 7, p99Us: 9 },
      { bytes: 10_000, medianUs: ns / 10, p99Us: ns },
    ],
    ...{ framesPerSecond: 1e5, windowPackets: 100, boxNs: 2000, boxMissed: 0 },
    ...{ retransmitted: 4, socketErrors: 0 },
  });
  const { receiverNs, at } = tcpRecord(
    new Map([
      ['1ms', trial('1ms', 800)],
      ['off', trial('off', 1000)],
    ]),
    'off',
  );
  expect(receiverNs).toBe(1000);
  expect(at['off']).toMatchObject({ savedPercent: 0, goodputPercent: 0, completionPercent: 0 });
  expect(at['1ms']?.savedPercent).toBeCloseTo(20, 9);
  expect(at['1ms']?.goodputPercent).toBeCloseTo(25, 9);
  expect(at['1ms']).toMatchObject({ completionUs: 80, retransmitted: 4 });
  expect(at['1ms']?.completionPercent).toBeCloseTo(-20, 9);
});
