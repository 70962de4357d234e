// `reframer run`: a box of its own between two DPDK ports. The native program forwards; this side starts,
// shows and stops it.
import { constants, setPriority } from 'node:os';
import type { Command } from 'commander';

import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession, SessionError } from '../../../native/session.js';
import { total, type Reply, type Sample } from '../box.js';
import { metricsOf, ratesOf } from '../box-metrics.js';
import { intervalLine, oversizedText, picture, summaryLines } from '../box-view.js';
import { checkCaptures, shortText, WrittenCaptures, type ShortFile } from '../capture-ports.js';
import { deviceName, ealOptions, namedDevices, portDevices } from '../eal.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { LiveView } from '../live-view.js';
import { exposition, parseAddress, serveMetrics } from '../metrics.js';
import { print, printJson, talk } from '../output.js';
import { followUser } from '../privileges.js';
import { formatCount, parseChoice, parseCount, parseDuration } from '../units.js';
import { untilStopped, type Stopping } from '../until-stopped.js';

interface Options {
  in: string;
  out: string;
  bothWays?: boolean;
  queues: string;
  cores?: string;
  descriptors: string;
  buffers?: string;
  user: string;
  eal: string;
  hugepages?: boolean;
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

const policies = ['fixed', 'adaptive', 'burst'] as const;
const keys = ['5tuple', 'symmetric', 'destination', 'inner'] as const;
const hashes = ['auto', 'nic', 'software'] as const;
const bypasses = ['syn', 'new', 'ef', 'ect1', 'dns'] as const;
const earlies = ['fin', 'rst', 'psh'] as const;

export function register(program: Command): void {
  program
    .command('run')
    .description(
      'forward between two DPDK ports, with Reframer on every receive queue, until Ctrl-C, which drains and ends with exit code 0; drops nothing',
    )
    .requiredOption(
      '--in <port>',
      'port that packets come from: a PCI address, a device (net_tap0), or a device with its arguments, net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap',
    )
    .requiredOption('--out <port>', 'port that they go to, likewise; may be the same')
    .option('--both-ways', 'also from OUT to IN')
    .option(
      '--eal <options>',
      'options of EAL besides --no-huge -m 512 --no-shconf, such as -l 2,3 or -a 0000:03:00.0; one that is given replaces that default',
      '',
    )
    .option('--hugepages', 'packet buffers in hugepages: without --no-huge and -m')
    .option('--queues <number>', 'receive queues a port', '1')
    .option(
      '--cores <number>',
      'threads that poll, each on a CPU of its own; by default one, or one for each lcore that -l in --eal names',
    )
    .option('--descriptors <number>', 'length of the rings', '1024')
    .option(
      '--buffers <number>',
      'packet buffers of 2 KiB; by default enough for all rings and holds',
    )
    .option(
      '--user <name>',
      'who it becomes once its ports are open, if root started it; root stays root',
      'nobody',
    )
    .option('--no-reframe', 'forward only: to compare with')
    .option(
      '--delay <time>',
      'T, the longest hold before a packet is due; it leaves with the next poll',
      '64us',
    )
    .option('--policy <policy>', policies.join(', '), 'fixed')
    .option('--key <key>', `what packets are grouped by: ${keys.join(', ')}`, '5tuple')
    .option(
      '--hash <whose>',
      `${hashes.join(', ')}: auto takes the NIC's where it covers the key`,
      'auto',
    )
    .option('--packets <number>', 'most packets held a queue', '4096')
    .option(
      '--max-burst <number>',
      'packets of a group at which it leaves; 16 bounds what flows made to share a hash cost the others',
      '128',
    )
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

function parseList<T extends string>(
  text: string | undefined,
  option: string,
  words: readonly T[],
): T[] {
  return text === undefined ? [] : text.split(',').map((word) => parseChoice(word, option, words));
}

function nativeSpec(options: Options, eal: readonly string[]): object {
  return {
    eal,
    in: deviceName(options.in),
    out: deviceName(options.out),
    bothWays: options.bothWays === true,
    queues: parseCount(options.queues, '--queues', 1),
    ...(options.cores === undefined ? {} : { cores: parseCount(options.cores, '--cores', 1) }),
    descriptors: parseCount(options.descriptors, '--descriptors', 64),
    ...(options.buffers === undefined
      ? {}
      : { buffers: parseCount(options.buffers, '--buffers', 64) }),
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

function openingError({ error }: Reply): CliError {
  if (error === undefined) return new CliError('failed', 'reframer-dpdk did not get ready');
  const exitCode =
    error.code === 'not-supported'
      ? exitCodes.notSupported
      : error.code === 'bad-spec'
        ? exitCodes.usage
        : exitCodes.failed;
  return new CliError(error.code, error.message, exitCode);
}

function opening(options: Options): { spec: object; devices: string[] } {
  const { words, added } = ealOptions(options.eal, 512, {
    hugepages: options.hugepages === true,
    telemetry: true,
  });
  if (options.eal !== '' && added.length > 0 && options.quiet !== true)
    talk(
      `reframer: EAL also gets ${added.join(' ')}${added.includes('--no-huge') ? '; --hugepages takes hugepages' : ''}`,
    );
  const made = portDevices([options.in, options.out], words);
  const spec = nativeSpec(options, [...words, ...made]);
  const devices = namedDevices([...words, ...made]);
  checkCaptures(devices);
  return { spec, devices };
}

async function run(options: Options): Promise<void> {
  const { spec, devices } = opening(options);
  const intervalMs = Math.max(10, parseDuration(options.interval, '--interval') / 1e6);
  const idleMs =
    options.idle === undefined ? Infinity : parseDuration(options.idle, '--idle') / 1e6;
  const durationMs =
    options.duration === undefined ? 0 : parseDuration(options.duration, '--duration') / 1e6;
  const address =
    options.metrics === undefined ? undefined : parseAddress(options.metrics, '--metrics');
  if (options.json === true && options.quiet === true)
    throw new UsageError('--json prints every interval, --quiet none: choose one');
  const stopping = untilStopped(durationMs);
  let latest: Sample = { lanes: [], ports: [], missed: 0, noBuffer: 0 };
  // Made once an interval, however often it is asked for.
  let page: { of: Sample; text: string } | undefined;
  const read = (): string =>
    (page?.of === latest ? page : (page = { of: latest, text: exposition(metricsOf(latest)) }))
      .text;
  const metrics = address === undefined ? undefined : await serveMetrics(address, read);
  let written: WrittenCaptures | undefined;
  try {
    const session = await NativeSession.open<Reply>(dpdkProgram, 'forward', spec);
    const { ready } = session.first;
    if (ready === undefined) throw openingError(session.first);
    written = new WrittenCaptures(devices);
    // Polling comes first where both share a CPU.
    if (metrics !== undefined) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    followUser(ready);
    stopping.begin();
    if (metrics !== undefined) talk(`reframer: metrics at ${metrics.url}`);
    if (options.quiet !== true && ready.threads > 1)
      talk(`reframer: ${ready.threads} polling threads on CPUs ${ready.cpus.join(', ')}`);
    await watch(
      session,
      stopping,
      { intervalMs, idleMs, json: options.json === true, quiet: options.quiet === true },
      (sample) => {
        latest = sample;
      },
    );
    const { summary } = await session.ask({ do: 'stop' });
    session.end();
    if (summary === undefined)
      throw new CliError('failed', 'reframer-dpdk ended without a summary');
    report(summary, written.short(summary.ports), options.json === true);
  } catch (error) {
    throw error instanceof SessionError
      ? new CliError('native-ended', `reframer-dpdk: ${error.message}`)
      : error;
  } finally {
    written?.close();
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

async function watch(
  session: NativeSession<Reply>,
  stopping: Stopping,
  { intervalMs, idleMs, json, quiet }: Watching,
  keep: (sample: Sample) => void,
): Promise<void> {
  const view = new LiveView();
  const received = (of: Sample | undefined): number =>
    of === undefined ? 0 : total(of.lanes, (lane) => lane.received);
  const start = performance.now();
  let before: Sample | undefined;
  let beforeAt = start;
  let lastPacketAt = Infinity;
  let warned = false;
  while (!stopping.stopped()) {
    await stopping.sleep(Math.min(intervalMs, idleMs));
    if (stopping.stopped()) break;
    const {
      lanes,
      ports = [],
      missed = 0,
      noBuffer = 0,
      failed,
    } = await session.ask({ do: 'sample' });
    if (lanes === undefined)
      throw new CliError('failed', `reframer-dpdk: ${failed ?? 'no counters came'}`);
    const sample = { lanes, ports, missed, noBuffer };
    const now = performance.now();
    const seconds = (now - beforeAt) / 1000;
    keep(sample);
    const rates = ratesOf(sample, before, seconds);
    if (json)
      printJson({
        time: new Date().toISOString(),
        seconds: (now - start) / 1000,
        rates,
        ...sample,
      });
    else if (!quiet)
      view.show(
        () => picture(sample, before, seconds),
        () => intervalLine(sample, rates),
      );
    const joined = warned ? undefined : oversizedText(sample);
    if (joined !== undefined) {
      talk(`reframer: warning: ${joined}`);
      warned = true;
    }
    if (received(sample) > received(before)) lastPacketAt = now;
    else if (now - lastPacketAt >= idleMs) stopping.stop();
    before = sample;
    beforeAt = now;
  }
}

/** The summary; exit code 1 where packets were lost at the end or a capture is cut. */
function report(
  summary: Sample & { lost: number },
  short: readonly ShortFile[],
  json: boolean,
): void {
  if (summary.lost > 0 || short.length > 0) process.exitCode = exitCodes.failed;
  for (const file of short) talk(`reframer: ${shortText(file)}`);
  if (json)
    return printJson({
      time: new Date().toISOString(),
      summary: { ...summary, ...(short.length > 0 ? { short } : {}) },
    });
  for (const text of summaryLines(summary)) print(text);
  const joined = oversizedText(summary);
  if (joined !== undefined) print(joined);
  if (summary.lost > 0)
    print(
      `${formatCount(summary.lost)} packets could not be sent: their port took none for a second`,
    );
  else
    print(
      short.length === 0
        ? 'drained; no packet was dropped here'
        : 'drained, but not all of it reached the disk',
    );
}
