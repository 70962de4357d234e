// `reframer run` in a namespace of an experiment, between two of its interfaces.
import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession } from '../../../native/session.js';
import { ownPrefix } from '../../testbed/eal-folder.js';
import type { Reply } from '../box.js';
import { CliError, exitCodes } from '../errors.js';

/** How a box in the path receives and sends. */
export const drivers = ['af_xdp', 'af_packet'] as const;
export type Driver = (typeof drivers)[number];

export interface BoxPlace {
  /** In front of the program: where it runs. */
  inside: readonly string[];
  /** Of the experiment, for names that must not meet those of another. */
  name: string;
  driver: Driver;
  /** Interfaces of that namespace. */
  in: string;
  out: string;
  cpu: number;
  /** What leaves gets a hash stored, as from a NIC: AF_PACKET, where `out` has several queues. */
  hashes?: boolean;
}

// An AF_PACKET ring; its default of 512 is some milliseconds of what a window of TCP holds.
const ringFrames = 4096;

/** The port's name for the job `forward`; 0 is that of IN. */
export const portName = (driver: Driver, index: 0 | 1): string => `net_${driver}${index}`;

/** @param spec what the job `forward` takes beside its ports; @throws CliError */
export async function openBox(place: BoxPlace, spec: object): Promise<NativeSession<Reply>> {
  const { driver, cpu } = place;
  const depth = driver === 'af_packet' ? `,framecnt=${ringFrames}` : '';
  // The kernel computes one where it chooses a queue, which its short way out leaves out.
  const hashes = place.hashes === true ? ',qdisc_bypass=0' : '';
  const [from, to] = [portName(driver, 0), portName(driver, 1)];
  const box = await NativeSession.open<Reply>(
    dpdkProgram,
    'forward',
    {
      eal: [
        ...['--no-huge', '-m', '256', '--no-shconf', '--no-telemetry', '--log-level=error'],
        ...['-l', String(cpu), `--file-prefix=${ownPrefix(place.name)}`],
        ...[
          `--vdev=${from},iface=${place.in}${depth}`,
          `--vdev=${to},iface=${place.out}${depth}${hashes}`,
        ],
      ],
      in: from,
      out: to,
      user: 'root',
      ...spec,
    },
    place.inside,
  );
  if (box.first.ready !== undefined) return box;
  const { code = 'linux-box', message = 'did not get ready' } = box.first.error ?? {};
  throw new CliError(
    code,
    `the box: ${message}`,
    code === 'not-supported' ? exitCodes.notSupported : exitCodes.failed,
  );
}
