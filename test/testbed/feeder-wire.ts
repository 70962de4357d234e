// Real packets under an emulated tester: our own feeder sends what TRex or Pktgen was told to.
import { dpdkProgram } from '../../native/loader.js';
import { NativeSession } from '../../native/session.js';
import type { Said } from '../helpers/bed.js';
import type { Wire } from './peers.js';

/** A port is opened with its first start, when the device under test is there, and closed at each stop. */
export function feederWire(device: string): Wire & { close: () => Promise<void> } {
  let session: NativeSession<Said & { sent?: number; received?: number }> | undefined;
  let [sent, received] = [0, 0];
  const end = async (): Promise<void> => {
    const open = session;
    session = undefined;
    if (open === undefined) return;
    const { result } = await open.ask({ do: 'stop', now: true });
    sent += result?.all.sent ?? 0;
    received += result?.all.received ?? 0;
    await open.close();
  };
  return {
    start: async (pps) => {
      await end();
      session = await NativeSession.open(dpdkProgram, 'tester', {
        eal: [
          ...['--no-huge', '-m', '384', '--no-shconf', '--no-telemetry', '--log-level=error'],
          ...['--file-prefix', `reframer-wire-${process.pid}`, `--vdev=${device}`],
        ],
        tx: device.split(',')[0],
        source: { profile: 'campus' },
        frames: 4096,
      });
      if (session.first.ready === undefined) throw new Error(session.first.error?.message);
      await session.ask({ do: 'start', pps, graceMs: 200 });
    },
    stop: end,
    counts: async () => {
      const now = session === undefined ? undefined : await session.ask({ do: 'sample' });
      return { sent: sent + (now?.sent ?? 0), received: received + (now?.received ?? 0) };
    },
    close: end,
  };
}
