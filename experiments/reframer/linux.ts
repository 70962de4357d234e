// The Linux kernel behind Reframer: what an unmodified kernel saves by the order of its packets, beside its
// own means to merge more, and with a box in the path. In network namespaces; where root or the kernel
// does not allow that, the parts are left out with a word.
import type { JsonObject, Params, Part } from '../core/types.js';
import { overloadBps } from './contenders.js';

/** Bits of a frame of 1,000 bytes of payload on the wire. */
const frameBits = 8 * (1000 + 66 + 24);
/** That pass in T at 70 Gbps; a T in µs. */
const windowOf = (us: number): number => Math.round((us * 1e-6 * overloadBps) / frameBits);

/** Kernel (experiments/cli/linux/kernels.ts), and packets in a row or that pass in T. */
type Setting = JsonObject;
const behind = (us: number, kernel = 'default'): Setting => ({
  kernel,
  windowPackets: windowOf(us),
});

/** Parts with a kernel in the place of a chain. */
export const linuxParts = ['linux', 'linux-kernels', 'linux-window', 'tcp'] as const;

/** Names of points; each trial measures all of them in turn. */
const orders: Readonly<Record<string, Setting>> = {
  interleaved: { kernel: 'default' },
  '16us': behind(16),
  '64us': behind(64),
  '128us': behind(128),
  'rows of 16': { kernel: 'default', inARow: 16 },
};
// gro_flush_timeout of T, a hash stored in each packet, both, lists instead of large segments.
const best = 'hash-timer64';
const kernels: Readonly<Record<string, Setting>> = {
  'as it comes': { kernel: 'default' },
  'timer of 64 µs': { kernel: 'timer64' },
  'hash, 4 queues': { kernel: 'hash' },
  'hash, 4 queues, timer': { kernel: best },
  'fragment lists': { kernel: 'fraglist' },
  '64us': behind(64),
  '64us, hash, 4 queues, timer': behind(64, best),
};
const windows = [60, 120, 240, 480, 960] as const;
/** Checksums do not pass a box unseen: the kernel adds them up in every row; all have a hash, and 4 queues. */
const anyKernel = 'software-hash';
/** What one core with sender, box and kernel on two of them carries without loss, packets a second. */
const livePace = 60_000;

const spec = (seconds: number, more: JsonObject): JsonObject => ({
  offeredBps: overloadBps,
  seconds,
  warmSeconds: seconds / 2,
  baseline: 'default',
  ...more,
});
const unfold = (names: readonly string[]): NonNullable<Part['unfold']> =>
  names.map((contender) => ({ params: { contender }, path: `at.${contender}` }));

const common = {
  job: 'command:bench linux-trial',
  headline: 'kernelNs',
  optional: true,
} as const;

export function linux(quick: boolean): Part {
  const chosen = quick ? ['interleaved', '64us', 'rows of 16'] : Object.keys(orders);
  const settings = Object.fromEntries(chosen.map((name) => [name, orders[name] ?? {}]));
  return {
    ...common,
    name: 'linux',
    title: 'An unmodified Linux kernel behind Reframer',
    question:
      'What does a segment cost a kernel core that is always behind, by the order in which Reframer lets segments come?',
    axes: [
      {
        kind: 'list',
        name: 'function',
        values: quick ? ['firewall'] : ['forward', 'firewall', 'bridge'],
      },
      { kind: 'list', name: 'flows', values: quick ? [256] : [64, 256, 1024] },
    ],
    spec: (p) =>
      spec(quick ? 0.1 : 0.3, {
        function: String(p.function),
        flows: Number(p.flows),
        settings,
      }),
    unfold: unfold(chosen),
    metrics: [
      'kernelNs',
      'kernelSaved',
      'segmentsPerMerged',
      'slf',
      'windowPackets',
      'kernelKpps',
      'kernelLost',
    ],
  };
}

export function linuxKernels(quick: boolean): Part {
  return {
    ...common,
    name: 'linux-kernels',
    title: 'Reframer beside the kernel’s own means',
    question: 'Does the kernel, told to wait for as long as Reframer, merge as much by itself?',
    axes: [
      { kind: 'list', name: 'function', values: quick ? ['firewall'] : ['forward', 'firewall'] },
      { kind: 'list', name: 'flows', values: quick ? [256] : [16, 64, 256, 1024] },
    ],
    spec: (p) =>
      spec(quick ? 0.1 : 0.3, {
        function: String(p.function),
        flows: Number(p.flows),
        settings: kernels,
      }),
    unfold: unfold(Object.keys(kernels)),
    metrics: ['kernelNs', 'kernelSaved', 'overBest', 'segmentsPerMerged', 'kernelKpps'],
    timeoutSeconds: 180,
  };
}

/** T in the same packets: at 70 Gbps beforehand, and by a box in the path at what this machine passes. */
export function linuxWindow(quick: boolean): Part {
  const chosen = quick ? [120, 480] : windows;
  const byWindow = (setting: (packets: number) => JsonObject): JsonObject =>
    Object.fromEntries(chosen.map((packets) => [String(packets), setting(packets)]));
  const held = byWindow((packets) => ({ kernel: anyKernel, windowPackets: packets }));
  // Who waits differs and nothing else: the kernel for as long, with the same hash, at the same pace.
  const own = (packetsPerSecond: number): JsonObject =>
    byWindow((packets) => ({
      kernel: `${anyKernel}-timer${Math.max(1, Math.round((packets * 1e6) / packetsPerSecond))}`,
    }));
  const live = { driver: 'af_packet', packetsPerSecond: livePace };
  const of: Readonly<Record<string, JsonObject>> = {
    'formed beforehand': { settings: held },
    'timer of T': { settings: own(overloadBps / frameBits) },
    'box in the path': { settings: held, live },
    'box that forwards, timer of T': { settings: own(livePace), live },
  };
  return {
    ...common,
    name: 'linux-window',
    title: 'By the packets that pass in T',
    question:
      'Does a box in the path bring what the same number of packets in T brings beforehand, and what does its core take?',
    axes: [{ kind: 'list', name: 'order', values: Object.keys(of) }],
    spec: (p: Params) =>
      spec(quick ? 0.2 : 0.4, {
        function: 'forward',
        flows: 256,
        baseline: anyKernel,
        ...of[String(p.order)],
      }),
    unfold: chosen.map((packets) => ({
      params: { window: packets },
      path: `at.${packets}`,
    })),
    metrics: [
      'segmentsPerMerged',
      'kernelSaved',
      'kernelNs',
      'slf',
      'windowPackets',
      'heldFor',
      'boxNs',
      'kernelLost',
    ],
    timeoutSeconds: 180,
  };
}

/** Who waits, and for how long; of what the kernel waits itself it gets on top what the receiver gathers. */
const tcpSettings: Readonly<Record<string, JsonObject>> = {
  off: { waits: 'none', delayNs: 0 },
  'timer of 64 µs': { waits: 'kernel', delayNs: 64_000 },
  '64us': { waits: 'box', delayNs: 64_000 },
  'timer of 1 ms': { waits: 'kernel', delayNs: 1_000_000 },
  '1ms': { waits: 'box', delayNs: 1_000_000 },
  'adaptive, up to 1 ms': { waits: 'adaptive', delayNs: 1_000_000 },
};

export function tcp(quick: boolean): Part {
  const chosen = quick ? ['off', 'timer of 1 ms', '1ms'] : Object.keys(tcpSettings);
  return {
    name: 'tcp',
    job: 'command:bench tcp-trial',
    headline: 'receiverNs',
    optional: true,
    title: 'Real TCP of many senders through a box',
    question:
      'Do connections whose segments interleave finish sooner, and does their receiver work less, behind a box that holds?',
    axes: [
      { kind: 'list', name: 'connections', values: [64] },
      // In each packet, as from a NIC; without one GRO has one bucket for all connections.
      { kind: 'list', name: 'hash', values: quick ? ['stored'] : ['stored', 'none'] },
    ],
    spec: (p) => ({
      // Longer ones end too seldom in so short a trial.
      files: [10_000, 100_000],
      connections: Number(p.connections),
      bytesPerSecond: 1.5e9 / 8,
      gatherNs: 30_000,
      queues: p.hash === 'stored' ? 4 : 1,
      seconds: quick ? 1 : 2,
      baseline: 'off',
      settings: Object.fromEntries(chosen.map((name) => [name, tcpSettings[name] ?? {}])),
    }),
    unfold: unfold(chosen),
    metrics: [
      'receiverNs',
      'kernelSaved',
      'segmentsPerMerged',
      'slf',
      'windowPackets',
      'goodput',
      'goodputGained',
      'completion',
      'completionChange',
      'resent',
      'boxNs',
    ],
    timeoutSeconds: 180,
  };
}
