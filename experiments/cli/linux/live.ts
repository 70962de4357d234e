// One trial with the box in the path: `reframer run` forms the order while packets pass, at a pace that
// it keeps up with.
import { CliError } from '../errors.js';
import { openBox } from './box.js';
import type { LinuxPath } from './path.js';
import { send, type Order, type Sending, type Trial } from './send.js';

/** Packets a second that the box had, of those that were sent: it missed what its ring had no room for. */
const received = (trial: Trial, lane: { received: number }): number =>
  trial.packetsPerSecond * Math.min(1, lane.received / trial.sent);

/** @param cpu of the box */
export async function sendLive(
  path: LinuxPath,
  order: Order,
  sending: Sending & { packetsPerSecond: number },
  cpu: number,
): Promise<Trial> {
  const { box: driver = 'af_xdp' } = path.options;
  const delayNs = 'delayNs' in order ? order.delayNs : 0;
  const box = await openBox(
    {
      ...{ inside: path.inside('box'), name: 'linux', driver, in: 'b0', out: 'b1', cpu },
      hashes: path.options.storedHash,
    },
    { reframe: delayNs > 0, ...(delayNs > 0 ? { delayNs } : {}) },
  );
  try {
    // The box makes of rows of one what T makes of them.
    const trial = await send(path, 'delayNs' in order ? { slf: 1 } : order, sending);
    const { summary } = await box.ask({ do: 'stop' });
    const [lane] = summary?.lanes ?? [];
    if (lane === undefined || lane.received === 0)
      throw new CliError('linux-box', 'the box received nothing');
    // What the box had no room for cost the kernel nothing.
    const arrived = trial.sent - trial.lost;
    return {
      ...trial,
      nsPerPacket: (trial.nsPerPacket * trial.sent) / arrived,
      ...('delayNs' in order
        ? { slf: lane.slfOut, windowPackets: (order.delayNs * received(trial, lane)) / 1e9 }
        : {}),
      box: { nsPerPacket: (1e3 * lane.workUs) / lane.received, holdUs: lane.holdP50Us },
    };
  } finally {
    box.end();
  }
}
