// Which device `reframer balance` works on: the options that name it, and what they say.
import type { Command } from 'commander';

import type { DeviceSpec } from '../../rsspp/index.js';
import { ealOptions } from './eal.js';
import { UsageError } from './errors.js';
import { refuseIgnored } from './ignored.js';
import { talk } from './output.js';
import { parseChoice, parseCount } from './units.js';

export interface DeviceOptions {
  backend: string;
  interface?: string;
  cpus?: string;
  port?: string;
  table: string;
  eal: string;
  cores?: string;
  reta?: string;
  queueDepth: string;
  rate: string;
  flows: string;
  skew: string;
  work: string;
  seed: string;
}

export function addDeviceOptions(command: Command): Command {
  return command
    .requiredOption(
      '--backend <kind>',
      'tap: a multi-queue TAP with traffic of its own, in its own network namespace; ethtool: the table of an interface of Linux; cpumap: any interface of Linux whose driver has XDP, by a table of our own in front of it; dpdk: a DPDK port',
    )
    .option('--interface <name>', 'ethtool, cpumap: the interface')
    .option(
      '--cpus <list>',
      "ethtool: CPU that serves each queue, such as 0,1,2,3; otherwise queue i is CPU i's. cpumap: CPUs that take packets; otherwise all that this program may use",
    )
    .option('--port <name>', "dpdk: EAL's name of the port")
    .option(
      '--table <kind>',
      'dpdk: reta, flow, or software (one core dispatches to rings)',
      'reta',
    )
    .option(
      '--eal <options>',
      'dpdk: options of EAL besides --no-huge -m 256 --no-shconf --no-telemetry, such as --vdev=net_null0; one that is given replaces that default',
      '',
    )
    .option(
      '--cores <number>',
      'tap, dpdk: queues, one thread each; by default 4. dpdk: each on a CPU of its own, by default at most the CPUs, or one for each lcore that -l in --eal names',
    )
    .option(
      '--reta <number>',
      'tap, dpdk flow and software: entries of the table, 64 to 4096; by default 128. cpumap: 2 to 4096, by default 512',
    )
    .option('--queue-depth <frames>', 'cpumap: frames that wait for a CPU at most', '2048')
    .option('--rate <number>', 'tap: packets a second', '20k')
    .option('--flows <number>', 'tap: flows of the traffic', '1000')
    .option(
      '--skew <exponent>',
      'tap: Zipf exponent of the shares of the flows; 0 makes them alike',
      '0.9',
    )
    .option(
      '--work <rounds>',
      'tap, dpdk: rounds of arithmetic a packet, about a nanosecond each',
      '10k',
    )
    .option('--seed <number>', 'tap: of the traffic', '1');
}

export function numberBetween(text: string, option: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= low && value <= high))
    throw new UsageError(`${option}: '${text}' is not a number from ${low} to ${high}`);
  return value;
}

const backends = ['tap', 'ethtool', 'cpumap', 'dpdk'] as const;
type BackendName = (typeof backends)[number];

// By the names of the options' values.
const backendsOf: Readonly<Record<string, readonly BackendName[]>> = {
  interface: ['ethtool', 'cpumap'],
  cpus: ['ethtool', 'cpumap'],
  port: ['dpdk'],
  table: ['dpdk'],
  eal: ['dpdk'],
  cores: ['tap', 'dpdk'],
  reta: ['tap', 'cpumap', 'dpdk'],
  queueDepth: ['cpumap'],
  rate: ['tap'],
  flows: ['tap'],
  skew: ['tap'],
  work: ['tap', 'dpdk'],
  seed: ['tap'],
};

/** @throws UsageError where an option would change nothing on that device */
export function refuseIgnoredOf(options: DeviceOptions, command: Command): void {
  const backend = parseChoice(options.backend, '--backend', backends);
  refuseIgnored(command, [
    ...Object.entries(backendsOf).map(([name, having]) => ({
      options: [name],
      met: having.includes(backend),
      text: `goes with --backend ${having.join(' or ')}`,
    })),
    {
      options: ['reta'],
      met: backend !== 'dpdk' || options.table !== 'reta',
      text: 'goes with --table flow or software: the RETA of a port has its own size',
    },
  ]);
}

export function deviceSpec(options: DeviceOptions): DeviceSpec {
  const backend = parseChoice(options.backend, '--backend', backends);
  if (backend === 'dpdk') {
    if (options.port === undefined)
      throw new UsageError('--backend dpdk needs --port: whose table?');
    const eal = ealOptions(options.eal, 256, { telemetry: false });
    if (options.eal !== '' && eal.added.length > 0)
      talk(`reframer: EAL also gets ${eal.added.join(' ')}`);
    return {
      kind: 'dpdk',
      eal: eal.words,
      port: options.port,
      table: parseChoice(options.table, '--table', ['reta', 'flow', 'software'] as const),
      ...(options.cores === undefined ? {} : { cores: parseCount(options.cores, '--cores', 1) }),
      entries: parseCount(options.reta ?? '128', '--reta', 64),
      workRounds: parseCount(options.work, '--work'),
    };
  }
  if (backend === 'ethtool' || backend === 'cpumap') {
    if (options.interface === undefined)
      throw new UsageError(`--backend ${backend} needs --interface: whose packets?`);
    const cpus = options.cpus?.split(',').map((cpu) => parseCount(cpu, '--cpus'));
    const common = { interface: options.interface, ...(cpus === undefined ? {} : { cpus }) };
    if (backend === 'ethtool') return { kind: backend, ...common };
    return {
      kind: backend,
      ...common,
      entries: parseCount(options.reta ?? '512', '--reta', 2),
      queueDepth: parseCount(options.queueDepth, '--queue-depth', 8),
    };
  }
  return {
    kind: 'tap',
    cores: parseCount(options.cores ?? '4', '--cores', 1),
    entries: parseCount(options.reta ?? '128', '--reta', 64),
    packetsPerSecond: parseCount(options.rate, '--rate', 1),
    flows: parseCount(options.flows, '--flows', 1),
    skew: numberBetween(options.skew, '--skew', 0, 4),
    workRounds: parseCount(options.work, '--work'),
    seed: parseCount(options.seed, '--seed'),
  };
}

// Half a RETA driver stops reception while it writes, and the load of a CPU comes in steps of 10 ms.
export const quickToWrite = (spec: DeviceSpec): boolean =>
  spec.kind === 'tap' || (spec.kind === 'dpdk' && spec.table === 'software');
