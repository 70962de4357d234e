// A trial of an experiment's part `tcp`: who lets packets wait, and for how long, in turn, in one record.
// What each changes is against the box that only forwards, in the same trial.
import { seededRandom, shuffled } from '../../core/random.js';
import { thirdProcessor, twoProcessors } from './processors.js';
import { TcpPath, type TcpTrial, type Waits } from './tcp.js';

export interface TcpTrialSpec {
  files: readonly number[];
  connections: number;
  bytesPerSecond: number;
  gatherNs: number;
  queues: number;
  seconds: number;
  seed: number;
  /** Name of the setting that the others are compared with. */
  baseline: string;
  /** By the name that the point has. */
  settings: Readonly<Record<string, { waits: Waits; delayNs: number }>>;
}

interface Inner {
  goodputMbps: number;
  goodputPercent: number;
  /** Of the shortest response. */
  completionUs: number;
  completionPercent: number;
  receiverNs: number;
  savedPercent: number;
  segmentsPerMerged: number;
  windowPackets: number;
  /** Out of the box; where it reframes. */
  slf?: number;
  boxNsPerPacket: number;
  retransmitted: number;
}

export interface TcpTrialRecord {
  receiverNs: number;
  at: Record<string, Inner>;
}

/** On the processors that the harness gave this process. @throws CliError */
export async function tcpTrial(spec: TcpTrialSpec): Promise<TcpTrialRecord> {
  const processors = twoProcessors(undefined);
  const [senderCpu, receiverCpu] = processors;
  const { files, connections, bytesPerSecond, gatherNs, queues, seconds } = spec;
  const path = new TcpPath({
    ...{ files, connections, bytesPerSecond, gatherNs, queues, seconds, senderCpu, receiverCpu },
    driver: 'af_packet',
    boxCpu: thirdProcessor(processors),
  });
  const trials = new Map<string, TcpTrial>();
  try {
    const settings = shuffled(Object.entries(spec.settings), seededRandom(spec.seed));
    for (const [contender, setting] of settings)
      trials.set(contender, await path.trial({ senders: 'many', contender, ...setting }));
  } finally {
    path.close();
  }
  return tcpRecord(trials, spec.baseline);
}

export function tcpRecord(trials: ReadonlyMap<string, TcpTrial>, baseline: string): TcpTrialRecord {
  const plain = trials.get(baseline);
  const change = (of: TcpTrial, value: (trial: TcpTrial) => number): number =>
    plain === undefined ? Number.NaN : 100 * (value(of) / value(plain) - 1);
  const shortest = ({ completion }: TcpTrial): number =>
    completion.reduce((a, b) => (b.bytes < a.bytes ? b : a)).medianUs;
  const at = Object.fromEntries(
    [...trials].map(([name, trial]): [string, Inner] => [
      name,
      {
        goodputMbps: trial.goodputMbps,
        goodputPercent: change(trial, (t) => t.goodputMbps),
        completionUs: shortest(trial),
        completionPercent: change(trial, shortest),
        receiverNs: trial.receiverNs,
        savedPercent: 0 - change(trial, (t) => t.receiverNs),
        segmentsPerMerged: trial.framesPerMerged,
        windowPackets: trial.windowPackets,
        ...(trial.slfOut === undefined ? {} : { slf: trial.slfOut }),
        boxNsPerPacket: trial.boxNs,
        retransmitted: trial.retransmitted,
      },
    ]),
  );
  return { receiverNs: plain?.receiverNs ?? Number.NaN, at };
}
