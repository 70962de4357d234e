// How parameters read in figures, tables and sentences: journals keep the short names.

const names: Readonly<Record<string, string>> = {
  // Chains and functions.
  paper: 'paper’s chain',
  'cached-rules': 'cached rules',
  modern: 'modern chain',
  'paper-nat': 'paper’s NAT',
  'paper-router': 'paper’s router',
  'paper-firewall': 'paper’s firewall',
  counter: 'flow counter',
  nat: 'NAT',
  lb: 'load balancer',
  'cookie-lb': 'cookie balancer',
  'fw+nat': 'firewall and NAT',
  'fw+nat+dpi': 'firewall, NAT and DPI',
  fw: 'firewall',
  blind: 'no prefetching',
  'looking ahead': 'prefetching',
  // Traffic.
  'uniform, 100 k flows': 'uniform traffic',
  'incast, 256 senders': 'incast of 256 senders',
  // Ways of balancing, as long as a line's end has room for.
  'RSS++ greedy, 10 to 100 ms': 'greedy, 10 to 100 ms',
  'bound: one shared queue': 'bound: shared queue',
  // Kernels behind a box.
  'box that forwards, timer of T': 'timer, at box’s pace',
  // Grouping keys.
  '5tuple': '5-tuple',
  // Traces.
  campus: 'Campus',
  campus4: 'Campus #4',
  caida: 'CAIDA',
  // Flow tables.
  'burst-table': 'burst table',
  cuckoopp: 'Cuckoo++',
  hopscotch: 'HopScotch',
  robin: 'RobinMap',
  chaining: 'Chaining',
  'chaining-stl': 'Chaining STL',
  // Attacks, and what the stage does about them.
  'syn-flood': 'SYN flood',
  'one-packet': 'one-packet flows',
  'same-hash': 'one NIC hash',
  'same-set': 'one table set',
  crafted: 'crafted headers',
  drip: 'groups kept alive',
  nic: 'NIC hash',
  software: 'keyed hash',
};

/** Values that read as they should only where it is known of what they are. */
const byParam: Readonly<Record<string, string>> = {
  'policy fixed': 'T = 64 µs',
  'policy off': 'without Reframer',
  'locality caida': 'CAIDA',
  'locality campus': 'Campus',
  'locality trains': 'packet trains',
  'function forward': 'routing',
  'function firewall': 'connection tracking',
  'function bridge': 'bridging',
  'hash stored': 'NIC hash',
  'hash none': 'no hash',
  'workload trace': 'mix like a trace',
  'placing core load': 'by core load',
  'placing offered rate': 'by offered rate',
};

/** "64us" is how a contender is called in journals. */
export const shownName = (name: string, param = ''): string =>
  byParam[`${param} ${name}`] ??
  names[name] ??
  name.replace(/^(\d+)us\b/, '$1 µs').replace(/^(\d+)ms\b/, '$1 ms');
