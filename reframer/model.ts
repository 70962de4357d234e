/**
 * The obvious implementation of what Reframer does, for tests to compare with and for people to
 * read: a Map of groups, no bounds on time or memory. What differs in the engine is said there:
 * how capacity picks what leaves early, headers that are read later (`lookahead`), latency rules,
 * adaptive T, TCP repair and ACK thinning are not modelled.
 */
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

// A step back of the clock beyond this is a new origin, a smaller one is disorder.
const originStepNs = 10_000_000;

export class ReframerModel<T> {
  private readonly waiting = new Map<string, Group<T>>();
  private readonly ready: ModelRun<T>[] = [];
  private now = 0;
  private offset = 0;

  constructor(private readonly options: ModelOptions) {}

  push(packets: readonly { handle: T; frame: Uint8Array }[], now: number): void {
    this.advance(now);
    // Zero delay groups within one burst only: the next burst finds nobody waiting.
    if (this.options.policy === 'burst') for (const group of [...this.waiting.values()]) this.leave(group, 'deadline');
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
    const count = (groups: Iterable<{ packets: T[] }>): number => [...groups].reduce((sum, group) => sum + group.packets.length, 0);
    return count(this.waiting.values()) + count(this.ready);
  }

  private admit(handle: T, frame: Uint8Array): void {
    const { key, traits } = describeFrame(frame, this.options.key);
    const passes = this.options.bypass.some((kind) => traits.has(kind));
    const ends = this.options.early.some((kind) => traits.has(kind));
    let group = this.waiting.get(key);
    if (group === undefined) {
      const delay = this.options.policy === 'burst' ? 0 : this.options.delayNs;
      group = { key, packets: [], deadline: this.now + delay };
      this.waiting.set(key, group);
    }
    group.packets.push(handle);
    // Whoever must not wait takes its group along: nothing is overtaken.
    if (passes) this.leave(group, 'bypass');
    else if (ends) this.leave(group, 'early');
    else if (group.packets.length >= this.options.maxBurst) this.leave(group, 'burst');
  }

  private leave(group: Group<T>, reason: Reason): void {
    this.waiting.delete(group.key);
    this.ready.push({ key: group.key, packets: group.packets, reason });
  }

  private emit(due: (group: Group<T>) => boolean, reason: Reason): ModelRun<T>[] {
    // A Map keeps the order of insertion, which with one T is that of the deadlines.
    for (const group of [...this.waiting.values()]) if (due(group)) this.leave(group, reason);
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

export interface FrameDescription {
  key: string;
  traits: ReadonlySet<Bypass | Early>;
}

const unparsed: FrameDescription = { key: 'unparsed', traits: new Set() };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Grouping key and traits of an Ethernet frame with TCP or UDP in IPv4 or IPv6 without extensions. */
export function describeFrame(frame: Uint8Array, kind: Key): FrameDescription {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 12;
  const has = (bytes: number): boolean => at + bytes <= frame.length;
  if (!has(2)) return unparsed;
  while (has(4) && (view.getUint16(at) === 0x8100 || view.getUint16(at) === 0x88a8)) at += 4;
  if (!has(2)) return unparsed;
  const type = view.getUint16(at);
  at += 2;
  const version = type === 0x0800 ? 4 : type === 0x86dd ? 6 : 0;
  if (version === 0 || !has(version === 4 ? 20 : 40)) return unparsed;
  const [address, length] = version === 4 ? [at + 12, 4] : [at + 8, 16];
  const protocol = view.getUint8(at + (version === 4 ? 9 : 6));
  const trafficClass = version === 4 ? view.getUint8(at + 1) : (view.getUint16(at) >> 4) & 255;
  const source = hex(frame.subarray(address, address + length));
  const destination = hex(frame.subarray(address + length, address + 2 * length));
  at += version === 4 ? (view.getUint8(at) & 15) * 4 : 40;
  const ports = (protocol === 6 || protocol === 17) && has(4) ? [view.getUint16(at), view.getUint16(at + 2)] : [0, 0];
  const traits = new Set<Bypass | Early>();
  if (trafficClass >> 2 === 46) traits.add('dscp-ef');
  if ((trafficClass & 3) === 1) traits.add('ect1');
  if (ports.includes(53)) traits.add('dns');
  if (protocol === 6 && has(14)) {
    const flags = view.getUint8(at + 13);
    const names: readonly (Bypass | Early)[] = ['fin', 'syn', 'rst', 'psh'];
    names.forEach((name, bit) => { if (flags & (1 << bit)) traits.add(name); });
  }
  if (kind === 'destination') return { key: `${version} ${destination}`, traits };
  let ends = [`${source}:${ports[0]}`, `${destination}:${ports[1]}`];
  if (kind === 'symmetric') ends = ends.sort();
  return { key: `${version} ${protocol} ${ends.join(' ')}`, traits };
}
