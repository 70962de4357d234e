// The highest rate without loss, by bisection: the order of a row is sent at a pace, on and on.
import { bisect } from '../../core/search.js';
import type { Trial } from './send.js';

// What a machine loses that does something else for a moment: of what was sent, and of the pace.
const mostLost = 0.001;
const mostShort = 0.005;
/** Of what a core takes at the cost of a packet. */
const within = { from: 0.1, to: 1.5, resolution: 0.02 };

export interface Lossless {
  /** NaN where even the lowest rate is lost. */
  kpps: number;
  /** Nobody lost anything above it: the sender could not go on faster. */
  senderIsLimit: boolean;
}

/**
 * @param maxPps what the core takes at the cost of a packet
 * @param at a trial at that many packets a second
 */
export async function highestLossless(
  maxPps: number,
  at: (packetsPerSecond: number) => Promise<Trial>,
): Promise<Lossless> {
  const axis = { kind: 'search', name: 'pace', ...within, metric: 'lost', atMost: 1 } as const;
  const bySender = new Set<number>();
  const probe = async (share: number): Promise<number> => {
    const { packetsPerSecond, lost, sent, refused } = await at(share * maxPps);
    const lostShare = lost / sent / mostLost;
    if (lostShare <= 1 && refused === 0) bySender.add(share);
    return Math.max(lostShare, (1 - packetsPerSecond / (share * maxPps)) / mostShort);
  };
  const { value, broken } = await bisect(axis, async (share) => {
    const first = await probe(share);
    // Not for a moment in which the machine did something else.
    return first <= 1 ? first : Math.min(first, await probe(share));
  });
  return { kpps: (value * maxPps) / 1e3, senderIsLimit: bySender.has(broken) };
}
