// `reframer run`: a box of its own between two DPDK ports. The native program forwards; this side starts,
// shows and stops it.
import { constants, setPriority } from 'node:os';
import type { Command } from 'commander';

import { dpdkProgram } from '../../../native/loader.js';
import { NativeSession, SessionError } from '../../../native/session.js';
import { total, type Reply, type Sample } from '../box.js';
import { addBoxOptions, boxSpec, refuseIgnoredOf, type BoxOptions } from '../box-options.js';
import { metricsOf, ratesOf } from '../box-metrics.js';
import { intervalLine, oversizedText, picture, summaryLines } from '../box-view.js';
import { shortText, WrittenCaptures, type ShortFile } from '../capture-ports.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { ChangedFile, rulesReloader } from '../guard.js';
import { grantLine } from '../suite-options.js';
import { LiveView } from '../live-view.js';
import { exposition, parseAddress, serveMetrics } from '../metrics.js';
import { print, printJson, talk } from '../output.js';
import { followUser } from '../privileges.js';
import { counted, parseLooks, parseMilliseconds } from '../units.js';
import { untilStopped, type Stopping } from '../until-stopped.js';

export function register(program: Command): void {
  const command = program
    .command('run')
    .description(
      'forward between two DPDK ports, with Reframer on every receive queue, until Ctrl-C, which drains and ends with exit code 0; drops nothing',
    );
  addBoxOptions(command)
    .option('--interval <time>', 'between two looks at the counters, at least 10ms', '1s')
    .option('--duration <time>', 'end after this time; otherwise at Ctrl-C')
    .option('--idle <time>', 'end when, after the first packet, none came for this long')
    .option('--metrics <host:port>', 'serve the counters to Prometheus, at /metrics')
    .option('--json', 'print one JSON line an interval and a summary')
    .option('--quiet', 'only the summary')
    .action(run);
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

interface Options extends BoxOptions {
  interval: string;
  duration?: string;
  idle?: string;
  metrics?: string;
  json?: boolean;
}

async function run(options: Options, command: Command): Promise<void> {
  refuseIgnoredOf(options, command);
  const { denyFile } = options;
  // Looked at before it is read.
  const denied = denyFile === undefined ? undefined : { denyFile, file: new ChangedFile(denyFile) };
  const { spec, devices, rules, balancer } = boxSpec(options);
  const intervalMs = parseLooks(options.interval, '--interval');
  const idleMs = options.idle === undefined ? Infinity : parseMilliseconds(options.idle, '--idle');
  const durationMs =
    options.duration === undefined ? 0 : parseMilliseconds(options.duration, '--duration');
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
  let session: NativeSession<Reply> | undefined;
  try {
    session = await NativeSession.open<Reply>(dpdkProgram, 'forward', spec);
    const { ready } = session.first;
    if (ready === undefined) throw openingError(session.first);
    written = new WrittenCaptures(devices);
    // Polling comes first where both share a CPU.
    if (metrics !== undefined) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    followUser(ready);
    await balancer?.start(session);
    stopping.begin();
    if (metrics !== undefined) talk(`reframer: metrics at ${metrics.url}`);
    if (options.quiet !== true && ready.threads > 1)
      talk(`reframer: ${ready.threads} polling threads on CPUs ${ready.cpus.join(', ')}`);
    if (options.quiet !== true)
      for (const port of ready.ports) talk(`reframer: ${grantLine(port)}`);
    await watch(
      session,
      stopping,
      {
        intervalMs,
        idleMs,
        json: options.json === true,
        quiet: options.quiet === true,
        reload: [
          ...(denied === undefined
            ? []
            : [rulesReloader(session, denied.denyFile, rules, denied.file)]),
          ...(balancer === undefined ? [] : [balancer.reload.bind(balancer, session)]),
        ],
      },
      (sample) => {
        latest = sample;
      },
    );
    const { summary } = await session.ask({ do: 'stop' });
    if (summary === undefined)
      throw new CliError('failed', 'reframer-dpdk ended without a summary');
    report(summary, written.short(summary.ports), options.json === true);
  } catch (error) {
    throw error instanceof SessionError
      ? new CliError('native-ended', `reframer-dpdk: ${error.message}`)
      : error;
  } finally {
    // Of one that failed, too: a box does not forward for nobody.
    session?.end();
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
  reload: readonly (() => Promise<void>)[];
}

async function watch(
  session: NativeSession<Reply>,
  stopping: Stopping,
  { intervalMs, idleMs, json, quiet, reload }: Watching,
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
    for (const again of reload) await again();
    const {
      guards,
      balancer,
      flows,
      balance,
      lanes,
      ports = [],
      missed = 0,
      noBuffer = 0,
      failed,
    } = await session.ask({ do: 'sample' });
    if (lanes === undefined)
      throw new CliError('failed', `reframer-dpdk: ${failed ?? 'no counters came'}`);
    const sample = {
      ...(guards === undefined ? {} : { guards }),
      ...(balancer === undefined ? {} : { balancer }),
      ...(flows === undefined ? {} : { flows }),
      ...(balance === undefined ? {} : { balance }),
      lanes,
      ports,
      missed,
      noBuffer,
    };
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
  print(endText(summary, short));
}

/** What became of the packets that were received and not sent. */
function endText({ lanes, lost }: Sample & { lost: number }, short: readonly ShortFile[]): string {
  if (lost > 0)
    return `${counted(lost, 'packet')} could not be sent: their port took none for a second`;
  if (short.length > 0) return 'drained, but not all of it reached the disk';
  const stopped = total(lanes, (lane) => lane.received - lane.sent);
  return stopped > 0
    ? `drained; the chain stopped ${counted(stopped, 'packet')}, no other was dropped here`
    : 'drained; no packet was dropped here';
}
