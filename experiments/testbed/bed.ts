// The file of a bed: which machine is under test, which one tests it, and the ports between them.
import { readFileSync } from 'node:fs';

import { deviceName, ealOptions, interfaceDevice, isPciAddress, portDevices } from '../cli/eal.js';
import { HarnessError, systemText } from '../core/errors.js';
import type { BedFacts, JsonObject, JsonValue } from '../core/types.js';

export const testerKinds = ['feeder', 'trex', 'pktgen', 'tcpreplay'] as const;
export type TesterKind = (typeof testerKinds)[number];

export interface Role {
  /** `local`, `namespace:NAME`, `ssh:USER@HOST` or `ssh:USER@HOST:PORT`. */
  host: string;
  /** The command that takes one line of a shell as its last argument, in place of ssh. */
  via: readonly string[];
  /** reframer-dpdk on that host; undefined: ours, copied where the host is another one. */
  program: string | undefined;
  /** Options of EAL; the ports come on top, see ealOf(). */
  words: readonly string[];
  /** Ports of the role's own process: a device with its arguments, or a PCI address. */
  ports: readonly string[];
  hugepages: boolean;
  queues: number;
  /** Asked of the ports: rssKey, hashFields, offloads, retaSize, mtu, promiscuous, siblings. */
  port: JsonObject;
}

export interface DutRole extends Role {
  in: string;
  out: string;
}

export interface TesterRole extends Role {
  kind: TesterKind;
  tx: string;
  rx: string;
  cores: number;
  /** Of TRex and Pktgen: where they listen. */
  address: string;
  /** tcpreplay: the capture, on the tester. */
  capture: string | undefined;
}

export interface Bed {
  file: string;
  dut: DutRole;
  tester: TesterRole;
  /** Bits a second that the link carries: no rate beyond it is asked for. */
  linkBps: number;
}

const portMembers = [
  'rssKey',
  'hashFields',
  'offloads',
  'retaSize',
  'mtu',
  'promiscuous',
  'siblings',
  'descriptors',
] as const;

class Reader {
  private readonly seen = new Set<string>();

  constructor(
    private readonly file: string,
    private readonly where: string,
    private readonly value: { readonly [key: string]: JsonValue },
  ) {}

  fail(name: string, what: string): never {
    throw new HarnessError(
      'bad-bed',
      `${this.file}: ${[this.where, name].filter((part) => part !== '').join('.')} ${what}`,
      2,
    );
  }
  take(name: string): JsonValue | undefined {
    this.seen.add(name);
    return this.value[name];
  }
  text(name: string, fallback?: string): string {
    const value = this.take(name) ?? fallback;
    if (typeof value !== 'string' || value === '')
      this.fail(name, value === undefined ? 'is missing' : 'must be a word');
    return value;
  }
  whole(name: string, fallback: number, from: number, to: number): number {
    const value = this.take(name) ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < from || value > to)
      this.fail(name, `must be a whole number from ${from} to ${to}`);
    return value;
  }
  words(name: string): string[] {
    const value = this.take(name) ?? [];
    if (!Array.isArray(value) || value.some((word) => typeof word !== 'string'))
      this.fail(name, 'must be a list of words');
    return value as string[];
  }
  section(name: string): Reader {
    const value = this.take(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.fail(name, value === undefined ? 'is missing' : 'must be an object');
    return new Reader(this.file, name, value as { readonly [key: string]: JsonValue });
  }
  port(): JsonObject {
    return Object.fromEntries(
      portMembers.flatMap((name) => {
        const value = this.take(name);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }
  end(): void {
    for (const name of Object.keys(this.value))
      if (!this.seen.has(name)) this.fail(name, 'is not known here');
  }
}

const hostForm = /^(local|namespace:[\w.-]+|ssh:[^\s:]+(:\d+)?)$/;

function role(reader: Reader): Role {
  const host = reader.text('host', 'local');
  if (!hostForm.test(host))
    reader.fail(
      'host',
      `is '${host}'; write local, namespace:NAME, ssh:USER@HOST or ssh:USER@HOST:PORT`,
    );
  const program = reader.take('program');
  if (program !== undefined && typeof program !== 'string')
    reader.fail('program', 'must be a path');
  return {
    host,
    via: reader.words('via'),
    program,
    words: [],
    ports: [],
    hugepages: false,
    queues: reader.whole('queues', 1, 1, 64),
    port: reader.port(),
  };
}

// An AF_PACKET ring; its default of 512 is some milliseconds of what a thread without a CPU misses.
const ringFrames = 4096;

/** A queue of AF_PACKET is a socket of its own: opened and not polled, its packets would be lost. */
const withQueues = (port: string, queues: number): string =>
  port.startsWith('net_af_packet') && !/,(qpairs|framecnt)=/.test(port)
    ? `${port},qpairs=${queues},framecnt=${ringFrames}`
    : port;

/** What EAL is given to open the role's ports with so many queues as the role has now. */
export function ealOf({ words, ports, queues }: Role): string[] {
  return [
    ...words,
    ...portDevices(
      ports.map((port) => withQueues(port, queues)),
      words,
    ),
    '--log-level=error',
  ];
}

/** What EAL needs beside the ports: hugepages where one is of hardware, files of its own. */
function withPorts<T extends Role>(
  name: string,
  reader: Reader,
  of: T,
  ports: readonly string[],
): T {
  const given = reader.words('eal');
  const wanted = reader.take('hugepages') ?? ports.some((port) => isPciAddress(deviceName(port)));
  if (typeof wanted !== 'boolean') reader.fail('hugepages', 'must be true or false');
  const { words } = ealOptions(given.join(' '), 512, { hugepages: wanted, telemetry: false });
  // Both roles may be on one machine: EAL's files of one are not the other's.
  const prefix = words.some((word) => word.startsWith('--file-prefix'))
    ? []
    : ['--file-prefix', `reframer-${name}`];
  return {
    ...of,
    hugepages: wanted,
    words: [...words, ...prefix],
    ports,
  };
}

/** @throws HarnessError `bad-bed`, one line that names the member */
export function parseBed(text: string, file: string): Bed {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new HarnessError('bad-bed', `${file}: ${(error as Error).message}`, 2);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HarnessError('bad-bed', `${file}: must be an object with dut and tester`, 2);
  const whole = new Reader(file, '', value as { readonly [key: string]: JsonValue });
  const dutReader = whole.section('dut');
  const input = interfaceDevice(dutReader.text('in'), 0);
  const output = interfaceDevice(dutReader.text('out', input), 1);
  const dut = withPorts<DutRole>(
    'dut',
    dutReader,
    { ...role(dutReader), in: deviceName(input), out: deviceName(output) },
    [input, output],
  );
  dutReader.end();
  const testerReader = whole.section('tester');
  const kind = testerReader.text('kind', 'feeder') as TesterKind;
  if (!testerKinds.includes(kind))
    testerReader.fail('kind', `is '${kind}'; there are ${testerKinds.join(', ')}`);
  const tx = interfaceDevice(
    testerReader.text('tx', kind === 'feeder' || kind === 'tcpreplay' ? undefined : '0'),
    0,
  );
  const capture = testerReader.take('capture');
  if (kind === 'tcpreplay' && typeof capture !== 'string')
    testerReader.fail('capture', 'is missing: tcpreplay replays one');
  const rx = interfaceDevice(testerReader.text('rx', tx), 1);
  const plain: TesterRole = {
    ...role(testerReader),
    kind,
    tx: deviceName(tx),
    rx: deviceName(rx),
    cores: testerReader.whole('cores', 1, 1, 2),
    address: testerReader.text('address', kind === 'pktgen' ? '127.0.0.1:22022' : '127.0.0.1:4501'),
    capture: capture as string | undefined,
  };
  const tester = withPorts('tester', testerReader, plain, kind === 'feeder' ? [tx, rx] : []);
  testerReader.end();
  const linkGbps = whole.take('linkGbps') ?? 100;
  if (typeof linkGbps !== 'number' || linkGbps <= 0)
    whole.fail('linkGbps', 'must be a number above 0');
  whole.end();
  return { file, dut, tester, linkBps: Number(linkGbps) * 1e9 };
}

export function readBed(file: string): Bed {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new HarnessError('bad-bed', `--testbed ${systemText(error, file)}`, 2);
  }
  return parseBed(text, file);
}

/** What decides a result, and is no path or address of somebody's machine. */
export function describeBed({ dut, tester, linkBps }: Bed): JsonObject {
  const device = (name: string): string => name.split(',')[0] ?? name;
  return {
    tester: tester.kind,
    testerQueues: tester.queues,
    testerCores: tester.cores,
    queues: dut.queues,
    in: device(dut.in),
    out: device(dut.out),
    port: dut.port,
    linkGbps: linkBps / 1e9,
  };
}

export function bedFacts({ dut, tester, linkBps }: Bed): BedFacts {
  return {
    queues: dut.queues,
    tester: tester.kind,
    latency: tester.kind === 'feeder' || tester.kind === 'trex',
    order: tester.kind === 'feeder',
    generator: tester.kind === 'feeder',
    linkGbps: linkBps / 1e9,
  };
}
