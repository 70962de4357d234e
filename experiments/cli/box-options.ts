// What `reframer run` asks of its box: the options, and the specification that they make.
import type { Command } from 'commander';

import { BalancerFile } from './balancer-file.js';
import { checkCaptures } from './capture-ports.js';
import { UsageError } from './errors.js';
import { deviceName, ealOptions, interfaceDevice, namedDevices, portDevices } from './eal.js';
import { addGuardOptions, guardRules, type GuardOptions, type GuardRules } from './guard.js';
import { talk } from './output.js';
import { refuseIgnored } from './ignored.js';
import { addSuiteOptions, suiteNeeds, suiteSpec, type SuiteOptions } from './suite-options.js';
import { parseChoice, parseCount, parseHold } from './units.js';

export interface BoxOptions extends GuardOptions, SuiteOptions {
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
  /** Nothing is said: yes. */
  stage?: boolean;
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
  balancer?: string;
  quiet?: boolean;
}

const policies = ['fixed', 'adaptive', 'burst'] as const;
const keys = ['5tuple', 'symmetric', 'destination', 'inner'] as const;
const hashes = ['auto', 'nic', 'software'] as const;
const bypasses = ['syn', 'new', 'ef', 'ect1', 'dns'] as const;
const earlies = ['fin', 'rst', 'psh'] as const;

export function addBoxOptions(command: Command): Command {
  command
    .requiredOption(
      '--in <port>',
      'port that packets come from: a PCI address, an interface of Linux (af_xdp:eth1, af_packet:eth1), a device (net_tap0), or a device with its arguments, net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap',
    )
    .requiredOption('--out <port>', 'port that they go to, likewise; may be the same')
    .option('--both-ways', 'also from OUT to IN');
  return addSuiteOptions(addGuardOptions(command))
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
    .option('--stage', 'hold and group packets; so it is where nothing is said')
    .option('--no-stage', 'do not hold packets')
    .option('--no-reframe', 'the same, by its earlier name')
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
    .option(
      '--balancer <file>',
      'balance a service over servers: JSON with service, clientMac, policy, quic, and servers with address, mac, weight, state, load; read again when it changes. IN faces clients, OUT servers; needs --both-ways',
    );
}

/** @throws UsageError where an option would change nothing for want of another */
export function refuseIgnoredOf(options: BoxOptions, command: Command): void {
  refuseIgnored(command, [
    {
      options: [
        ...['delay', 'policy', 'key', 'hash', 'packets', 'maxBurst', 'bypass', 'early', 'repair'],
        'thin',
      ],
      met: options.reframe && options.stage !== false,
      text: 'changes nothing with --no-stage',
    },
    ...suiteNeeds(options),
  ]);
}

function parseList<T extends string>(
  text: string | undefined,
  option: string,
  words: readonly T[],
): T[] {
  return text === undefined ? [] : text.split(',').map((word) => parseChoice(word, option, words));
}

function nativeSpec(
  options: BoxOptions,
  eal: readonly string[],
  guards: readonly GuardRules[] | undefined,
  balancer: BalancerFile | undefined,
): object {
  return {
    eal,
    ...(guards === undefined ? {} : { guards }),
    ...(balancer === undefined ? {} : { balancer: balancer.spec }),
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
    reframe: options.reframe && options.stage !== false,
    ...suiteSpec(options),
    delayNs: parseHold(options.delay, '--delay'),
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

export function boxSpec(given: BoxOptions): {
  spec: object;
  devices: string[];
  rules: () => GuardRules[] | undefined;
  balancer: BalancerFile | undefined;
} {
  const options = {
    ...given,
    in: interfaceDevice(given.in, 0),
    // One interface both ways is one port.
    out: interfaceDevice(given.out, given.out === given.in ? 0 : 1),
  };
  const { words, added } = ealOptions(options.eal, 512, {
    hugepages: options.hugepages === true,
    telemetry: true,
  });
  if (options.eal !== '' && added.length > 0 && options.quiet !== true)
    talk(
      `reframer: EAL also gets ${added.join(' ')}${added.includes('--no-huge') ? '; --hugepages takes hugepages' : ''}`,
    );
  const made = portDevices([options.in, options.out], words);
  const rules = (): GuardRules[] | undefined => guardRules(options, options.in, options.out);
  const balancer = options.balancer === undefined ? undefined : new BalancerFile(options.balancer);
  if (balancer !== undefined && options.bothWays !== true && options.in !== options.out)
    throw new UsageError('--balancer needs --both-ways: answers of servers pass through it, too');
  const spec = nativeSpec(options, [...words, ...made], rules(), balancer);
  const devices = namedDevices([...words, ...made]);
  checkCaptures(devices);
  return { spec, devices, rules, balancer };
}
