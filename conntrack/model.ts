/**
 * The obvious flow table, for tests: a map, and the clock of the last packet of each flow.
 *
 * @module
 */
import { keyBytes } from './keys.js';
import type { FlowTrackerOptions } from './options.js';
import {
  burstFor,
  type CallOptions,
  type FlowBurst,
  type FlowEntry,
  type FlowTable,
  type Time,
} from './table.js';

interface Flow {
  key: Uint8Array;
  state: Uint8Array;
  timeoutClass: number;
  lastTick: number;
}

const latestClassTicks = 16383;

/**
 * Keeps what a FlowTracker with these options promises, as long as that finds room: it is never full
 * and evicts nothing. A flow lives while fewer ticks than its timeout, rounded up, plus one have
 * passed since the tick of its last packet.
 */
export class FlowModel implements FlowTable {
  private readonly table = new Map<string, Flow>();
  private readonly rows = new WeakMap<FlowBurst, (Flow | undefined)[]>();
  private readonly keySize: number;
  private readonly stateBytes: number;
  private readonly tickNs: number;
  private readonly timeouts: FlowTrackerOptions['timeoutsNs'];
  private tick = 0;

  constructor(options: Pick<FlowTrackerOptions, 'keys' | 'stateBytes' | 'tickNs' | 'timeoutsNs'>) {
    this.keySize = keyBytes[options.keys ?? 'ipv4'];
    this.stateBytes = options.stateBytes ?? 8;
    this.tickNs = Number(options.tickNs ?? 1e7);
    this.timeouts = options.timeoutsNs;
  }

  find(keys: Uint8Array, now: Time, options: CallOptions = {}): FlowBurst {
    return this.look(keys, now, options, () => undefined);
  }

  findOrInsert(keys: Uint8Array, now: Time, options: CallOptions = {}): FlowBurst {
    return this.look(keys, now, options, (name, key) => {
      const flow: Flow = {
        key: key.slice(),
        state: new Uint8Array(this.stateBytes),
        timeoutClass: 0,
        lastTick: this.tick,
      };
      this.table.set(name, flow);
      return flow;
    });
  }

  store(burst: FlowBurst): void {
    this.rows.get(burst)?.forEach((flow, i) => flow?.state.set(burst.state(i)));
  }

  setClass(burst: FlowBurst, i: number, timeoutClass: number, now: Time): void {
    const flow = this.rows.get(burst)?.[i];
    if (flow === undefined) throw new Error(`key ${i} has no flow`);
    flow.timeoutClass = timeoutClass;
    // The tracker counts a class change from at most so many ticks after its latest call.
    flow.lastTick = Math.min(Math.max(this.tick, this.tickOf(now)), this.tick + latestClassTicks);
  }

  remove(keys: Uint8Array, now: Time): number {
    this.advance(now);
    let removed = 0;
    for (const [name] of this.each(keys)) if (this.table.delete(name)) removed++;
    return removed;
  }

  flows(now: Time): FlowEntry[] {
    this.advance(now);
    return [...this.table.values()].map(({ key, state, timeoutClass }) => ({
      key,
      state,
      timeoutClass,
    }));
  }

  private look(
    keys: Uint8Array,
    now: Time,
    { into }: CallOptions,
    missing: (name: string, key: Uint8Array) => Flow | undefined,
  ): FlowBurst {
    const burst = burstFor(keys, this.keySize, this.stateBytes, into);
    this.advance(now);
    const flows = this.each(keys).map(([name, key], i) => {
      const known = this.table.get(name);
      const flow = known ?? missing(name, key);
      burst.found[i] = flow === undefined ? 0 : 1;
      burst.isNew[i] = flow !== undefined && known === undefined ? 1 : 0;
      if (flow !== undefined) flow.lastTick = this.tick;
      return flow;
    });
    // As the tracker does: states are copied when the whole burst has been looked up.
    flows.forEach((flow, i) => {
      if (flow === undefined) burst.state(i).fill(0);
      else burst.state(i).set(flow.state);
    });
    this.rows.set(burst, flows);
    return burst;
  }

  private each(keys: Uint8Array): [name: string, key: Uint8Array][] {
    return Array.from({ length: keys.length / this.keySize }, (_, i) => {
      const key = keys.subarray(i * this.keySize, (i + 1) * this.keySize);
      return [key.join('.'), key];
    });
  }

  private tickOf(now: Time): number {
    return Number(BigInt(now) / BigInt(this.tickNs));
  }

  // Time that goes backwards stands still.
  private advance(now: Time): void {
    this.tick = Math.max(this.tick, this.tickOf(now));
    for (const [name, flow] of this.table) {
      const timeout = this.timeoutNs(flow.timeoutClass);
      if (timeout !== 0 && this.tick - flow.lastTick >= Math.ceil(timeout / this.tickNs) + 1)
        this.table.delete(name);
    }
  }

  private timeoutNs(timeoutClass: number): number {
    const { timeouts } = this;
    return Number((typeof timeouts === 'object' ? timeouts[timeoutClass] : timeouts) ?? 5e9);
  }
}
