// What `reframer run` may do beside holding packets, and what it may ask of its ports.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';

import { systemText } from '../core/errors.js';
import { UsageError } from './errors.js';
import type { Need } from './ignored.js';
import { parseChoice, parseCount, parseDuration, parseMilliseconds } from './units.js';

export interface SuiteOptions {
  balance?: string | true;
  buckets: string;
  balanceInterval: string;
  autoscale?: boolean;
  shuffle?: string;
  txQueues?: string;
  track?: boolean;
  chain?: string;
  rules?: string;
  natAddress?: string;
  flows: string;
  flowTimeout: string;
  siblings?: boolean;
  rssKey?: string;
  hashFields?: string;
  offloads?: string;
  retaSize?: string;
  mtu?: string;
  promiscuous: boolean;
}

const tables = ['auto', 'reta', 'software', 'off'] as const;
const functions = ['nat', 'firewall'] as const;

export function addSuiteOptions(command: Command): Command {
  return command
    .option(
      '--balance [table]',
      `RSS++: move buckets between cores by load, with the table of the NIC or one in software: ${tables.join(', ')} (auto)`,
    )
    .option('--buckets <number>', "entries of the software's table, a power of two", '512')
    .option('--balance-interval <time>', 'epoch of RSS++', '100ms')
    .option('--autoscale', 'give cores back while the others carry the load')
    .option('--shuffle <number>', 'in place of RSS++, so many random moves a second, to try it')
    .option(
      '--tx-queues <number>',
      'send queues of a port, with --balance, --track or --chain; by default as many as receive queues. With 1 the order of packets holds on the wire, too, and cores take turns',
    )
    .option('--track', 'follow flows: packets, bytes and age of each')
    .option(
      '--chain <list>',
      `functions that packets pass, in this order: ${functions.join(', ')}; what they know of a flow moves with its bucket`,
    )
    .option('--rules <file>', 'of the firewall: `allow|deny tcp|udp|any SOURCE DESTINATION [PORT]`')
    .option(
      '--nat-address <prefix>',
      'addresses that NAT gives flows from IN: 192.0.2.0/28. IPv4 that it cannot translate (no TCP or UDP, fragments) is not let out, and nothing in that answers no flow',
    )
    .option('--flows <number>', 'most flows a core', '1M')
    .option('--flow-timeout <time>', 'a flow is forgotten after so long without a packet', '30s')
    .option('--siblings', 'threads of one core may poll, too')
    .option('--rss-key <key>', 'of the NIC: microsoft, symmetric, or hexadecimal digits')
    .option('--hash-fields <list>', 'what the NIC hashes by: ip, tcp, udp, sctp, esp, tunnel')
    .option(
      '--offloads <list>',
      'of the NIC, in place of what it offers: rss-hash, scatter, ipv4-cksum, tcp-cksum, udp-cksum, timestamp, tx-multi-segs, tx-fast-free',
    )
    .option('--reta-size <number>', "entries that the NIC's table must have")
    .option('--mtu <bytes>', 'of the ports')
    .option('--no-promiscuous', 'take only what is addressed to the port');
}

const words = (text: string | undefined): string[] =>
  text === undefined ? [] : text.split(',').map((word) => word.trim());

function prefixOf(text: string, where: string): { address: string; bits: number } {
  if (text === 'any') return { address: '0.0.0.0', bits: 0 };
  const [, address, bits = '32'] = /^(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (
    address === undefined ||
    Number(bits) > 32 ||
    address.split('.').some((part) => Number(part) > 255)
  )
    throw new UsageError(`${where}: '${text}' is no IPv4 prefix; write 10.0.0.0/8 or any`);
  return { address, bits: Number(bits) };
}

const protocols = { any: 0, tcp: 6, udp: 17 } as const;

/** Lines of a firewall's file; the first that holds decides. */
export function parseRules(text: string, file: string): object[] {
  return text.split('\n').flatMap((line, i) => {
    const [action, protocol, source, destination, port, more] = line
      .replace(/#.*/, '')
      .trim()
      .split(/\s+/);
    if (action === undefined || action === '') return [];
    const where = `${file}: line ${i + 1}`;
    if (action !== 'allow' && action !== 'deny')
      throw new UsageError(`${where}: '${action}' is neither allow nor deny`);
    if (
      protocol === undefined ||
      !Object.hasOwn(protocols, protocol) ||
      source === undefined ||
      destination === undefined ||
      more !== undefined
    )
      throw new UsageError(
        `${where}: write ${action} tcp|udp|any SOURCE DESTINATION [PORT or FIRST-LAST]`,
      );
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(port ?? '0-65535') ?? [];
    if (!(Number(first) <= Number(last) && Number(last) <= 65535))
      throw new UsageError(`${where}: '${port}' is no port or range of ports`);
    const [from, to] = [prefixOf(source, where), prefixOf(destination, where)];
    return [
      {
        allow: action === 'allow',
        protocol: protocols[protocol as keyof typeof protocols],
        source: from.address,
        sourceBits: from.bits,
        destination: to.address,
        destinationBits: to.bits,
        firstPort: Number(first),
        lastPort: Number(last),
      },
    ];
  });
}

export function natOf(text: string | undefined): object {
  if (text === undefined) return {};
  const { address, bits } = prefixOf(text, '--nat-address');
  if (bits < 16) throw new UsageError('--nat-address: at most a /16');
  const addresses = 2 ** (32 - bits);
  const given = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = given - (given % addresses);
  return {
    natAddress: [24, 16, 8, 0].map((shift) => (first >>> shift) & 255).join('.'),
    natAddresses: addresses,
  };
}

/** What some of these options need. */
export function suiteNeeds({ balance, chain, track }: SuiteOptions): Need[] {
  return [
    {
      options: ['buckets', 'balanceInterval', 'autoscale', 'shuffle'],
      met: balance !== undefined && balance !== 'off',
      text: 'goes with --balance',
    },
    {
      options: ['flows', 'flowTimeout'],
      met: track === true || chain !== undefined,
      text: 'goes with --track or --chain',
    },
    {
      options: ['rules'],
      met: words(chain).includes('firewall'),
      text: 'goes with --chain firewall',
    },
    { options: ['natAddress'], met: words(chain).includes('nat'), text: 'goes with --chain nat' },
  ];
}

/** Members of the native specification. */
export function suiteSpec(options: SuiteOptions): object {
  const chain = words(options.chain).map((word) => parseChoice(word, '--chain', functions));
  const count = (value: string | undefined, name: string, option: string): object =>
    value === undefined ? {} : { [name]: parseCount(value, option) };
  return {
    balance:
      options.balance === undefined
        ? 'off'
        : options.balance === true
          ? 'auto'
          : parseChoice(options.balance, '--balance', tables),
    buckets: parseCount(options.buckets, '--buckets', 64),
    balanceMs: parseMilliseconds(options.balanceInterval, '--balance-interval'),
    autoscale: options.autoscale === true,
    ...count(options.shuffle, 'shuffle', '--shuffle'),
    ...count(options.txQueues, 'txQueues', '--tx-queues'),
    track: options.track === true,
    ...(chain.length > 0 ? { chain } : {}),
    ...(options.rules === undefined
      ? {}
      : { rules: parseRules(readText(options.rules), options.rules) }),
    ...natOf(options.natAddress),
    flows: parseCount(options.flows, '--flows', 64),
    flowTimeoutMs: parseDuration(options.flowTimeout, '--flow-timeout') / 1e6,
    siblings: options.siblings === true,
    ...(options.rssKey === undefined ? {} : { rssKey: options.rssKey }),
    ...(options.hashFields === undefined ? {} : { hashFields: words(options.hashFields) }),
    ...(options.offloads === undefined ? {} : { offloads: words(options.offloads) }),
    ...count(options.retaSize, 'retaSize', '--reta-size'),
    ...count(options.mtu, 'mtu', '--mtu'),
    promiscuous: options.promiscuous,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--rules ${systemText(error, file)}`);
  }
}

/** What a port granted, as reframer-dpdk tells it. */
export interface PortGrant {
  port: string;
  driver: string;
  node: number;
  rxQueues: number;
  txQueues: number;
  rxDescriptors: number;
  txDescriptors: number;
  hashFields: string;
  rssKey: string;
  nicHash: boolean;
  retaSize: number;
  offloads: string;
  mtu: number;
  promiscuous: boolean;
}

const queues = (count: number, what: string): string =>
  `${count} ${what} queue${count === 1 ? '' : 's'}`;

export function grantLine(port: PortGrant): string {
  const rss =
    port.hashFields === 'nothing'
      ? 'no RSS'
      : `RSS by ${port.hashFields} with ${port.rssKey === "the driver's" ? "the driver's key" : `key ${port.rssKey}`}${port.nicHash ? ', hash of each packet' : ''}`;
  return (
    `${port.port} (${port.driver}${port.node >= 0 ? `, node ${port.node}` : ''}): ` +
    `${queues(port.rxQueues, 'receive')} of ${port.rxDescriptors}, ${queues(port.txQueues, 'send')} of ${port.txDescriptors}; ` +
    `${rss}; ${port.retaSize > 0 ? `table of ${port.retaSize}` : 'no table'}; offloads: ${port.offloads}; ` +
    `MTU ${port.mtu}${port.promiscuous ? ', promiscuous' : ''}`
  );
}
