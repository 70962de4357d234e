// Parts with real connections, through network namespaces: left out where those cannot be made.
import type { Part } from '../../core/types.js';

const job = (name: string): string => `command:bench balancer-trial ${name}`;
// What is counted does not depend on the machine's speed; seeds say which clients, ports, frames and
// changes it is about.
const counts = { deterministic: true, optional: true } as const;

/** [net.ipv4.tcp_timestamps, version of IP, seconds] */
const quickChanges = [
  [1, 4, 12],
  [2, 6, 12],
] as const;
const fullChanges = [
  [2, 4, 600],
  [1, 4, 120],
  [0, 4, 120],
  [2, 6, 120],
  [1, 6, 120],
] as const;

export const realParts = (quick: boolean): readonly Part[] => [
  {
    name: 'real',
    title: 'Real connections while servers join, drain and die',
    question:
      'Which downloads, requests and long transfers break while the pool changes twice a second?',
    job: job('changes'),
    axes: [
      {
        kind: 'zip',
        names: ['timestamps', 'family', 'seconds'],
        rows: quick ? quickChanges : fullChanges,
      },
    ],
    ...counts,
    spec: (p) => ({
      timestamps: Number(p.timestamps),
      family: Number(p.family),
      seconds: Number(p.seconds),
      perSecond: 2,
    }),
    headline: 'broken',
    timeoutSeconds: 1200,
    metrics: [
      'broken',
      'wrongBodies',
      'cutBodies',
      'cutTransfers',
      'lostPackets',
      'bodies',
      'requests',
      'lateRequests',
      'overdueRequests',
      'changes',
    ],
  },
  {
    name: 'transport',
    title: 'What the ends see of their path',
    question:
      'Do round-trip times, window scale, SACK and ECN differ from a connection without a balancer, opened by SYN cookies?',
    job: job('transport'),
    axes: [],
    ...counts,
    seeds: quick ? 1 : 5,
    spec: () => ({}),
    headline: 'receiverRttOffMs',
    timeoutSeconds: 300,
    metrics: [
      'rttOffMs',
      'receiverRttOffMs',
      'optionsOff',
      'directRttMs',
      'balancedRttMs',
      'directReceiverRttMs',
      'balancedReceiverRttMs',
      'openedByCookie',
    ],
  },
  {
    name: 'loss',
    title: 'Window cuts taken back, under real loss',
    question: 'How many of its window cuts does a server undo, of packets that were really lost?',
    job: job('loss'),
    axes: [{ kind: 'list', name: 'contender', values: ['direct', 'balanced', 'blurred'] }],
    contenders: { axis: 'contender', baseline: 'direct' },
    ...counts,
    seeds: quick ? 1 : 5,
    spec: (p) => ({ contender: String(p.contender), oneIn: 100, downloads: quick ? 5 : 20 }),
    headline: 'undone',
    timeoutSeconds: 600,
    metrics: [
      'undone',
      'undonePercent',
      'undoneDsack',
      'retransmitted',
      'megabitsPerSecond',
      'broken',
    ],
  },
  {
    name: 'quic',
    title: 'QUIC clients whose ports change under way',
    question: 'Which transfers break when ports change in mid-transfer and the pool changes, too?',
    job: job('quic'),
    axes: [{ kind: 'list', name: 'contender', values: ['plain', 'encrypted', 'none'] }],
    contenders: { axis: 'contender', baseline: 'none' },
    ...counts,
    seeds: quick ? 1 : 5,
    spec: (p) => ({ contender: String(p.contender), pairs: quick ? 3 : 8 }),
    headline: 'broken',
    timeoutSeconds: 600,
    metrics: ['broken', 'astray', 'moved', 'transfers', 'byQuic', 'unroutableIds'],
  },
];
