// `reframer watch`: what comes to a live interface, how much locality it has, what holding would bring.
import type { Command } from 'commander';

import { labProgram } from '../../../native/loader.js';
import { NativeSession, SessionError } from '../../../native/session.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { LiveView } from '../live-view.js';
import { exposition, parseAddress, serveMetrics } from '../metrics.js';
import { print, printJson, talk, wrap } from '../output.js';
import { counted, formatFixed, parseLooks, parseMilliseconds } from '../units.js';
import { untilStopped, type Stopping } from '../until-stopped.js';
import { Action } from '../watch/action.js';
import { localityOf, type Locality, type Sample, type WatchReply } from '../watch/sample.js';
import { Trigger, whenHelp } from '../watch/trigger.js';
import { verdictOf } from '../watch/verdict.js';
import { lineOf, metricsOf } from '../watch/view.js';

interface Options {
  interface: string;
  interval: string;
  duration?: string;
  when?: string;
  run?: string;
  metrics?: string;
  json?: boolean;
  quiet?: boolean;
}

// Enough to know what a run takes; after that the kernel need not look at its clock.
const measuredRuns = 20_000;

export function register(program: Command): void {
  program
    .command('watch')
    .description(
      'count what comes to an interface and how much locality it has, by an XDP program that passes all on, until Ctrl-C; then say what holding packets would bring. The program leaves with the command, however that ends; root',
    )
    .requiredOption('--interface <name>', 'whose received packets')
    .option('--interval <time>', 'between two looks, at least 10ms', '1s')
    .option('--duration <time>', 'end after this time; otherwise at Ctrl-C, exit code 0')
    .option('--when <expression>', whenHelp)
    .option(
      '--run <command>',
      'with --when: what the shell runs when it comes on; it gets SIGTERM when it goes off, and at the end',
    )
    .option('--metrics <host:port>', 'serve the counters to Prometheus, at /metrics')
    .option('--json', 'print one JSON line an interval and a summary')
    .option('--quiet', 'only the summary')
    .action(watch);
}

async function watch(options: Options): Promise<void> {
  const intervalMs = parseLooks(options.interval, '--interval');
  const durationMs =
    options.duration === undefined ? 0 : parseMilliseconds(options.duration, '--duration');
  const trigger = options.when === undefined ? undefined : new Trigger(options.when);
  if (options.run !== undefined && trigger === undefined)
    throw new UsageError('--run needs --when: when is it to run?');
  const address =
    options.metrics === undefined ? undefined : parseAddress(options.metrics, '--metrics');
  const action = new Action(options.run);
  const stopping = untilStopped(durationMs);
  let page = '';
  const metrics = address === undefined ? undefined : await serveMetrics(address, () => page);
  let session: NativeSession<WatchReply> | undefined;
  try {
    session = await NativeSession.open<WatchReply>(labProgram, 'watch', {
      interface: options.interface,
    });
    const { ready } = session.first;
    if (ready === undefined) throw openingError(session.first);
    if (!ready.inDriver)
      talk(
        `reframer: ${options.interface} has no native XDP: counted behind the driver, where GRO may have merged packets`,
      );
    if (metrics !== undefined) talk(`reframer: metrics at ${metrics.url}`);
    stopping.begin();
    const started = performance.now();
    const last = await look(session, stopping, intervalMs, (sample, locality) => {
      const turned = trigger?.update(locality);
      if (turned === 'on') action.start();
      if (turned === 'off') action.stop();
      page = exposition(metricsOf(options.interface, sample, locality, trigger?.on));
      tell(options, locality, turned);
    });
    summarize(options, last, (performance.now() - started) / 1000);
  } catch (error) {
    throw error instanceof SessionError ? new CliError('native-ended', error.message) : error;
  } finally {
    session?.end();
    action.stop();
    metrics?.close();
    stopping.release();
  }
}

function openingError({ error }: WatchReply): CliError {
  if (error === undefined) return new CliError('failed', 'the watching program did not start');
  const codes = { 'not-supported': exitCodes.notSupported, 'bad-spec': exitCodes.usage };
  return new CliError(
    error.code,
    error.message,
    error.code in codes ? codes[error.code as keyof typeof codes] : exitCodes.failed,
  );
}

async function ask(session: NativeSession<WatchReply>): Promise<Sample> {
  const reply = await session.ask({ do: 'sample' });
  if (reply.packets === undefined)
    throw new CliError('failed', reply.failed ?? reply.error?.message ?? 'no counters came');
  return reply as Sample;
}

/** @returns the last sample */
async function look(
  session: NativeSession<WatchReply>,
  stopping: Stopping,
  intervalMs: number,
  seen: (sample: Sample, locality: Locality) => void,
): Promise<Sample> {
  await session.ask({ do: 'measure', on: true });
  let measuring = true;
  let before = await ask(session);
  let beforeAt = performance.now();
  while (!stopping.stopped()) {
    await stopping.sleep(intervalMs);
    const sample = await ask(session);
    const now = performance.now();
    seen(sample, localityOf(sample, before, (now - beforeAt) / 1000));
    if (measuring && sample.runCount >= measuredRuns) {
      await session.ask({ do: 'measure', on: false });
      measuring = false;
    }
    before = sample;
    beforeAt = now;
  }
  return before;
}

let view: LiveView | undefined;

function tell(options: Options, locality: Locality, turned: 'on' | 'off' | undefined): void {
  if (options.json === true)
    printJson({
      time: new Date().toISOString(),
      ...locality,
      ...(turned === undefined ? {} : { trigger: turned }),
    });
  else if (options.quiet !== true) {
    view ??= new LiveView();
    const line = lineOf(locality);
    view.show(
      () => [options.interface, ...line.split('; ').map((part) => `  ${part}`)],
      () => line,
    );
  }
  if (turned !== undefined) talk(`reframer: --when went ${turned}`);
}

function summarize(options: Options, sample: Sample, seconds: number): void {
  const all = localityOf(sample, undefined, seconds);
  const verdict = verdictOf(all);
  const nsPerPacket = sample.runCount > 0 ? sample.runNs / sample.runCount : null;
  if (options.json === true) {
    printJson({
      summary: {
        interface: options.interface,
        ...all,
        counts: sample,
        nsPerPacket,
        verdict,
      },
    });
    return;
  }
  print(
    `${options.interface}: ${counted(sample.packets, 'packet')}, ${counted(sample.bytes, 'byte')}, about ${counted(all.flows, 'flow')} in ${formatFixed(seconds, 1)} s`,
  );
  for (const text of verdict) print(wrap(text));
  if (nsPerPacket !== null)
    print(wrap(`Counting took ${formatFixed(nsPerPacket, 0)} ns a packet, by the kernel's clock.`));
}
