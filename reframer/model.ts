/**
 * The obvious implementation of what Reframer does, for tests to compare with and for people to
 * read: a list of groups, no bounds on time or memory. What differs in the engine is said there:
 * how capacity picks what leaves early, headers that are read later (`lookahead`), latency rules,
 * adaptive T, TCP repair and ACK thinning are not modelled.
 */
import { describeFrame, type Fragment } from './model-frame.js';
import type { Bypass, Early, Key } from './options.js';
import type { Reason } from './stats.js';

export interface ModelOptions {
  policy: 'fixed' | 'burst';
  key: Key;
  delayNs: number;
  maxBurst: number;
  bypass: readonly Exclude<Bypass, 'new-flow'>[];
  early: readonly Early[];
}

export interface ModelRun<T> {
  key: string;
  packets: T[];
  reason: Reason;
}

interface Group<T> {
  key: string;
  packets: T[];
  deadline: number;
}

/** A packet that is sent in fragments. */
interface Datagram {
  /** Key of its flow, once the first fragment has come. */
  flow?: string;
  /** When it is forgotten. */
  until: number;
}

// No receiver waits longer for the rest.
const rememberedNs = 60_000_000_000;

// A step back of the clock beyond this is a new origin, a smaller one is disorder.
const originStepNs = 10_000_000;

export class ReframerModel<T> {
  /** In the order in which they are due: with one T, that of their first packets. */
  private waiting: Group<T>[] = [];
  private readonly datagrams = new Map<string, Datagram>();
  private readonly ready: ModelRun<T>[] = [];
  private now = 0;
  private offset = 0;

  constructor(private readonly options: ModelOptions) {}

  push(packets: readonly { handle: T; frame: Uint8Array }[], now: number): void {
    this.advance(now);
    // Zero delay groups within one burst only: the next burst finds nobody waiting.
    if (this.options.policy === 'burst')
      for (const group of [...this.waiting]) this.leave(group, 'deadline');
    for (const { handle, frame } of packets) this.admit(handle, frame);
  }

  /** What was made ready ahead of time, in that order; then what is due, earliest first. */
  poll(now: number): ModelRun<T>[] {
    this.advance(now);
    return this.emit((group) => group.deadline <= this.now, 'deadline');
  }

  drain(now: number): ModelRun<T>[] {
    this.advance(now);
    return this.emit(() => true, 'drain');
  }

  get held(): number {
    const count = (groups: Iterable<{ packets: T[] }>): number =>
      [...groups].reduce((sum, group) => sum + group.packets.length, 0);
    return count(this.waiting) + count(this.ready);
  }

  private admit(handle: T, frame: Uint8Array): void {
    const { key: alone, traits, fragment } = describeFrame(frame, this.options.key);
    const key = fragment === undefined ? alone : this.follow(fragment, alone);
    const passes = this.options.bypass.some((kind) => traits.has(kind));
    const ends = this.options.early.some((kind) => traits.has(kind));
    let group = this.find(key);
    if (group === undefined) {
      const delay = this.options.policy === 'burst' ? 0 : this.options.delayNs;
      group = { key, packets: [], deadline: this.now + delay };
      this.waiting.push(group);
    }
    group.packets.push(handle);
    // Whoever must not wait takes its group along: nothing is overtaken.
    if (passes) this.leave(group, 'bypass');
    else if (ends) this.leave(group, 'early');
    else if (group.packets.length >= this.options.maxBurst) this.leave(group, 'burst');
  }

  private find(key: string): Group<T> | undefined {
    return this.waiting.find((group) => group.key === key);
  }

  /** The key of a fragment's group: its flow's, or until the first fragment comes, its datagram's. */
  private follow(fragment: Fragment, alone: string): string {
    const known = this.datagrams.get(fragment.datagram);
    const datagram: Datagram = known !== undefined && known.until > this.now ? known : { until: 0 };
    datagram.until = this.now + rememberedNs;
    this.datagrams.set(fragment.datagram, datagram);
    if (fragment.offset === 0) {
      // The id is used again: those behind the new first may be with the flow that had it before.
      const before =
        datagram.flow === undefined || datagram.flow === alone
          ? undefined
          : this.find(datagram.flow);
      if (before !== undefined) this.leave(before, 'early');
      this.release(fragment.datagram, alone);
      datagram.flow = alone;
    }
    return datagram.flow ?? fragment.datagram;
  }

  /** What waits for the first fragment leaves, behind what its flow has waiting from before. */
  private release(datagram: string, key: string): void {
    const orphans = this.find(datagram);
    if (orphans === undefined) return;
    const flow = this.find(key);
    if (flow !== undefined && this.waiting.indexOf(flow) < this.waiting.indexOf(orphans))
      this.leave(flow, 'early');
    this.leave(orphans, 'early');
  }

  private leave(group: Group<T>, reason: Reason): void {
    this.waiting = this.waiting.filter((other) => other !== group);
    this.ready.push({ key: group.key, packets: group.packets, reason });
  }

  private emit(due: (group: Group<T>) => boolean, reason: Reason): ModelRun<T>[] {
    for (const group of [...this.waiting]) if (due(group)) this.leave(group, reason);
    return this.ready.splice(0);
  }

  private advance(callerNow: number): void {
    let now = callerNow + this.offset;
    if (now < this.now) {
      if (this.now - now > originStepNs) this.offset = this.now - callerNow;
      now = this.now;
    }
    this.now = now;
  }
}
