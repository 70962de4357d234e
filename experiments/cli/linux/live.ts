// One trial with the box in the path: `reframer run` forms the order while packets pass, at a pace that
// it keeps up with.
import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import type { Reply } from '../box.js';
import { CliError, exitCodes } from '../errors.js';
import type { LinuxPath } from './path.js';
import { send, type Order, type Sending, type Trial } from './send.js';

/** @param cpu of the box */
export async function sendLive(
  path: LinuxPath,
  order: Order,
  sending: Sending & { packetsPerSecond: number },
  cpu: number,
): Promise<Trial> {
  const box = await openBox(path, 'delayNs' in order ? order.delayNs : 0, cpu);
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
        ? { slf: lane.slfOut, windowPackets: (order.delayNs * sending.packetsPerSecond) / 1e9 }
        : {}),
      box: { nsPerPacket: (1e3 * lane.workUs) / lane.received, holdUs: lane.holdP50Us },
    };
  } finally {
    box.end();
  }
}

async function openBox(
  path: LinuxPath,
  delayNs: number,
  cpu: number,
): Promise<NativeSession<Reply>> {
  const driver = path.options.box ?? 'af_xdp';
  const depth = driver === 'af_packet' ? ',framecnt=4096' : '';
  const box = await NativeSession.open<Reply>(
    dpdkProgram,
    'forward',
    {
      eal: [
        ...['--no-huge', '-m', '256', '--no-shconf', '--no-telemetry', '--log-level=error'],
        ...['-l', String(cpu), `--file-prefix=reframer-linux-${process.pid}`],
        ...[`--vdev=net_${driver}0,iface=b0${depth}`, `--vdev=net_${driver}1,iface=b1${depth}`],
      ],
      in: `net_${driver}0`,
      out: `net_${driver}1`,
      user: 'root',
      reframe: delayNs > 0,
      ...(delayNs > 0 ? { delayNs } : {}),
    },
    path.inside('box'),
  );
  if (box.first.ready !== undefined) return box;
  const { code = 'linux-box', message = 'did not get ready' } = box.first.error ?? {};
  throw new CliError(
    code,
    `the box: ${message}`,
    code === 'not-supported' ? exitCodes.notSupported : exitCodes.failed,
  );
}
