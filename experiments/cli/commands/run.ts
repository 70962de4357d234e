// `reframer run`: a box of its own between two DPDK ports. The native program forwards; this side starts,
// shows and stops it.
import type { Command } from 'commander';

import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession, SessionError } from '../../../native/session.js';
import { CliError, exitCodes, UsageError, type ErrorRecord } from '../errors.js';
import { LiveView } from '../live-view.js';
import { exposition, parseAddress, serveMetrics, type Metric } from '../metrics.js';
import { print, printJson, renderTable, talk } from '../output.js';
import { formatCount, formatFixed, parseChoice, parseCount, parseDuration } from '../units.js';
import { untilStopped, type Stopping } from '../until-stopped.js';

interface Options {
  in: string;
  out: string;
  bothWays?: boolean;
  queues: string;
  cores: string;
  descriptors: string;
  buffers?: string;
  user: string;
  eal: string;
  reframe: boolean;
  delay: string;
  policy: string;
  key: string;
  hash: string;
  packets: string;
  maxBurst: string;
  bypass?: string;
  early?: string;
  repair?: boolean;
  thin?: boolean;
  interval: string;
  duration?: string;
  idle?: string;
  metrics?: string;
  json?: boolean;
  quiet?: boolean;
}

interface Lane {
  in: string;
  out: string;
  queue: number;
  received: number;
  sent: number;
  unsent: number;
  txWaits: number;
  held: number;
  thinned: number;
  slfIn: number;
  slfOut: number;
  holdP50Us: number;
  holdMaxUs: number;
  delayUs: number;
  nicHash: boolean;
}

interface Sample {
  lanes: Lane[];
  missed: number;
  noBuffer: number;
}

interface Reply extends Partial<Sample> {
  ready?: { lanes: number; threads: number };
  error?: ErrorRecord;
  failed?: string;
  summary?: Sample & { lost: number };
}

const policies = ['fixed', 'adaptive', 'burst'] as const;
const keys = ['5tuple', 'symmetric', 'destination', 'inner'] as const;
const hashes = ['auto', 'nic', 'software'] as const;
const bypasses = ['syn', 'new', 'ef', 'ect1', 'dns'] as const;
const earlies = ['fin', 'rst', 'psh'] as const;

export function register(program: Command): void {
  program
    .command('run')
    .description('forward between two DPDK ports, with Reframer on every receive queue, until Ctrl-C; drains, drops nothing')
    .requiredOption('--in <port>', 'port that packets come from: EAL\'s name of it, or a device with its arguments, net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap')
    .requiredOption('--out <port>', 'port that they go to, likewise; may be the same')
    .option('--both-ways', 'also from OUT to IN')
    .option('--eal <options>', 'options of EAL: --vdev=net_tap0, -a 0000:03:00.0, hugepages', '--no-huge -m 512 --no-shconf')
    .option('--queues <number>', 'receive queues a port', '1')
    .option('--cores <number>', 'threads that poll', '1')
    .option('--descriptors <number>', 'length of the rings', '1024')
    .option('--buffers <number>', 'packet buffers of 2 KiB; by default enough for all rings and holds')
    .option('--user <name>', 'who it becomes once its ports are open, if root started it; root stays root', 'nobody')
    .option('--no-reframe', 'forward only: to compare with')
    .option('--delay <time>', 'longest hold, such as 64us', '64us')
    .option('--policy <policy>', policies.join(', '), 'fixed')
    .option('--key <key>', `what packets are grouped by: ${keys.join(', ')}`, '5tuple')
    .option('--hash <whose>', `${hashes.join(', ')}: auto takes the NIC's where it covers the key`, 'auto')
    .option('--packets <number>', 'most packets held a queue', '4096')
    .option('--max-burst <number>', 'packets of a group at which it leaves; 16 bounds what flows made to share a hash cost the others', '128')
    .option('--bypass <list>', `packets that do not wait, comma-separated: ${bypasses.join(', ')}`)
    .option('--early <list>', `packets that end their group's wait: ${earlies.join(', ')}`)
    .option('--repair', 'sort TCP data of a group by sequence number')
    .option('--thin', 'take out pure ACKs that a later one covers')
    .option('--interval <time>', 'between two looks at the counters', '1s')
    .option('--duration <time>', 'end after this time; otherwise at Ctrl-C')
    .option('--idle <time>', 'end when, after the first packet, none came for this long')
    .option('--metrics <host:port>', 'serve the counters to Prometheus, at /metrics')
    .option('--json', 'print one JSON line an interval and a summary')
    .option('--quiet', 'only the summary')
    .action(run);
}

function parseList<T extends string>(text: string | undefined, option: string, words: readonly T[]): T[] {
  return text === undefined ? [] : text.split(',').map((word) => parseChoice(word, option, words));
}

/** A device with arguments is made by EAL under the name before the first comma. */
function devices(ports: readonly string[]): string[] {
  const made = [...new Set(ports.filter((port) => port.includes(',')))];
  return made.flatMap((port) => (/^[0-9a-f]{4}:/i.test(port) ? ['-a', port] : [`--vdev=${port}`]));
}

const portName = (port: string): string => port.split(',')[0] ?? port;

function nativeSpec(options: Options): object {
  return {
    eal: [...options.eal.split(/\s+/).filter((word) => word !== ''), ...devices([options.in, options.out])],
    in: portName(options.in),
    out: portName(options.out),
    bothWays: options.bothWays === true,
    queues: parseCount(options.queues, '--queues', 1),
    cores: parseCount(options.cores, '--cores', 1),
    descriptors: parseCount(options.descriptors, '--descriptors', 64),
    ...(options.buffers === undefined ? {} : { buffers: parseCount(options.buffers, '--buffers', 64) }),
    user: options.user,
    reframe: options.reframe,
    delayNs: parseDuration(options.delay, '--delay'),
    policy: parseChoice(options.policy, '--policy', policies),
    key: parseChoice(options.key, '--key', keys),
    hash: parseChoice(options.hash, '--hash', hashes),
    maxPackets: parseCount(options.packets, '--packets', 32),
    maxBurst: parseCount(options.maxBurst, '--max-burst', 1),
    bypass: parseList(options.bypass, '--bypass', bypasses),
    early: parseList(options.early, '--early', earlies),
    repair: options.repair === true,
    thin: options.thin === true,
  };
}

function metricsOf({ lanes, missed, noBuffer }: Sample): Metric[] {
  const of = (name: string, type: Metric['type'], help: string, value: (lane: Lane) => number): Metric => ({
    name: `reframer_${name}`,
    type,
    help,
    samples: lanes.map((lane) => ({ labels: { in: lane.in, out: lane.out, queue: lane.queue }, value: value(lane) })),
  });
  return [
    of('packets_received_total', 'counter', 'Packets taken from the receive ring.', (lane) => lane.received),
    of('packets_sent_total', 'counter', 'Packets that the transmit queue took.', (lane) => lane.sent),
    of('packets_thinned_total', 'counter', 'Pure ACKs taken out.', (lane) => lane.thinned),
    of('packets_unsent_total', 'counter', 'Packets given up at the end because their port sent nothing any more.', (lane) => lane.unsent),
    of('transmit_waits_total', 'counter', 'Times that the transmit queue was full.', (lane) => lane.txWaits),
    of('packets_held', 'gauge', 'Packets held now.', (lane) => lane.held),
    of('slf_in', 'gauge', 'Packets of a flow in a row, as they came.', (lane) => lane.slfIn),
    of('slf_out', 'gauge', 'Packets of a flow in a row, as they left.', (lane) => lane.slfOut),
    of('delay_seconds', 'gauge', 'T in force.', (lane) => lane.delayUs / 1e6),
    of('hold_median_seconds', 'gauge', 'Median time that packets were held.', (lane) => lane.holdP50Us / 1e6),
    of('hold_longest_seconds', 'gauge', 'Longest time that a packet was held.', (lane) => lane.holdMaxUs / 1e6),
    { name: 'reframer_packets_missed_total', type: 'counter', help: 'Packets that the receive rings could not take.', samples: [{ labels: {}, value: missed }] },
    { name: 'reframer_packets_without_buffer_total', type: 'counter', help: 'Of them, packets for which the pool had no buffer.', samples: [{ labels: {}, value: noBuffer }] },
  ];
}

const sum = (lanes: readonly Lane[], value: (lane: Lane) => number): number => lanes.reduce((total, lane) => total + value(lane), 0);

function picture(sample: Sample, before: Sample | undefined, seconds: number): string[] {
  const rate = (lane: Lane, i: number, value: (lane: Lane) => number): string => {
    const earlier = before?.lanes[i];
    return formatCount(earlier === undefined || seconds <= 0 ? 0 : (value(lane) - value(earlier)) / seconds);
  };
  const columns = ['lane', 'received', 'in/s', 'out/s', 'held', 'SLF in', 'out', 'T µs', 'hold µs', 'longest'];
  return renderTable(
    columns.map((title, i) => ({ title, align: i === 0 ? 'left' : 'right' })),
    sample.lanes.map((lane, i) => [
      `${lane.in} > ${lane.out} ${lane.queue}`, formatCount(lane.received), rate(lane, i, (l) => l.received), rate(lane, i, (l) => l.sent), formatCount(lane.held),
      formatFixed(lane.slfIn, 2), formatFixed(lane.slfOut, 2), formatFixed(lane.delayUs, 1), formatFixed(lane.holdP50Us, 1), formatFixed(lane.holdMaxUs, 1),
    ]),
  ).split('\n');
}

function line({ lanes, missed, noBuffer }: Sample): string {
  const starved = noBuffer > 0 ? ` (${formatCount(noBuffer)} for want of a buffer: raise --buffers, or hold less)` : '';
  return `received ${formatCount(sum(lanes, (l) => l.received))}, sent ${formatCount(sum(lanes, (l) => l.sent))}, held ${formatCount(sum(lanes, (l) => l.held))}, missed ${formatCount(missed)}${starved}`;
}

function openingError({ error }: Reply): CliError {
  if (error === undefined) return new CliError('failed', 'reframer-dpdk did not get ready');
  const exitCode = error.code === 'not-supported' ? exitCodes.notSupported : error.code === 'bad-spec' ? exitCodes.usage : exitCodes.failed;
  return new CliError(error.code, error.message, exitCode);
}

async function run(options: Options): Promise<void> {
  const spec = nativeSpec(options);
  const intervalMs = Math.max(10, parseDuration(options.interval, '--interval') / 1e6);
  const idleMs = options.idle === undefined ? Infinity : parseDuration(options.idle, '--idle') / 1e6;
  const durationMs = options.duration === undefined ? 0 : parseDuration(options.duration, '--duration') / 1e6;
  const address = options.metrics === undefined ? undefined : parseAddress(options.metrics, '--metrics');
  if (options.json === true && options.quiet === true) throw new UsageError('--json prints every interval, --quiet none: choose one');
  const stopping = untilStopped(durationMs);
  let latest: Sample = { lanes: [], missed: 0, noBuffer: 0 };
  const metrics = address === undefined ? undefined : await serveMetrics(address, () => exposition(metricsOf(latest)));
  try {
    const session = await NativeSession.open<Reply>(dpdkProgram, 'forward', spec);
    if (session.first.ready === undefined) throw openingError(session.first);
    if (metrics !== undefined) talk(`reframer: metrics at ${metrics.url}`);
    await watch(session, stopping, { intervalMs, idleMs, json: options.json === true, quiet: options.quiet === true }, (sample) => { latest = sample; });
    const { summary } = await session.ask({ do: 'stop' });
    session.end();
    if (summary === undefined) throw new CliError('failed', 'reframer-dpdk ended without a summary');
    report(summary, options.json === true);
    if (summary.lost > 0) process.exitCode = exitCodes.failed;
    else if (stopping.signal() !== 0) process.exitCode = 128 + stopping.signal();
  } catch (error) {
    throw error instanceof SessionError ? new CliError('native-ended', `reframer-dpdk: ${error.message}`) : error;
  } finally {
    metrics?.close();
    stopping.release();
  }
}

interface Watching {
  intervalMs: number;
  idleMs: number;
  json: boolean;
  quiet: boolean;
}

async function watch(session: NativeSession<Reply>, stopping: Stopping, { intervalMs, idleMs, json, quiet }: Watching, keep: (sample: Sample) => void): Promise<void> {
  const view = new LiveView();
  let before: Sample | undefined;
  let beforeAt = Date.now();
  let lastPacketAt = Infinity;
  while (!stopping.stopped()) {
    await stopping.sleep(Math.min(intervalMs, idleMs));
    if (stopping.stopped()) break;
    const { lanes, missed = 0, noBuffer = 0, failed } = await session.ask({ do: 'sample' });
    if (lanes === undefined) throw new CliError('failed', `reframer-dpdk: ${failed ?? 'no counters came'}`);
    const sample = { lanes, missed, noBuffer };
    const now = Date.now();
    keep(sample);
    if (json) printJson(sample);
    else if (!quiet) view.show(() => picture(sample, before, (now - beforeAt) / 1000), () => line(sample));
    const received = (of: Sample | undefined): number => (of === undefined ? 0 : sum(of.lanes, (lane) => lane.received));
    if (received(sample) > received(before)) lastPacketAt = now;
    else if (now - lastPacketAt >= idleMs) stopping.stop();
    before = sample;
    beforeAt = now;
  }
}

function report(summary: Sample & { lost: number }, json: boolean): void {
  if (json) return printJson({ summary });
  const { lanes } = summary;
  print(line(summary));
  for (const lane of lanes) {
    print(
      `${lane.in} > ${lane.out} queue ${lane.queue}: ${formatCount(lane.received)} packets; SLF ${formatFixed(lane.slfIn, 2)} in, ${formatFixed(lane.slfOut, 2)} out; ` +
        `held ${formatFixed(lane.holdP50Us, 1)} µs in the median, ${formatFixed(lane.holdMaxUs, 1)} µs at most; grouped by ${lane.nicHash ? 'the NIC\'s hash' : 'a hash of the header'}`,
    );
  }
  print(summary.lost === 0 ? 'drained; no packet was dropped here' : `${formatCount(summary.lost)} packets could not be sent: their port took none for a second`);
}
