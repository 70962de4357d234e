// What a packet costs in a TypeScript program: loops over one capture, each with one step more than
// the one it is compared with, in this process. The difference of two loops of a round is the step.
import { join } from 'node:path';

import { openCapture, writeCapture, type CaptureBurst } from '../../capture/index.js';
import { FlowTracker } from '../../conntrack/index.js';
import { Reframer } from '../../reframer/index.js';
import { fewestValues, medianInterval, noInterval, type Interval } from '../core/statistics.js';
import { seededRandom, shuffled } from '../core/random.js';
import { median } from 'simple-statistics';

export interface ApiRow {
  step: string;
  burst: number;
  nsPerPacket: number;
  nsLow: number | null;
  nsHigh: number | null;
  /** Loops that were timed. */
  rounds: number;
  packets: number;
}

interface Loop {
  name: string;
  /** The loop that does all but this step; none: the whole loop counts. */
  without?: string;
  /** What is there before the step begins, and is not timed. */
  prepare(): Prepared;
}

interface Prepared {
  /** What is timed. @returns packets */
  run(): Promise<number> | number;
  end?(): void;
}

const state = { packets: 'u64', bytes: 'u64' } as const;
const delayNs = 64_000;

/** Every loop checks that all packets came. */
function loops(file: string, burst: number, folder: string): Loop[] {
  const each = (work: (burst: CaptureBurst) => void): number => {
    let packets = 0;
    for (const one of openCapture(file, { burst })) {
      work(one);
      packets += one.count;
    }
    return packets;
  };
  const track = (tracker: FlowTracker<typeof state>, one: CaptureBurst): void =>
    void tracker.add(one.keys(), one.timeNs, { packets: 1, bytes: one.wireLengths });
  /** From a file's name to its flows: the table is made, filled and walked through. */
  const toFlows = async (
    read: (work: (one: CaptureBurst) => void) => Promise<number> | number,
  ): Promise<number> => {
    using tracker = new FlowTracker({ state });
    let now = 0n;
    const packets = await read((one) => {
      track(tracker, one);
      now = one.timeNs;
    });
    let inFlows = 0n;
    for (const { values } of tracker.entries(now)) inFlows += values.packets;
    return inFlows === BigInt(packets) ? packets : -1;
  };
  const simple =
    (run: Prepared['run']): Loop['prepare'] =>
    () => ({ run });
  return [
    { name: 'capture', prepare: simple(() => each(() => undefined)) },
    { name: 'keys', without: 'capture', prepare: simple(() => each((one) => void one.keys())) },
    { name: 'hashes', without: 'capture', prepare: simple(() => each((one) => void one.hashes())) },
    {
      name: 'track',
      without: 'keys',
      prepare: () => {
        const tracker = new FlowTracker({ state });
        return { run: () => each((one) => track(tracker, one)), end: () => tracker.close() };
      },
    },
    {
      name: 'reframe',
      without: 'capture',
      prepare: () => {
        const reframer = new Reframer<number>({ delayNs });
        const run = (): number => {
          let out = 0;
          const packets = each(({ data, offsets, wireLengths, timeNs }) => {
            reframer.pushPacked({ data, offsets, wireLengths, handles: wireLengths }, timeNs);
            out += reframer.poll(timeNs).packets.length;
          });
          return out + reframer.drain(2n ** 62n).packets.length === packets ? packets : -1;
        };
        return { run, end: () => reframer.close() };
      },
    },
    {
      name: 'write',
      without: 'capture',
      prepare: simple(async () => {
        const writer = writeCapture(join(folder, 'written.pcap'));
        const packets = each((one) => writer.writeAll(one));
        await writer.close();
        return writer.packets === packets ? packets : -1;
      }),
    },
    { name: 'capture to flows, one thread', prepare: simple(() => toFlows(each)) },
    {
      name: 'capture to flows, read ahead',
      prepare: simple(() =>
        toFlows(async (work) => {
          let packets = 0;
          for await (const one of openCapture(file, { burst })) {
            work(one);
            packets += one.count;
          }
          return packets;
        }),
      ),
    },
  ];
}

/** @param onRound called before each round */
export async function benchApi(
  file: string,
  folder: string,
  { bursts, rounds, seed }: { bursts: readonly number[]; rounds: number; seed: number },
  onRound: (done: number, all: number) => void,
): Promise<ApiRow[]> {
  const all = bursts.flatMap((burst) =>
    loops(file, burst, folder).map((loop) => ({ ...loop, burst, ns: [] as number[] })),
  );
  const random = seededRandom(seed);
  let packets = 0;
  // Rounds before the first count: code is compiled while it runs.
  const warmUp = 2;
  for (let round = -warmUp; round < rounds; round++) {
    onRound(round + warmUp, rounds + warmUp);
    // In an order of its own each round: nobody always runs in another's wake.
    for (const loop of shuffled(all, random)) {
      const prepared = loop.prepare();
      const start = process.hrtime.bigint();
      const count = await prepared.run();
      const ns = Number(process.hrtime.bigint() - start) / count;
      prepared.end?.();
      packets = packets === 0 ? count : packets;
      if (count !== packets)
        throw new Error(`${loop.name} gave ${count} packets where there are ${packets}`);
      if (round >= 0) loop.ns.push(ns);
    }
  }
  return all.map(({ name, without, burst, ns }) => {
    const base = all.find((other) => other.name === without && other.burst === burst)?.ns;
    const values = ns.map((value, i) => value - (base?.[i] ?? 0));
    const interval: Interval =
      values.length < fewestValues
        ? { value: median(values), ...noInterval }
        : medianInterval(values);
    const end = (value: number): number | null => (Number.isNaN(value) ? null : value);
    return {
      step: name,
      burst,
      nsPerPacket: interval.value,
      nsLow: end(interval.low),
      nsHigh: end(interval.high),
      rounds,
      packets,
    };
  });
}
